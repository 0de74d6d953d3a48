"""What is printed: text and tables for people, JSON for programs.

Works with closed or broken outputs, without a terminal, on narrow ones, and without colours where
those are not wanted (NO_COLOR, TERM=dumb, no terminal).
"""

from __future__ import annotations

import json
import shutil
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TextIO

from galaxy_apps.settings.environment import environment

Style = str
BOLD, DIM = "1", "2"
RED, GREEN, YELLOW, BLUE, CYAN = "31", "32", "33", "34", "36"
ELLIPSIS = "…"
_NARROWEST = 4
"""Cells below which a column says nothing any more."""


def write(text: str = "") -> None:
    """Print a line to standard output; nothing where that is closed."""
    if sys.stdout is not None:
        sys.stdout.write(_printable(text, sys.stdout) + "\n")


def warn(text: str) -> None:
    """Print a line to standard error; nothing where that is closed."""
    if sys.stderr is not None:
        sys.stderr.write(_printable(text, sys.stderr) + "\n")


def print_json(document: object) -> None:
    """Print one JSON document."""
    write(json.dumps(document, ensure_ascii=False, indent=2, default=_plain))


def print_json_line(document: object) -> None:
    """Print one line of JSON Lines, at once."""
    write(json.dumps(document, ensure_ascii=False, default=_plain))
    flush()


def flush() -> None:
    """Hand what was printed over now."""
    if sys.stdout is not None:
        sys.stdout.flush()


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


def _printable(text: str, stream: TextIO) -> str:
    """The text as the stream's encoding can hold it: an emoji must not end a command."""
    encoding = stream.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.encode(encoding, "replace").decode(encoding)
    return text


# ---- terminals


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person reads (or types) there."""
    return stream is not None and stream.isatty()


def has_colours() -> bool:
    """Whether standard output shows colours."""
    variables = environment()
    is_wanted = not variables.get("NO_COLOR") and variables.get("TERM") != "dumb"
    return is_wanted and is_terminal(sys.stdout)


def styled(text: str, style: Style) -> str:
    """The text in a style, where colours are shown."""
    return f"\x1b[{style}m{text}\x1b[0m" if style and text and has_colours() else text


def width_of(text: str) -> int:
    """How many cells of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def one_line(text: str) -> str:
    """The text on one line, without anything that could steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))


def safe(text: str) -> str:
    """Text of several lines; on a terminal, without anything that could steer it.

    What an agent says may hold whatever it has read: it must not rewrite a person's screen.
    """
    if not is_terminal(sys.stdout):
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def shortened(text: str, cells: int) -> str:
    """The text cut to at most so many cells, with an ellipsis where something is missing."""
    if width_of(text) <= cells:
        return text
    kept, used = "", 0
    for c in text:
        used += width_of(c)
        if used > cells - 1:
            break
        kept += c
    return kept + ELLIPSIS


# ---- tables


def print_table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    elastic: int,
    styles: Mapping[int, Mapping[str, Style]] | None = None,
) -> None:
    """Print rows under heads; on a terminal column number `elastic` gives way to fit its width.

    Where no person looks, nothing is cut.  `styles` gives the style of a column's words.
    """
    cells = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(width_of, column)) for column in zip(heads, *cells, strict=True)]
    if is_terminal(sys.stdout):
        room = shutil.get_terminal_size().columns - sum(widths) - 2 * (len(widths) - 1)
        widths[elastic] = max(widths[elastic] + min(room, 0), width_of(heads[elastic]), _NARROWEST)
    write(styled(_row(heads, widths, {}), BOLD))
    for row in cells:
        write(_row(row, widths, styles or {}))


def _row(
    row: Sequence[str], widths: Sequence[int], styles: Mapping[int, Mapping[str, Style]]
) -> str:
    parts = []
    for number, (cell, width) in enumerate(zip(row, widths, strict=True)):
        text = shortened(cell, width)
        padding = "" if number == len(row) - 1 else " " * (width - width_of(text))
        parts.append(styled(text, styles.get(number, {}).get(cell, "")) + padding)
    return "  ".join(parts).rstrip()


def print_fields(fields: Mapping[str, Any]) -> None:
    """Print names and values below each other; values that are None or empty are left out."""
    shown = {name: value for name, value in fields.items() if value not in (None, "", (), [])}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        write(f"{styled(name.ljust(width), DIM)}  {one_line(str(value))}")
