r"""Markdown as agents write it, for people: nothing that they should see is taken out.

pyromark (CommonMark with tables, strikethrough, task lists and footnotes) reads it, and what it
tells is written down here.  Where CommonMark would swallow something that an agent meant to be
read, it is shown as it was written: raw HTML (`Vec<T>`), link definitions that nothing uses
(`[INFO]: started`), cells that a table has no column for, words behind the opening of a fence.
`||`, `$` and `\(` have no meaning.

telegramify-markdown does the same job and is not used: it leaves raw HTML out, changes formulas,
also in code, loses `$` (`$HOME/$USER`), and knows no records for wide tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pyromark

from galaxy_adapters.channel_telegram._text import RichText, cleaned, plain
from galaxy_adapters.channel_telegram._writer import Event, Writer

_OPTIONS = (
    pyromark.Options.ENABLE_TABLES
    | pyromark.Options.ENABLE_STRIKETHROUGH
    | pyromark.Options.ENABLE_TASKLISTS
    | pyromark.Options.ENABLE_FOOTNOTES
)
_DEFINITION = re.compile(rb"^[ \t>*+\-0-9.)]*(\[((?:[^\[\]\\]|\\.){1,999})\]:)", re.MULTILINE)

_LITERAL = {"Code", "Html", "InlineHtml"}
"""Where a backslash is a backslash."""


def from_markdown(markdown: str) -> RichText:
    """Read Markdown; the same text gives the same result in every process.

    What cannot be read as Markdown, or shows nothing when it is, comes out as it was written.
    """
    text = cleaned(markdown)
    try:
        source = _keep_definitions(text)
        rich = Writer(source.encode()).write(_events(source))
    except Exception:  # noqa: BLE001 - form must never cost a person the answer
        return plain(text)
    return rich if rich.text.strip() else plain(text)


def _events(source: str) -> Iterator[Event]:
    for event, place in pyromark.events_with_range(source, options=_OPTIONS):
        yield event, (place["start"], place["end"])


def _keep_definitions(text: str) -> str:
    """Escape `[word]: ...` where no link uses it: CommonMark would leave it out."""
    if "]:" not in text:
        return text
    raw, used, literal = text.encode(), set[bytes](), list[tuple[int, int]]()
    for event, place in _events(text):
        if not isinstance(event, dict):
            continue
        start = event.get("Start")
        link = (start.get("Link") or start.get("Image")) if isinstance(start, dict) else None
        if link is not None:
            used.add(_label(link["id"].encode()))
        elif _LITERAL & event.keys() or (isinstance(start, dict) and "CodeBlock" in start):
            literal.append(place)
    cuts: list[int] = []
    index = 0
    for found in _DEFINITION.finditer(raw):
        position = found.start(1)
        while index < len(literal) and literal[index][1] <= position:
            index += 1
        is_literal = index < len(literal) and literal[index][0] <= position
        label = _label(found[2])
        if is_literal or found[2].startswith(b"^"):
            continue
        if label in used:
            used.discard(label)  # only the first definition counts
        else:
            cuts.append(position)
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    return b"\\".join(pieces).decode()


def _label(name: bytes) -> bytes:
    return b" ".join(name.split()).decode(errors="replace").casefold().encode()
