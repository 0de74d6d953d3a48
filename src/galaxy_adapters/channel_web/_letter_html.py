"""Letters that people and scripts write by hand, in Telegram's HTML, as HTML of ours.

What is not exactly that (an unknown tag, one that is not closed, a crossing) is shown as it was
written: nothing is dropped, and nothing that runs is let through.
"""

from __future__ import annotations

from html import escape
from html.parser import HTMLParser

from galaxy_adapters._web import plain_html

_TAGS = {
    **{tag: tag for tag in ("b", "strong", "i", "em", "u", "ins", "s", "del", "code", "pre")},
    "strike": "s",
    "blockquote": "blockquote",
    "tg-spoiler": "span",
}
_SCHEMES = ("http://", "https://", "mailto:", "tg://")
_MOST_TAGS = 2_000
"""The parser's time grows with the square of what is not closed."""


class _Unknown(Exception):
    """It is not Telegram's HTML."""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._pieces: list[str] = []
        self._open: list[tuple[str, str]] = []

    def read(self, html: str) -> str:
        self.feed(html)
        self.close()
        if self._open:
            raise _Unknown
        return "".join(self._pieces)

    def handle_data(self, data: str) -> None:
        self._pieces.append(escape(data))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        ours, more = _TAGS.get(tag), ""
        if tag == "a":
            href = (names.pop("href", None) or "").strip()
            if not href.casefold().startswith(_SCHEMES):
                raise _Unknown
            ours, more = "a", f' href="{escape(href)}" rel="noopener noreferrer nofollow"'
            if href.casefold().startswith("http"):
                more += ' target="_blank"'
        elif tag == "span" and names.pop("class", None) == "tg-spoiler":
            ours = "span"
        elif tag == "code" and (names.get("class") or "").startswith("language-"):
            del names["class"]
        elif tag == "blockquote":
            names.pop("expandable", None)
        if ours is None or names:
            raise _Unknown
        if tag in {"tg-spoiler", "span"}:
            more = ' class="spoiler" tabindex="0"'
        self._open.append((tag, ours))
        self._pieces.append(f"<{ours}{more}>")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag, attrs
        raise _Unknown

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1][0] != tag:
            raise _Unknown
        self._pieces.append(f"</{self._open.pop()[1]}>")

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


def letter_html(html: str) -> str:
    """HTML of ours for a letter in Telegram's; anything else as it stands."""
    if html.count("<") > _MOST_TAGS:
        return plain_html(html)
    try:
        shown = _Reader().read(html.replace("\0", "\N{REPLACEMENT CHARACTER}"))
    except (_Unknown, AssertionError, ValueError):  # the parser asserts where markup is odd
        return plain_html(html)
    if shown.count("\0") or not shown.strip():
        return plain_html(html)
    shown = shown.encode("utf-8", "replace").decode()
    return f'<div class="plain">{shown}</div>\n'
