"""Formatted text as Telegram has it: plain characters, and spans that say how ranges look.

Spans count Python's characters; `entities` turns them into Telegram's own, which count UTF-16
units.  Text goes in through `cleaned`, so that nothing in it can be refused: what cannot be sent
or would silently be taken out by the server is replaced by something that can be seen.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from attrs import evolve, field, frozen

MAX_ENTITIES = 100
"""Per message; the server ignores further ones (undocumented, as python-telegram-bot has it)."""

BLOCKS = frozenset({"pre"})
CODE = frozenset({"code", "pre"})
QUOTES = frozenset({"blockquote", "expandable_blockquote"})

Entity: TypeAlias = dict[str, str | int]
"""An entity as the Bot API takes it."""

_LINE_ENDS = re.compile("\r\n?|[\u2028\u2029\x85]")
_CONTROLS = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"} | {
    0x7F: 0x2421,
}
_RINGS = re.compile("[aAuUwy]\u030a")
_SURROGATES = re.compile("[\ud800-\udfff]")
# What the server takes: a host with a dot, and no name before it.  One address that it does not
# like (also `http://localhost`, `mailto:`) would have the whole message refused.
_SAFE_LINK = re.compile(
    r"(?:https?://[\w-]+(?:\.[\w-]+)+\.?(?::([0-9]{1,5}))?|tg://[A-Za-z0-9_.-]+)(?:[/?#]\S*)?",
    re.IGNORECASE,
)
_HIGHEST_PORT = 65_535
_LONGEST_LINK = 2048


@frozen
class Span:
    """One range that looks different; `kind` is the entity type of the Bot API."""

    kind: str
    start: int
    end: int
    value: str | None = None
    """The address of a `text_link`, the language of a `pre`."""


@frozen
class RichText:
    """Text with its spans, in order of their start, the longer first."""

    text: str = ""
    spans: tuple[Span, ...] = field(default=())

    def __add__(self, other: RichText) -> RichText:
        """Put one behind the other."""
        return joined([self, other])

    def cut(self, start: int, end: int) -> RichText:
        """Return one piece of it; a span that reaches beyond goes on to the edge."""
        return RichText(
            self.text[start:end],
            tuple(
                evolve(span, start=max(span.start, start) - start, end=min(span.end, end) - start)
                for span in self.spans
                if span.start < end and span.end > start
            ),
        )

    def entities(self) -> list[Entity]:
        """What the Bot API is told about the text: at most 100, code and addresses first."""
        chosen = sorted(self.spans, key=lambda span: (_rank(span.kind), span.start))[:MAX_ENTITIES]
        chosen = list(_ordered(chosen))
        units = offsets(self.text, (edge for span in chosen for edge in (span.start, span.end)))
        return [_entity(span, units) for span in chosen if span.end > span.start]


def joined(texts: Iterable[RichText], between: str = "") -> RichText:
    """Put texts behind each other."""
    pieces: list[str] = []
    spans: list[Span] = []
    length = 0
    for number, rich in enumerate(texts):
        if number:
            pieces.append(between)
            length += len(between)
        spans += (evolve(s, start=s.start + length, end=s.end + length) for s in rich.spans)
        pieces.append(rich.text)
        length += len(rich.text)
    return RichText("".join(pieces), tuple(spans))


def plain(text: str) -> RichText:
    """Text without any form."""
    return RichText(cleaned(text))


def bold(text: str) -> RichText:
    """Text that stands out."""
    text = cleaned(text)
    return RichText(text, (Span("bold", 0, len(text)),) if text else ())


def cleaned(text: str) -> str:
    """The text with every character in a form that can be sent and seen."""
    # Halves of characters that lie side by side become the character; single ones a mark.
    if _SURROGATES.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    text = _LINE_ENDS.sub("\n", text).translate(_CONTROLS)
    # The server takes a ring that stands by itself out, but not the letter that has one.
    return _RINGS.sub(lambda ring: unicodedata.normalize("NFC", ring[0]), text)


def units(text: str) -> int:
    """Length in UTF-16 units, in which Telegram counts."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def offsets(text: str, indices: Iterable[int]) -> Mapping[int, int]:
    """Where these characters stand in UTF-16 units."""
    found: dict[int, int] = {}
    last = total = 0
    for index in sorted(set(indices)):
        total += units(text[last:index])
        last = index
        found[index] = total
    return found


def can_link(address: str) -> bool:
    """Whether an address may stand behind a text: nothing that runs when it is pressed."""
    found = _SAFE_LINK.fullmatch(address) if len(address) <= _LONGEST_LINK else None
    return found is not None and 0 < int(found[1] or 80) <= _HIGHEST_PORT


def settled(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Bring spans into an order in which they only nest, as the server would have it.

    Code holds no other form: styles are interrupted by it, and inside a link it is no code.
    """
    everything = [span for span in spans if span.end > span.start]
    links = _ordered(span for span in everything if span.kind == "text_link")
    code: list[Span] = []
    for span in _ordered(span for span in everything if span.kind in CODE):
        is_inside = bool(code) and span.start < code[-1].end
        if not is_inside and (span.kind in BLOCKS or not _touches(span, links)):
            code.append(span)
    kept = [*code, *links, *(span for span in everything if span.kind in QUOTES)]
    for span in everything:
        if span.kind not in CODE | QUOTES and span.kind != "text_link":
            kept += _without(span, code)
    return _ordered(kept)


def _ordered(spans: Iterable[Span]) -> tuple[Span, ...]:
    return tuple(sorted(spans, key=lambda span: (span.start, -span.end, _depth(span.kind))))


def _touches(span: Span, others: tuple[Span, ...]) -> bool:
    index = _first_after(others, span.start)
    return index < len(others) and others[index].start < span.end


def _without(span: Span, code: list[Span]) -> list[Span]:
    pieces, start = [], span.start
    for index in range(_first_after(code, span.start), len(code)):
        if code[index].start >= span.end:
            break
        pieces.append(evolve(span, start=start, end=code[index].start))
        start = code[index].end
    pieces.append(evolve(span, start=start))
    return [piece for piece in pieces if piece.end > piece.start]


def _first_after(spans: tuple[Span, ...] | list[Span], position: int) -> int:
    """Index of the first of these spans, which do not overlap, that ends behind `position`."""
    low, high = 0, len(spans)
    while low < high:
        middle = (low + high) // 2
        if spans[middle].end <= position:
            low = middle + 1
        else:
            high = middle
    return low


def _depth(kind: str) -> int:
    """Of spans over the same text the outer one has the smaller number."""
    if kind in CODE:
        return 3 if kind in BLOCKS else 4
    if kind == "text_link":
        return 1
    return 0 if kind in QUOTES else 2


def _rank(kind: str) -> int:
    """Which spans are kept where there are too many."""
    if kind in BLOCKS:
        return 0
    if kind == "text_link":
        return 1
    return 2 if kind in QUOTES else 3


def _entity(span: Span, units: Mapping[int, int]) -> Entity:
    start, end = units[span.start], units[span.end]
    entity: Entity = {"type": span.kind, "offset": start, "length": end - start}
    if span.value is not None:
        entity["url" if span.kind == "text_link" else "language"] = span.value
    return entity
