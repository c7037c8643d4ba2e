"""A terminal emulator: what a program writes to a screen model, the screen to pixels, keys to what a program reads.

parser   bytes to actions; bounded and deaf to what could harm (titles, clipboards, device strings)
screen   the grid, on pyte's: colours, margins, alternate screen, scrollback
palette  colours of the theme and of the program
keys     keys and pasted text to bytes
picture  one row of cells to strokes of a painter
view     the widget: scrolling, selection, keyboard, mouse, accessibility
session  one program: its bytes pumped to the screen in slices, so that no flood holds up the window
"""
