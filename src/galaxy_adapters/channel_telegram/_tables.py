"""Tables on a screen as wide as a hand: a grid where it fits, one record per row where not."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from galaxy_adapters.channel_telegram._text import RichText, Span, joined, plain

WIDEST_GRID = 36
"""Columns that fit a phone in Telegram's fixed-width type; wider lines break in the middle."""

_NOTHING = "\u2013"

Row = Sequence[RichText]


def render_table(head: Row, rows: Sequence[Row]) -> RichText:
    """Show a table; all that stands in its cells is in it, in the order in which it was written."""
    widths = _widths([head, *rows])
    # A grid shows characters only: an address behind a word would be lost in it.
    has_links = any(span.kind == "text_link" for row in rows for cell in row for span in cell.spans)
    if not rows or (sum(widths) + 3 * (len(widths) - 1) <= WIDEST_GRID and not has_links):
        text = "\n".join(_grid_lines(head, rows, widths))
        return RichText(text, (Span("pre", 0, len(text)),) if text else ())
    return _records(head, rows)


def _grid_lines(head: Row, rows: Sequence[Row], widths: list[int]) -> Iterator[str]:
    for number, row in enumerate([head, *rows]):
        cells = [
            cell.text + " " * (width - columns(cell.text))
            for cell, width in zip(row, widths, strict=False)
        ]
        yield " | ".join(cells).rstrip()
        if number == 0 and rows:
            yield "-+-".join("-" * width for width in widths)


def _records(head: Row, rows: Sequence[Row]) -> RichText:
    """One paragraph for each row: every cell on a line of its own, behind its column's name."""
    records = (joined(_lines(head, row), "\n") for row in rows)
    return joined((record for record in records if record.text), "\n\n")


def _lines(head: Row, row: Row) -> Iterator[RichText]:
    for name, cell in zip_longest(head, row, fillvalue=RichText()):
        if name.text:
            label = RichText(name.text, (Span("bold", 0, len(name.text)),))
            yield joined([label, plain(": "), cell if cell.text else plain(_NOTHING)])
        elif cell.text:
            yield cell


def _widths(rows: Sequence[Row]) -> list[int]:
    widths = [0] * max((len(row) for row in rows), default=0)
    for row in rows:
        for number, cell in enumerate(row):
            widths[number] = max(widths[number], columns(cell.text))
    return widths


def columns(text: str) -> int:
    """How many columns of fixed width a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.combining(character) or unicodedata.category(character) == "Cf"
        else 2
        if unicodedata.east_asian_width(character) in "WF"
        else 1
        for character in text
    )
