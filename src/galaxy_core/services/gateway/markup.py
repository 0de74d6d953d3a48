"""Other people's words inside sentences of ours: shown as they are, never marking anything up."""

from __future__ import annotations

import re

_MARKS = re.compile(r"[\\`*_\[\]<>~|&]")
_BLOCK = re.compile(r"[#+\-=]|\d+[.)]")
"""What marks a block where a line begins."""
_ESCAPED = re.compile(r"\\([^\w\s]|_)|[*_`]")


def plain(text: str) -> str:
    """Markdown that shows the text, in one line, character by character."""
    line = " ".join(text.split())
    marked = _MARKS.sub(r"\\\g<0>", line)
    begin = _BLOCK.match(line)
    return marked if begin is None else f"{marked[: begin.end() - 1]}\\{marked[begin.end() - 1 :]}"


def code(text: str) -> str:
    """Markdown that shows the text, in one line, as code; where lines end is shown."""
    line = " ⏎ ".join(text.strip().splitlines()) or " "
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    gap = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{gap}{line}{gap}{fence}"


def bare(text: str) -> str:
    """A sentence of ours without its marks, for where there is no Markdown."""
    return " ".join(_ESCAPED.sub(lambda found: found[1] or "", text).split())
