"""Letters that people and scripts write by hand, in Telegram's HTML.

What is not exactly that is shown as it was written: nothing is dropped.
"""

from __future__ import annotations

from typing import Final

from attrs import define, evolve

from galaxy_adapters._telegram_html import NotTelegramHtml, TelegramHtmlReader
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
_LANGUAGE = "language-"


@define
class _Open:
    kind: str
    start: int
    piece: int
    value: str | None = None


class _Reader(TelegramHtmlReader[_Open]):
    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[str] = []
        self._length = 0
        self._spans: list[Span] = []

    def rich(self) -> RichText:
        """What was read."""
        return RichText("".join(self._pieces), settled(_merged(self._spans)))

    def handle_data(self, data: str) -> None:
        self._pieces.append(data)
        self._length += len(data)

    def begin(self, tag: str, attributes: dict[str, str | None]) -> _Open:
        kind, value = _STYLES.get(tag), None
        if tag == "code" and (attributes.get("class") or "").startswith(_LANGUAGE):
            value = (attributes.pop("class") or "").removeprefix(_LANGUAGE)
        elif tag == "span" and attributes.pop("class", None) == "tg-spoiler":
            kind = "spoiler"
        elif tag == "blockquote":
            kind = "expandable_blockquote" if "expandable" in attributes else "blockquote"
            attributes.pop("expandable", None)
        elif tag == "a" and attributes.get("href"):
            kind, value = "text_link", attributes.pop("href")
        if kind is None or attributes:
            raise NotTelegramHtml
        return _Open(kind, self._length, len(self._pieces), value)

    def end(self, opened: _Open) -> None:
        if opened.kind == "text_link" and not can_link(opened.value or ""):
            if opened.value and "".join(self._pieces[opened.piece :]) != opened.value:
                self.handle_data(f" ({opened.value})")
            return
        if not any(other.kind == opened.kind for other in self.opened):
            span = Span(opened.kind, opened.start, self._length, opened.value)
            self._spans.append(span)


def from_html(html: str) -> RichText:
    """Read Telegram's HTML; anything else is shown as it stands."""
    text = cleaned(html)
    reader = _Reader()
    if not reader.read(text):
        return plain(text)
    rich = reader.rich()
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
