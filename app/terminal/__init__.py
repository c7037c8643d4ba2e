"""A terminal emulator widget: output of a program to a screen model, the screen to pixels, keys to input.

parser   bytes to actions; bounded, ignores sequences that could do harm (titles, clipboard, device strings) screen
the grid, based on pyte: colours, margins, alternate screen, scrollback palette  colours of the theme and the program
keys     keys and pasted text to bytes picture  drawing a row of cells with a painter view     the widget: scrolling,
selection, keyboard, mouse, accessibility session  one program: its output is processed in slices, so that a flood does
not block the window
"""
