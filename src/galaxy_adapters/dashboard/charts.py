"""Charts as small SVG, drawn here: no script, colours from the style sheet.

They are stretched to the width that there is, so all text stands around them, in HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape

from attrs import frozen

from galaxy_adapters.dashboard import words
from galaxy_core.domain.insight import Slot
from galaxy_core.domain.response import Outcome

__all__ = ["RANGES", "Chart", "Range", "charts"]

_HEIGHT = 100
_STEP = 10
_GAP = 2


@frozen(kw_only=True)
class Range:
    """A stretch of time, in pieces."""

    name: str
    word: str
    length: timedelta
    width: timedelta
    pattern: str
    """How its times are written."""

    def begin(self, now: datetime) -> datetime:
        """Where it begins: pieces stay where they are while time goes on, so that charts do."""
        width = self.width.total_seconds()
        end = (now.timestamp() // width + 1) * width
        return datetime.fromtimestamp(end, tz=now.tzinfo) - self.length


RANGES = {
    each.name: each
    for each in (
        Range(
            name="hour",
            word="Hour",
            length=timedelta(hours=1),
            width=timedelta(minutes=2),
            pattern="%H:%M",
        ),
        Range(
            name="day",
            word="Day",
            length=timedelta(days=1),
            width=timedelta(minutes=30),
            pattern="%H:%M",
        ),
        Range(
            name="week",
            word="Week",
            length=timedelta(days=7),
            width=timedelta(hours=4),
            pattern="%a %d",
        ),
        Range(
            name="month",
            word="Month",
            length=timedelta(days=30),
            width=timedelta(days=1),
            pattern="%d %b",
        ),
    )
}

_ENDS: Sequence[tuple[str, str, frozenset[Outcome]]] = (
    ("good", "succeeded", frozenset({Outcome.SUCCEEDED})),
    ("bad", "failed", frozenset({Outcome.FAILED, Outcome.DEAD})),
    ("rest", "cancelled or expired", frozenset({Outcome.CANCELLED, Outcome.EXPIRED})),
)


@frozen(kw_only=True)
class Chart:
    """A picture, and all that is written around it."""

    title: str
    svg: str
    """HTML of our own making."""
    top: str
    """What the upper edge stands for."""
    summary: str
    """What it shows, in one line, for all and for those who do not see it."""
    legend: tuple[tuple[str, str], ...]
    """Class and word."""
    ticks: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """The same as a table; pieces in which nothing happened are left out."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing happened at all."""
        return not self.rows


def charts(slots: Sequence[Slot], stretch: Range) -> tuple[Chart, ...]:
    """All of them, over the same time."""
    return (_throughput(slots, stretch), _durations(slots, stretch), _tokens(slots, stretch))


def _throughput(slots: Sequence[Slot], stretch: Range) -> Chart:
    counts = [[sum(s.ended.get(o, 0) for o in kinds) for _, _, kinds in _ENDS] for s in slots]
    top = max((sum(each) for each in counts), default=0)
    columns = []
    for number, (slot, values) in enumerate(zip(slots, counts, strict=True)):
        if not any(values):
            continue
        text = ", ".join(f"{v} {_ENDS[n][1]}" for n, v in enumerate(values) if v)
        height = 0.0
        pieces = []
        for (css, _, _), value in zip(_ENDS, values, strict=True):
            if value:
                piece = _HEIGHT * value / top
                pieces.append(_bar(number, height, piece, css))
                height += piece
        columns.append(_column(number, f"{_when(slot, stretch)}: {text}", pieces))
    ended = sum(map(sum, counts))
    failed = sum(values[1] for values in counts)
    return Chart(
        title="Orders that ended",
        svg=_svg(len(slots), columns),
        top=str(top),
        summary=f"{words.many(ended, 'order')}, {failed} failed",
        legend=tuple((css, word) for css, word, _ in _ENDS),
        ticks=_ticks(slots, stretch),
        header=("From", *(word.capitalize() for _, word, _ in _ENDS)),
        rows=tuple(
            (_when(slot, stretch), *map(str, values))
            for slot, values in zip(slots, counts, strict=True)
            if any(values)
        ),
    )


def _durations(slots: Sequence[Slot], stretch: Range) -> Chart:
    known = [s for s in slots if s.run_seconds_p95 is not None]
    top = max((s.run_seconds_p95 or 0.0 for s in known), default=0.0)
    columns = []
    for number, slot in enumerate(slots):
        half, most = slot.run_seconds_p50, slot.run_seconds_p95
        if half is None or most is None or not top:
            continue
        text = f"{_when(slot, stretch)}: half within {_seconds(half)}, 95 % within {_seconds(most)}"
        columns.append(
            _column(
                number,
                text,
                [
                    _bar(number, 0, _HEIGHT * most / top, "most"),
                    _bar(number, 0, _HEIGHT * half / top, "half"),
                ],
            )
        )
    return Chart(
        title="How long orders ran",
        svg=_svg(len(slots), columns),
        top=_seconds(top) if known else "0 s",
        summary=f"at most {_seconds(top)} (95 %)" if known else "nothing ran",
        legend=(("half", "half within"), ("most", "95 % within")),
        ticks=_ticks(slots, stretch),
        header=("From", "Half within", "95 % within"),
        rows=tuple(
            (_when(s, stretch), _seconds(s.run_seconds_p50), _seconds(s.run_seconds_p95))
            for s in known
        ),
    )


def _tokens(slots: Sequence[Slot], stretch: Range) -> Chart:
    top = max((s.tokens for s in slots), default=0)
    columns = [
        _column(
            number,
            f"{_when(s, stretch)}: {s.tokens:,} tokens, {words.money(s.cost_usd)}",
            [_bar(number, 0, _HEIGHT * s.tokens / top, "tokens")],
        )
        for number, s in enumerate(slots)
        if s.tokens
    ]
    total, cost = sum(s.tokens for s in slots), sum(s.cost_usd for s in slots)
    return Chart(
        title="Tokens and cost",
        svg=_svg(len(slots), columns),
        top=words.amount(top),
        summary=f"{words.amount(total)} tokens, {words.money(cost)}",
        legend=(("tokens", "tokens"),),
        ticks=_ticks(slots, stretch),
        header=("From", "Tokens", "Cost"),
        rows=tuple(
            (_when(s, stretch), f"{s.tokens:,}", words.money(s.cost_usd))
            for s in slots
            if s.tokens or s.cost_usd
        ),
    )


# ---- drawing


def _svg(columns: int, content: Sequence[str]) -> str:
    width = max(1, columns) * _STEP
    lines = "".join(
        f'<line x1="0" x2="{width}" y1="{y}" y2="{y}" class="grid"/>' for y in (0, 50, 100)
    )
    return (
        f'<svg viewBox="0 0 {width} {_HEIGHT}" preserveAspectRatio="none" aria-hidden="true"'
        f' focusable="false">{lines}{"".join(content)}</svg>'
    )


def _column(number: int, text: str, pieces: Sequence[str]) -> str:
    """A piece of time, with words for who points at it, wherever in its column."""
    field = f'<rect x="{number * _STEP}" width="{_STEP}" height="{_HEIGHT}" class="field"/>'
    return f"<g><title>{escape(text)}</title>{field}{''.join(pieces)}</g>"


def _bar(number: int, begin: float, height: float, css: str) -> str:
    height = max(height, 1.0)  # one of a thousand can still be seen
    x, width = number * _STEP + _GAP / 2, _STEP - _GAP
    y = _HEIGHT - begin - height
    return f'<rect x="{x:g}" y="{y:.1f}" width="{width}" height="{height:.1f}" class="{css}"/>'


def _ticks(slots: Sequence[Slot], stretch: Range) -> tuple[str, ...]:
    if not slots:
        return ()
    chosen = [slots[0], slots[len(slots) // 2], slots[-1]]
    return tuple(_when(slot, stretch) for slot in chosen)


def _when(slot: Slot, stretch: Range) -> str:
    return slot.begins.strftime(stretch.pattern)


def _seconds(number: float | None) -> str:
    return words.span(None if number is None else timedelta(seconds=number))
