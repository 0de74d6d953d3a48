"""Letters that people and scripts write by hand, in Telegram's HTML, as HTML of ours.

What is not exactly that is shown as it was written: nothing is dropped, and nothing that runs is
let through.
"""

from __future__ import annotations

from html import escape

from galaxy_adapters._telegram_html import NotTelegramHtml, TelegramHtmlReader
from galaxy_adapters._web import plain_html

_TAGS = {
    **{tag: tag for tag in ("b", "strong", "i", "em", "u", "ins", "s", "del", "code", "pre")},
    "strike": "s",
    "blockquote": "blockquote",
    "tg-spoiler": "span",
}
_SCHEMES = ("http://", "https://", "mailto:", "tg://")


class _Reader(TelegramHtmlReader[str]):
    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def handle_data(self, data: str) -> None:
        self.pieces.append(escape(data))

    def begin(self, tag: str, attributes: dict[str, str | None]) -> str:
        """Give the name of our tag."""
        ours, more = _TAGS.get(tag), ""
        if tag == "a":
            href = (attributes.pop("href", None) or "").strip()
            if not href.casefold().startswith(_SCHEMES):
                raise NotTelegramHtml
            ours, more = "a", f' href="{escape(href)}" rel="noopener noreferrer nofollow"'
            if href.casefold().startswith("http"):
                more += ' target="_blank"'
        elif tag == "span" and attributes.pop("class", None) == "tg-spoiler":
            ours = "span"
        elif tag == "code" and (attributes.get("class") or "").startswith("language-"):
            del attributes["class"]
        elif tag == "blockquote":
            attributes.pop("expandable", None)
        if ours is None or attributes:
            raise NotTelegramHtml
        if tag in {"tg-spoiler", "span"}:
            more = ' class="spoiler" tabindex="0"'
        self.pieces.append(f"<{ours}{more}>")
        return ours

    def end(self, opened: str) -> None:
        self.pieces.append(f"</{opened}>")


def letter_html(html: str) -> str:
    """HTML of ours for a letter in Telegram's; anything else as it stands."""
    reader = _Reader()
    if not reader.read(html.replace("\0", "\N{REPLACEMENT CHARACTER}")):
        return plain_html(html)
    shown = "".join(reader.pieces)
    if shown.count("\0") or not shown.strip():
        return plain_html(html)
    shown = shown.encode("utf-8", "replace").decode()
    return f'<div class="plain">{shown}</div>\n'
