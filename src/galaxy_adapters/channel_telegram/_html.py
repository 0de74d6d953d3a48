"""Letters that people and scripts write by hand, in Telegram's HTML.

What is not exactly that (an unknown tag, one that is not closed, a crossing) is shown as it was
written: half of a form may say something else than its author meant, and nothing is dropped.
"""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Final

from attrs import define, evolve

from galaxy_adapters.channel_telegram._text import (
    RichText,
    Span,
    can_link,
    cleaned,
    plain,
    settled,
)

_STYLES: Final = {
    **dict.fromkeys(("b", "strong"), "bold"),
    **dict.fromkeys(("i", "em"), "italic"),
    **dict.fromkeys(("u", "ins"), "underline"),
    **dict.fromkeys(("s", "strike", "del"), "strikethrough"),
    "tg-spoiler": "spoiler",
    "code": "code",
    "pre": "pre",
}
_MOST_TAGS = 2_000
"""More than any message shows; the parser's time grows with the square of what is not closed."""
_LANGUAGE = "language-"


class _Unknown(Exception):
    """It is not Telegram's HTML."""


@define
class _Open:
    tag: str
    kind: str
    start: int
    piece: int
    value: str | None = None


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.length = 0
        self.spans: list[Span] = []
        self._open: list[_Open] = []

    def read(self, html: str) -> RichText:
        self.feed(html)
        self.close()
        if self._open:
            raise _Unknown
        return RichText("".join(self.pieces), settled(_merged(self.spans)))

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)
        self.length += len(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        kind, value = _STYLES.get(tag), None
        if tag == "code" and (names.get("class") or "").startswith(_LANGUAGE):
            value = (names.pop("class") or "").removeprefix(_LANGUAGE)
        elif tag == "span" and names.pop("class", None) == "tg-spoiler":
            kind = "spoiler"
        elif tag == "blockquote":
            kind = "expandable_blockquote" if "expandable" in names else "blockquote"
            names.pop("expandable", None)
        elif tag == "a" and names.get("href"):
            kind, value = "text_link", names.pop("href")
        if kind is None or names:
            raise _Unknown
        self._open.append(_Open(tag, kind, self.length, len(self.pieces), value))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag, attrs
        raise _Unknown

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1].tag != tag:
            raise _Unknown
        opened = self._open.pop()
        if opened.kind == "text_link" and not can_link(opened.value or ""):
            if opened.value and "".join(self.pieces[opened.piece :]) != opened.value:
                self.handle_data(f" ({opened.value})")
            return
        if not any(other.kind == opened.kind for other in self._open):
            span = Span(opened.kind, opened.start, self.length, opened.value)
            self.spans.append(span)

    def handle_comment(self, data: str) -> None:
        del data
        raise _Unknown

    def handle_decl(self, decl: str) -> None:
        del decl
        raise _Unknown

    def handle_pi(self, data: str) -> None:
        del data
        raise _Unknown

    def unknown_decl(self, data: str) -> None:
        del data
        raise _Unknown


def from_html(html: str) -> RichText:
    """Read Telegram's HTML; anything else is shown as it stands."""
    text = cleaned(html)
    if text.count("<") > _MOST_TAGS:
        return plain(text)
    try:
        rich = _Reader().read(text)
    except (_Unknown, AssertionError, ValueError):  # the parser asserts where markup is odd
        return plain(text)
    rich = RichText(cleaned(rich.text), rich.spans) if _is_clean(rich.text) else plain(text)
    return rich if rich.text.strip() else plain(text)


def _is_clean(text: str) -> bool:
    """Whether cleaning changes no length: numeric references may name any character."""
    return len(cleaned(text)) == len(text)


def _merged(spans: list[Span]) -> list[Span]:
    """Put `<pre><code class="language-x">` together: one block of code with a language."""
    languages = {
        (span.start, span.end): span.value for span in spans if span.kind == "code" and span.value
    }
    return [
        evolve(span, value=languages.get((span.start, span.end)))
        if span.kind == "pre"
        else evolve(span, value=None)
        if span.kind == "code"
        else span
        for span in spans
    ]
