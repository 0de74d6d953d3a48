"""What a letter becomes: parts, each of which is one call, so that each has arrived or has not.

How many parts there are, and where the text is cut, depends on the letter alone, never on what
lies on the disk: after a crash the same numbers mean the same parts.  A file that is gone by then
becomes a line of text in its part.
"""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import PurePath
from typing import TypeAlias

from attrs import frozen

from galaxy_adapters.channel_telegram._html import from_html
from galaxy_adapters.channel_telegram._markdown import from_markdown
from galaxy_adapters.channel_telegram._split import EMPTY, LONGEST_TEXT, can_be_seen, split
from galaxy_adapters.channel_telegram._text import RichText, bold, joined, plain
from galaxy_core.domain.letter import Letter, LetterFormat, Severity

MOST_MESSAGES = 4
"""A longer text is sent as its beginning and a document: nobody reads ten messages."""
ALBUM = 10

REPEAT = "\U0001f501 This may be a repeat: I could not see whether it arrived before.\n\n"
_ROOM = 80
"""Units kept free in every part, for that line."""
_GOES_ON = "\u2026 (the whole text is in the file below)"

_PHOTOS = frozenset({".jpg", ".jpeg", ".png", ".webp"})
_MARKS = {
    Severity.CRITICAL: "\U0001f6a8",
    Severity.ALERT: "\U0001f514",
    Severity.WARNING: "\u26a0\ufe0f",
    Severity.SUCCESS: "\u2705",
    Severity.INFO: "\u2139\ufe0f",
}
_LOUD = frozenset({Severity.CRITICAL, Severity.ALERT, Severity.WARNING})
_READERS = {
    LetterFormat.MARKDOWN: from_markdown,
    LetterFormat.HTML: from_html,
    LetterFormat.PLAIN: plain,
}


@frozen
class TextPart:
    """One message."""

    text: RichText


@frozen
class WholePart:
    """The whole text as a document."""

    name: str
    content: bytes


@frozen
class FilesPart:
    """Files as a photo, a document, or an album of either."""

    paths: tuple[str, ...]
    are_photos: bool = False


Part: TypeAlias = TextPart | WholePart | FilesPart


def parts_of(letter: Letter) -> tuple[Part, ...]:
    """Cut a letter into parts; never none."""
    texts: list[Part] = []
    if can_be_seen(letter.message) or not letter.files:
        texts = _texts(letter)
    return (*texts, *_files(letter))


def _texts(letter: Letter) -> list[Part]:
    body = _READERS[letter.format](letter.message)
    if not can_be_seen(body.text):
        body = plain(EMPTY)
    whole = joined([_head(letter, body), body])
    pieces = split(whole, LONGEST_TEXT - _ROOM, MOST_MESSAGES + 1)
    if len(pieces) <= MOST_MESSAGES:
        return [TextPart(piece) for piece in pieces]
    (first,) = split(whole, LONGEST_TEXT - _ROOM - len(_GOES_ON) - 2, 1)
    content = letter.message.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return [
        TextPart(joined([first, plain(_GOES_ON)], "\n\n")),
        WholePart(_document_name(letter), content.encode()),
    ]


def _head(letter: Letter, body: RichText) -> RichText:
    """Who writes and how loudly; nothing in front of what a person is just talking about."""
    is_answer = (
        letter.format is LetterFormat.MARKDOWN
        and letter.chat_id is not None
        and (letter.order_id is not None or not letter.sender)
    )
    mark = _MARKS[letter.severity]
    if is_answer:
        if letter.severity not in _LOUD:
            return RichText()
        is_block = any(span.kind == "pre" and span.start == 0 for span in body.spans)
        return plain(f"{mark}\n" if is_block else f"{mark} ")
    return joined([plain(f"{mark} "), bold(letter.sender.strip() or "Galaxy"), plain("\n")])


def _document_name(letter: Letter) -> str:
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", letter.order_id or letter.name).strip("-.")[:80]
    return f"{stem or 'letter'}.md"


def _files(letter: Letter) -> list[Part]:
    """Albums of neighbours of one kind; with buttons the last file stands alone to carry them."""
    files = letter.files
    last: tuple[str, ...] = ()
    if letter.buttons and len(files) > 1:
        files, last = files[:-1], files[-1:]
    parts: list[Part] = []
    for are_photos, run in groupby(files, _is_photo):
        paths = tuple(run)
        parts += (
            FilesPart(paths[start : start + ALBUM], are_photos)
            for start in range(0, len(paths), ALBUM)
        )
    if last:
        parts.append(FilesPart(last, _is_photo(last[0])))
    return parts


def _is_photo(path: str) -> bool:
    return PurePath(path).suffix.lower() in _PHOTOS
