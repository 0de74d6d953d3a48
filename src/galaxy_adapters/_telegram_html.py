"""Telegram's HTML in letters that people and scripts write by hand, read strictly.

What is not exactly that (an unknown tag, one that is not closed, a crossing, a comment) is not read
at all: half of a form may say something else than its author meant.
"""

from __future__ import annotations

from abc import abstractmethod
from html.parser import HTMLParser
from typing import Generic, Never, TypeVar

Opened = TypeVar("Opened")

_MOST_TAGS = 2_000
"""More than any message shows; the parser's time grows with the square of what is not closed."""


class NotTelegramHtml(Exception):
    """It is something else."""


class TelegramHtmlReader(HTMLParser, Generic[Opened]):
    """Calls `handle_data` for text, `begin` and `end` for tags that are closed in their order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.opened: list[Opened] = []
        """What `begin` made of the tags that are not closed yet."""
        self._tags: list[str] = []

    def read(self, html: str) -> bool:
        """Read all of it, once; False when it is something else."""
        if html.count("<") > _MOST_TAGS:
            return False
        try:
            self.feed(html)
            self.close()
        except (NotTelegramHtml, AssertionError, ValueError):  # it asserts where markup is odd
            return False
        return not self._tags

    @abstractmethod
    def begin(self, tag: str, attributes: dict[str, str | None]) -> Opened:
        """Take a tag; `end` is given the answer.  Raises `NotTelegramHtml` for an unknown one."""

    @abstractmethod
    def end(self, opened: Opened) -> None:
        """Take the end of a tag, which is in `opened` no more."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin."""
        self.opened.append(self.begin(tag, dict(attrs)))
        self._tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """End, if it is the last one that was opened."""
        if not self._tags or self._tags.pop() != tag:
            raise NotTelegramHtml
        self.end(self.opened.pop())

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> Never:
        """Refuse."""
        del tag, attrs
        raise NotTelegramHtml

    def handle_comment(self, data: str) -> Never:
        """Refuse."""
        del data
        raise NotTelegramHtml

    def handle_decl(self, decl: str) -> Never:
        """Refuse."""
        del decl
        raise NotTelegramHtml

    handle_pi = unknown_decl = handle_comment
