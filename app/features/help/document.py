"""Renders a help topic: Qt's Markdown with the theme's colors and spacing.

Qt converts Markdown to text formats without a style sheet, so each kind of block is formatted here.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QFontDatabase,
    QTextBlock,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
    QTextFrameFormat,
    QTextLength,
    QTextTable,
)

from app.ui import theme

_HEADING_POINTS: Final = {1: 17.0, 2: 12.5}
_TEXT_POINTS: Final = 10.0
_CODE_POINTS: Final = 9.5
_LINE_PER_CENT: Final = 130.0


def fill(document: QTextDocument, markdown: str) -> None:
    """Replace the document's contents with a topic, in the current theme and zoom."""
    document.setDocumentMargin(theme.px(24))
    document.setIndentWidth(theme.px(26))
    document.setMarkdown(markdown, QTextDocument.MarkdownFeature.MarkdownDialectGitHub)
    cursor = QTextCursor(document)
    cursor.beginEditBlock()
    for frame in document.rootFrame().childFrames():
        if isinstance(frame, QTextTable):
            _format_table(frame)
    block = document.begin()
    while block.isValid():
        _format_block(block)
        block = block.next()
    cursor.endEditBlock()


def _format_block(block: QTextBlock) -> None:
    cursor = QTextCursor(block)
    present = block.blockFormat()
    level = present.headingLevel()
    is_code = present.hasProperty(QTextFormat.Property.BlockCodeFence)
    wanted = QTextBlockFormat()
    if level:
        wanted.setTopMargin(theme.px(0 if level == 1 else 22))
        wanted.setBottomMargin(theme.px(10 if level == 1 else 6))
    elif is_code:
        follows = _is_code(block.previous())
        wanted.setTopMargin(0 if follows else theme.px(8))
        wanted.setBottomMargin(0 if _is_code(block.next()) else theme.px(12))
        wanted.setLeftMargin(theme.px(12))
        wanted.setBackground(QColor(theme.current().hover))
        wanted.setNonBreakableLines(True)
    elif cursor.currentTable() is None:
        wanted.setTopMargin(0)
        goes_on = block.textList() is not None and block.next().textList() is not None
        wanted.setBottomMargin(theme.px(4 if goes_on else 10))
        wanted.setLineHeight(_LINE_PER_CENT, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
    cursor.mergeBlockFormat(wanted)
    for span in block.textFormats():
        _format_text(block, span.start, span.length, span.format, level)


def _format_text(block: QTextBlock, start: int, length: int, present: QTextCharFormat, level: int) -> None:
    cursor = QTextCursor(block)
    cursor.setPosition(block.position() + start)
    cursor.setPosition(block.position() + start + length, QTextCursor.MoveMode.KeepAnchor)
    wanted = QTextCharFormat()
    wanted.setFontPointSize(_points(_HEADING_POINTS.get(level, _TEXT_POINTS)))
    wanted.clearProperty(QTextFormat.Property.FontSizeAdjustment)
    if level:
        wanted.setFontWeight(QFont.Weight.DemiBold)
    if present.fontFixedPitch() or _is_code(block):
        wanted.setFontFamilies([QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont).family()])
        wanted.setFontPointSize(_points(_CODE_POINTS))
        if not _is_code(block):
            wanted.setBackground(QColor(theme.current().hover))
    if present.isAnchor():
        wanted.setForeground(QColor(theme.current().accent))
        wanted.setFontUnderline(True)
    else:
        wanted.setForeground(QColor(theme.current().text))
    cursor.mergeCharFormat(wanted)


def _format_table(table: QTextTable) -> None:
    wanted = table.format()
    wanted.setBorder(1)
    wanted.setBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_Solid)
    wanted.setBorderBrush(QBrush(QColor(theme.current().border)))
    wanted.setBorderCollapse(True)
    wanted.setCellPadding(theme.px(6))
    wanted.setCellSpacing(0)
    wanted.setTopMargin(theme.px(4))
    wanted.setBottomMargin(theme.px(14))
    wanted.setWidth(QTextLength(QTextLength.Type.VariableLength, 0))
    table.setFormat(wanted)
    for column in range(table.columns()):
        head = table.cellAt(0, column)
        cell = head.format()
        cell.setBackground(QColor(theme.current().hover))
        head.setFormat(cell)


def _is_code(block: QTextBlock) -> bool:
    return block.isValid() and block.blockFormat().hasProperty(QTextFormat.Property.BlockCodeFence)


def _points(size: float) -> float:
    return size * theme.zoom() / 100
