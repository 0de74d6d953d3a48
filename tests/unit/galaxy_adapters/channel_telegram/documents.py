"""Markdown that is made up, together with the words that a reader must find in it."""

from __future__ import annotations

import random
from collections.abc import Callable

from attrs import define, field


@define
class Document:
    """Pieces of Markdown; every word in them that can be seen is noted, in its order."""

    chance: random.Random
    words: list[str] = field(factory=list)
    is_ordered: bool = True
    """False once there is a table, which may be turned round."""

    def word(self) -> str:
        """One more word, found nowhere else."""
        word = f"w{len(self.words)}{self.chance.choice('äxß漢я')}z"
        self.words.append(word)
        return word

    def inline(self, depth: int = 0) -> str:
        """A piece of a line."""
        w = self.word
        inner = self.inline if depth < 3 else self._plain
        makers: list[Callable[[], str]] = [
            w,
            self._plain,
            lambda: f"**{inner(depth + 1)}**",
            lambda: f"*{inner(depth + 1)}*",
            lambda: f"~~{inner(depth + 1)}~~",
            lambda: f"`{w()}`",
            lambda: f"``{w()}`{w()}``",
            lambda: f"[{w()}](https://example.org/a_b*c)",
            lambda: f"![{w()}](https://example.org/p.png)",
            lambda: f"[{w()}](src/{w()}.py)",
            lambda: f"[{w()}](javascript:{w()})",
            lambda: f"<https://example.org/{w()}>",
            lambda: f"Vec<{w()}>",
            lambda: f"<b>{w()}</b>",
            lambda: f"<!-- {w()} -->",
            lambda: f"{w()} || {w()} || {w()}",
            lambda: f"${w()}/${w()} ~{w()} and ~{w()}~",
            lambda: f"\\({w()}\\) \\\\{w()}",
            lambda: f"a_{w()}_b *{w()} __{w()}",
            lambda: f"[{w()}] [ ] ({w()}",
            lambda: f"[^{w()}]",
            lambda: f"&lt;{w()}&gt; &{w()};",
            lambda: f"\U0001f468\u200d\U0001f469\u200d\U0001f467{w()}\u202e{w()}\u202c",
            lambda: f"\x00{w()}\x1b[1m{w()}\ud83d{w()}",
        ]
        return self.chance.choice(makers)()

    def _plain(self, _depth: int = 0) -> str:
        return " ".join(self.word() for _ in range(self.chance.randint(1, 12)))

    def line(self) -> str:
        """One line."""
        return " ".join(self.inline() for _ in range(self.chance.randint(1, 5)))

    def block(self, depth: int = 0) -> str:
        """One block, of lines."""
        makers: list[Callable[[], str]] = [
            self.line,
            self.line,
            lambda: "\n".join(self.line() for _ in range(self.chance.randint(2, 5))),
            lambda: f"{'#' * self.chance.randint(1, 6)} {self.line()}",
            lambda: f"{self.word()}\n=====",
            self._fence,
            self._fence,
            lambda: f"    {self.word()}\n      {self.word()}",
            lambda: f"<div>\n{self.line()}\n</div>",
            lambda: f"[{self.word()}]: {self.word()}",
            lambda: f"[^{self.word()}]: {self.line()}",
            self._table,
            lambda: "---",
        ]
        if depth < 4:
            makers += [
                lambda: self._quoted(depth),
                lambda: self._list(depth, "- "),
                lambda: self._list(depth, "1. "),
                lambda: self._list(depth, "- [x] "),
            ]
        return self.chance.choice(makers)()

    def _fence(self) -> str:
        mark = self.chance.choice(["```", "~~~", "`````"])
        info = self.chance.choice(["", "python", "c++", "python title="])
        if info.endswith("="):
            info += self.word()
        count = self.chance.choice([1, 5, 200, 700])
        lines = [f"{' ' * self.chance.randint(0, 8)}{self.word()} <b> ||" for _ in range(count)]
        end = self.chance.choice([f"\n{mark}", f"\n{mark}", ""])
        return "\n".join([f"{mark}{info}", *lines]) + end

    def _table(self) -> str:
        self.is_ordered = False
        columns = self.chance.randint(1, 5)

        def row(extra: int = 0) -> str:
            cells = (self.chance.choice([self.word, self._plain])() for _ in range(columns + extra))
            return "| " + " | ".join(cells)

        rows = [row(), "|---" * columns, *(row(self.chance.randint(-1, 2)) for _ in range(3))]
        return "\n".join(rows)

    def _quoted(self, depth: int) -> str:
        inner = "\n\n".join(self.block(depth + 1) for _ in range(self.chance.randint(1, 3)))
        return "\n".join(f"> {line}" for line in inner.split("\n"))

    def _list(self, depth: int, mark: str) -> str:
        gap = self.chance.choice(["\n", "\n\n"])
        items = []
        for _ in range(self.chance.randint(1, 4)):
            inner = gap.join(self.block(depth + 1) for _ in range(self.chance.randint(1, 2)))
            items.append(mark + inner.replace("\n", "\n" + " " * len(mark)))
        return gap.join(items)


def make_document(seed: int) -> tuple[str, Document]:
    """Make one up; the same number, the same document."""
    document = Document(random.Random(seed))
    blocks = [document.block() for _ in range(document.chance.randint(1, 12))]
    return document.chance.choice(["\n", "\n\n", "\r\n\r\n"]).join(blocks), document
