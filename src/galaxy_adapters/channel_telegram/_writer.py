"""Writes down, as text with spans, what the Markdown parser tells."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TypeAlias

from attrs import define, field

from galaxy_adapters.channel_telegram._tables import render_table
from galaxy_adapters.channel_telegram._text import RichText, Span, can_link, plain, settled

Place: TypeAlias = tuple[int, int]
"""A range of the source, in bytes."""

Event: TypeAlias = tuple[Any, Place]
"""What pyromark tells, and where it stands."""

_STYLES = {"Strong": "bold", "Emphasis": "italic", "Strikethrough": "strikethrough"}
_RULE = "\u2014" * 8
_BULLETS = ("\u2022 ", "\u25e6 ", "\u25aa ")
_MARKS = {True: "\u2611 ", False: "\u2610 "}
_PICTURE = "\U0001f5bc "
_DEEPEST_INDENT = 8

_CONTAINERS = {"BlockQuote", "FootnoteDefinition", "Item"}

_LANGUAGE = re.compile(r"[A-Za-z0-9_+#.-]{1,32}")


@define
class _Output:
    """Text that grows, with the spans that are finished and those that are open."""

    pieces: list[str] = field(factory=list)
    length: int = 0
    spans: list[Span] = field(factory=list)
    open: dict[str, list[int]] = field(factory=dict)
    blanks: int = 2
    """How many line ends it ends with; an empty text needs no distance."""

    def put(self, text: str) -> None:
        if not text:
            return
        self.pieces.append(text)
        self.length += len(text)
        body = text.rstrip("\n")
        newlines = len(text) - len(body)
        self.blanks = newlines if body else self.blanks + newlines

    def begin(self, kind: str) -> None:
        self.open.setdefault(kind, []).append(self.length)

    def finish(self, kind: str, value: str | None = None) -> None:
        """Close the innermost span of the kind; only the outermost one counts."""
        start = self.open[kind].pop()
        if not self.open[kind]:
            self.spans.append(Span(kind, start, self.length, value))

    def rich(self) -> RichText:
        text = "".join(self.pieces)
        return RichText(text, settled(self.spans))


@define
class _Link:
    """A link or a picture that is being read."""

    address: str
    start: int
    piece: int
    is_email: bool


@define
class Writer:
    """Writes down what pyromark tells; a stack of what is open, no recursion."""

    _source: bytes
    _out: _Output = field(factory=_Output)
    _read: int = 0
    """Where in the source the last thing ended that was written."""
    _lists: list[int | None] = field(factory=list)
    """The next number of each open list; None for bullets."""
    _quotes: int = 0
    _is_fresh: bool = True
    """Whether the next block goes on in the line that stands: a list's mark, a footnote's."""
    _links: list[_Link] = field(factory=list)
    _tildes: list[bool] = field(factory=list)
    """Whether each open strikethrough is one of two tildes."""
    _code: list[str] | None = None
    _language: str | None = None
    _outside: _Output | None = None
    """What is written while a table's cell is read."""
    _row: list[RichText] = field(factory=list)
    _rows: list[list[RichText]] = field(factory=list)
    _cell_end: int = 0

    def write(self, events: Iterable[Event]) -> RichText:
        for event, place in events:
            if isinstance(event, str):
                self._say(event, place)
            elif "Start" in event:
                self._start(*_tag(event["Start"]), place)
            elif "End" in event:
                self._end(_tag(event["End"])[0], place)
            else:
                ((kind, content),) = event.items()
                self._leaf(kind, content, place)
        return self._out.rich()

    # ---- pieces of a line

    def _say(self, event: str, place: Place) -> None:
        if event == "Rule":
            self._block(place)
            self._out.put(_RULE)
        elif self._outside is not None:
            self._out.put(" ")
        else:  # SoftBreak, HardBreak
            self._out.put("\n" + self._indent(len(self._lists)))
        self._read = place[1]

    def _leaf(self, kind: str, content: Any, place: Place) -> None:  # noqa: ANN401
        if kind == "Code":
            self._out.begin("code")
            self._out.put(content)
            self._out.finish("code")
        elif kind == "TaskListMarker":
            self._out.put(_MARKS[content])
        elif kind == "FootnoteReference":
            self._out.put(f"[{content}]")
        elif self._code is not None:
            self._code.append(content)
        elif kind == "Html":
            self._html(content, place)
        else:  # Text, InlineHtml
            self._out.put(content)
        self._is_fresh = False
        self._read = place[1]

    def _html(self, content: str, place: Place) -> None:
        """A line of an HTML block, shown as it stands; its end comes with the next one."""
        if not self._is_fresh:
            self._break(place[0])
        self._out.put(content.rstrip("\n"))
        self._is_fresh = False

    # ---- blocks

    def _start(self, name: str, value: Any, place: Place) -> None:  # noqa: ANN401
        if name in _STYLES:
            self._begin_style(name, place)
        elif name in {"Link", "Image"}:
            self._begin_link(name, value)
        elif name == "List":
            self._lists.append(value)
        elif name == "Item":
            self._begin_item(place)
        elif name in {"TableHead", "TableRow"}:
            self._row, self._cell_end = [], place[0]
        elif name == "TableCell":
            self._outside, self._out = self._out, _Output()
        else:
            self._begin_block(name, value, place)

    def _begin_block(self, name: str, value: Any, place: Place) -> None:  # noqa: ANN401
        if name == "CodeBlock":
            self._begin_code(value, place)
            return
        self._block(place)
        if name == "Heading":
            self._out.begin("bold")
        elif name == "BlockQuote":
            if not self._quotes:
                self._out.begin("blockquote")
            self._quotes += 1
            self._is_fresh = True
        elif name == "FootnoteDefinition":
            self._out.put(f"[{value}]: ")
            self._is_fresh = True
        elif name == "HtmlBlock":
            self._is_fresh = True
        elif name == "Table":
            self._rows = []

    def _end(self, name: str, place: Place) -> None:
        if name in _STYLES:
            self._finish_style(name)
        elif name in {"Link", "Image"}:
            self._finish_link()
        elif name == "List":
            self._lists.pop()
        elif name == "TableCell" and self._outside is not None:
            self._row.append(self._out.rich())
            self._out, self._outside = self._outside, None
            self._cell_end = place[1]
        elif name in {"TableHead", "TableRow"}:
            self._finish_row(place)
        else:
            self._finish_block(name, place)

    def _finish_block(self, name: str, place: Place) -> None:
        self._is_fresh = False
        if name == "Heading":
            self._out.finish("bold")
        elif name == "CodeBlock":
            self._finish_code()
        elif name == "Table":
            self._finish_table()
        elif name == "BlockQuote":
            self._quotes -= 1
            if not self._quotes:
                self._out.finish("blockquote")
        if name not in _CONTAINERS:
            self._read = max(self._read, place[1])

    def _block(self, place: Place) -> None:
        """Begin a block: at a distance from the last one as in the source."""
        if self._is_fresh:
            self._is_fresh = False
        else:
            self._break(place[0])
        self._read = max(self._read, place[0])

    def _break(self, start: int, depth: int | None = None) -> None:
        # Ends of blocks differ in whether they count the line's end in: one is always there.
        lines = self._source[self._read : start].count(b"\n")
        if self._read and self._source[self._read - 1 : self._read] == b"\n":
            lines += 1
        wanted = 2 if lines > 1 else 1
        self._out.put("\n" * (wanted - self._out.blanks))
        self._out.put(self._indent(len(self._lists) if depth is None else depth))

    def _indent(self, depth: int) -> str:
        return "" if self._outside is not None else "  " * min(depth, _DEEPEST_INDENT)

    def _begin_item(self, place: Place) -> None:
        depth = len(self._lists) - 1
        if self._is_fresh:
            self._is_fresh = False
        else:
            self._break(place[0], depth)
        number = self._lists[-1]
        if number is None:
            self._out.put(_BULLETS[min(depth, len(_BULLETS) - 1)])
        else:
            self._out.put(f"{number}. ")
            self._lists[-1] = number + 1
        self._is_fresh = True
        self._read = max(self._read, place[0] + 1)

    def _begin_code(self, kind: Any, place: Place) -> None:  # noqa: ANN401
        # On lines of its own, at the edge: what is code begins and ends with its characters.
        if self._is_fresh:
            self._out.put("\n" if self._out.blanks == 0 else "")
            self._is_fresh = False
        else:
            self._break(place[0], 0)
        info = kind["Fenced"].strip() if isinstance(kind, dict) else ""
        self._language = info if _LANGUAGE.fullmatch(info) else None
        if info and self._language is None:
            self._out.put(info + "\n")
        self._code = []

    def _finish_code(self) -> None:
        code = "".join(self._code or ()).removesuffix("\n")
        self._code = None
        self._out.begin("pre")
        self._out.put(code)
        self._out.finish("pre", self._language)
        self._out.blanks = 0

    # ---- styles and links

    def _begin_style(self, name: str, place: Place) -> None:
        if name == "Strikethrough":
            self._tildes.append(self._source[place[0] : place[0] + 2] == b"~~")
            if not self._tildes[-1]:  # a single tilde is "about"
                self._out.put("~")
                return
        self._out.begin(_STYLES[name])

    def _finish_style(self, name: str) -> None:
        if name == "Strikethrough" and not self._tildes.pop():
            self._out.put("~")
            return
        self._out.finish(_STYLES[name])

    def _begin_link(self, name: str, link: dict[str, str]) -> None:
        if name == "Image":
            self._out.put(_PICTURE)
        is_email = link["link_type"] == "Email"
        self._links.append(
            _Link(link["dest_url"], self._out.length, len(self._out.pieces), is_email)
        )

    def _finish_link(self) -> None:
        link = self._links.pop()
        words = "".join(self._out.pieces[link.piece :]).strip()
        if not words:
            self._out.put(link.address)
        if self._links or not link.address or link.is_email:
            return
        if can_link(link.address):
            self._out.spans.append(Span("text_link", link.start, self._out.length, link.address))
        elif words and words != link.address:
            self._out.put(f" ({link.address})")

    # ---- tables

    def _finish_row(self, place: Place) -> None:
        """Keep what stands behind the last column: the parser leaves it out."""
        rest = self._source[self._cell_end : place[1]].decode().strip().strip("|").strip()
        if rest:
            self._row.append(plain(rest))
        self._rows.append(self._row)

    def _finish_table(self) -> None:
        if not self._rows:
            return
        table = render_table(self._rows[0], self._rows[1:])
        start = self._out.length
        self._out.put(table.text)
        self._out.blanks = 0
        for span in table.spans:
            self._out.spans.append(
                Span(span.kind, start + span.start, start + span.end, span.value)
            )


def _tag(tag: Any) -> tuple[str, Any]:  # noqa: ANN401 - pyromark's tags are words or {word: value}
    if isinstance(tag, str):
        return tag, None
    ((name, value),) = tag.items()
    return name, value
