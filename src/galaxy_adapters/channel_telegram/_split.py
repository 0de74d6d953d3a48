"""Cuts a long text into messages, at places where a reader would pause.

A block of code that fits into one message is kept whole; one that does not is cut between lines,
and every piece is code in the same language again.  Where to cut depends on the text alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import islice

from galaxy_adapters.channel_telegram._text import BLOCKS, RichText, plain, units

LONGEST_TEXT = 4096
"""UTF-16 units of a message.  The server counts code points, of which there are never more."""
LONGEST_CAPTION = 1024

EMPTY = "(an empty message)"

_PARAGRAPH = re.compile(r"\n\s*\n")
_LINE = re.compile(r"\n")
_SENTENCE = re.compile("[.!?\u2026][\"')\\]\u00bb\u201d\u2019]*\\s|[\u3002\uff01\uff1f]")
_WORD = re.compile(r"\s")
_PLACES = (_PARAGRAPH, _LINE, _SENTENCE, _WORD)

_JOINER = "\u200d"
_SKINS = range(0x1F3FB, 0x1F400)
_FLAGS = range(0x1F1E6, 0x1F200)
_LONGEST_CLUSTER = 64
"""Characters that are looked back through for the beginning of what is one sign to a reader."""


def split(
    rich: RichText, longest: int = LONGEST_TEXT, at_most: int | None = None
) -> list[RichText]:
    """Cut into messages of at most `longest` units; never none, and each has something to see.

    After `at_most` of them the rest is left uncut, and out.
    """
    found = (piece for piece in _pieces(rich, longest) if can_be_seen(piece.text))
    return list(islice(found, at_most)) or [plain(EMPTY)]


def cut_to(rich: RichText, longest: int) -> RichText:
    """Return its beginning, with dots where something was cut off."""
    if units(rich.text) <= longest:
        return trimmed(rich)
    return trimmed(rich.cut(0, _place(rich, 0, longest - 2))) + plain(" \u2026")


def end_of(rich: RichText, longest: int) -> RichText:
    """Return its end, from the beginning of a line or a word, with dots before it."""
    length = len(rich.text)
    if units(rich.text) <= longest:
        return trimmed(rich)
    start = length - _fitting(rich.text[::-1], 0, longest - 2)
    window = rich.text[start : start + (length - start) // 4]
    for place in (_LINE, _WORD):
        if found := place.search(window):
            start += found.end()
            break
    return plain("\u2026 ") + trimmed(rich.cut(start, length))


def trimmed(rich: RichText) -> RichText:
    """Without white space at both ends, but for the indent of code that it begins with."""
    start = len(rich.text) - len(rich.text.lstrip())
    code = next((span.start for span in rich.spans if span.kind in BLOCKS), start)
    return rich.cut(min(start, code), max(len(rich.text.rstrip()), min(start, code)))


def _pieces(rich: RichText, longest: int) -> Iterator[RichText]:
    start, length = 0, len(rich.text)
    while start < length:
        end = _place(rich, start, longest)
        yield trimmed(rich.cut(start, end))
        start = end


def _place(rich: RichText, start: int, longest: int) -> int:
    """Where the message that begins at `start` ends."""
    end = start + _fitting(rich.text, start, longest)
    if end >= len(rich.text):
        return len(rich.text)
    for span in rich.spans:
        is_cut = span.kind in BLOCKS and span.start < end < span.end
        if is_cut and span.start > start and units(rich.text[span.start : span.end]) <= longest:
            before = rich.text[start : span.start]
            if before.strip():
                return span.start
    middle = start + (end - start) // 2
    for place in _PLACES:
        cuts = [found.end() for found in place.finditer(rich.text, middle, end)]
        if cuts:
            return cuts[-1]
    return _whole(rich.text, start, end)


def _fitting(text: str, start: int, longest: int) -> int:
    """How many characters from `start` take at most `longest` units."""
    window = text[start : start + longest]
    if window.isascii():
        return len(window)
    kept = window.encode("utf-16-le")[: 2 * longest]
    return len(kept.decode("utf-16-le", "ignore"))


def _whole(text: str, start: int, end: int) -> int:
    """Go back to where one sign ends and the next begins; at least one character is kept."""
    for place in range(end, max(start, end - _LONGEST_CLUSTER), -1):
        if not _belongs_to_the_last(text, start, place):
            return place
    return end


def _belongs_to_the_last(text: str, start: int, place: int) -> bool:
    before, after = text[place - 1], text[place]
    if _JOINER in (before, after) or ord(after) in _SKINS:
        return True
    if ord(after) in _FLAGS and ord(before) in _FLAGS:
        flags = 0
        while place - flags > start and ord(text[place - flags - 1]) in _FLAGS:
            flags += 1
        return flags % 2 == 1
    return unicodedata.category(after) in {"Mn", "Me", "Mc"}


def can_be_seen(text: str) -> bool:
    """Whether the server takes it for a text: white space and marks without a shape are none."""
    return any(unicodedata.category(character)[0] not in "ZC" for character in text) or any(
        unicodedata.category(character) in {"Co", "Cn"} for character in text
    )
