"""How an order that is on its way looks: one message, short enough for a glance."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from galaxy_adapters.channel_telegram._markdown import from_markdown
from galaxy_adapters.channel_telegram._split import EMPTY, LONGEST_TEXT, can_be_seen, cut_to
from galaxy_adapters.channel_telegram._text import RichText, Span, bold, cleaned, joined, plain
from galaxy_core.domain.operations import Progress
from galaxy_core.domain.run import Todo
from galaxy_core.domain.state import OrderState
from galaxy_core.domain.status import Card, Notice, OrderStatus

_MOST_TODOS = 20
_LONGEST_LINE = 300
_LAST_LINES = 3
_HEADLINES = {
    OrderState.PENDING: ("\u23f3", "Waiting"),
    OrderState.CLAIMED: ("\u23f3", "Starting"),
    OrderState.RUNNING: ("\u2699\ufe0f", "Working"),
    OrderState.SUCCEEDED: ("\u2705", "Done"),
    OrderState.FAILED: ("\u26a0\ufe0f", "Failed"),
    OrderState.CANCELLED: ("\U0001f6ab", "Cancelled"),
    OrderState.EXPIRED: ("\u231b", "Expired"),
    OrderState.DEAD: ("\u26a0\ufe0f", "Given up"),
}
_BOXES = {
    "completed": "\u2611",
    "in_progress": "\u25b6\ufe0f",
    "cancelled": "\u2612",
}


def card_text(card: Card) -> RichText:
    """What a card's message says; it fits into one, and is never empty."""
    text = (
        from_markdown(card.text) if isinstance(card, Notice) else joined(_status_lines(card), "\n")
    )
    return cut_to(text, LONGEST_TEXT) if can_be_seen(text.text) else plain(EMPTY)


def _status_lines(status: OrderStatus) -> Iterator[RichText]:
    mark, word = _HEADLINES[status.state]
    yield joined([plain(f"{mark} "), bold(word), plain(_where(status))])
    if status.progress is not None:
        yield from _progress_lines(status.progress)


def _where(status: OrderStatus) -> str:
    words = []
    if status.place is not None:
        words.append("next in line" if status.place == 1 else f"place {status.place} in line")
    if status.waits_until is not None:
        words.append(f"begins {_moment(status.waits_until)}")
    if status.elapsed is not None:
        words.append(_duration(status.elapsed))
    words.append(status.machine)
    if status.progress is not None and status.progress.usage.total_tokens:
        words.append(f"{_count(status.progress.usage.total_tokens)} tokens")
    return "".join(f" \u00b7 {word}" for word in words if word)


def _progress_lines(progress: Progress) -> Iterator[RichText]:
    if progress.waiting_for:
        yield plain("\u2753 Waits for your answer")
    elif progress.tool:
        tool = _one_line(progress.tool)
        yield joined([plain("\U0001f527 "), RichText(tool, (Span("code", 0, len(tool)),))])
    if progress.todos:
        yield plain("")
        yield from map(_todo_line, progress.todos[:_MOST_TODOS])
        if len(progress.todos) > _MOST_TODOS:
            yield plain(f"\u2026 and {len(progress.todos) - _MOST_TODOS} more")
    if progress.note and progress.note.strip():
        yield plain("")
        lines = progress.note.strip().splitlines()[-_LAST_LINES:]
        yield from (plain(_one_line(line)) for line in lines)


def _todo_line(todo: Todo) -> RichText:
    line = plain(f"{_BOXES.get(todo.status, chr(0x2610))} {_one_line(todo.content)}")
    if todo.status == "cancelled":
        return RichText(line.text, (Span("strikethrough", 2, len(line.text)),))
    return line


def _one_line(text: str) -> str:
    line = " ".join(cleaned(text).split())
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}\u2026"


def _duration(elapsed: timedelta) -> str:
    seconds = int(elapsed.total_seconds())
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:  # noqa: PLR2004 - an hour
        return f"{minutes} min {seconds:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"


def _moment(moment: datetime) -> str:
    return f"{moment:%d %b %H:%M} UTC" if moment.tzinfo else f"{moment:%d %b %H:%M}"


def _count(number: int) -> str:
    return str(number) if number < 10_000 else f"{number / 1000:.0f}k"  # noqa: PLR2004 - four digits
