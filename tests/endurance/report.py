"""What a run says to people: Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence

from tests.endurance.gauge import Sample
from tests.endurance.run import MEGABYTE, Outcome, Wish
from tests.endurance.verdict import Level


def report(outcome: Outcome) -> list[str]:
    """Everything."""
    wish = outcome.wish
    agent = "opencode" if wish.opencode else "the fake opencode"
    orders = outcome.facts.get("orders")
    whole = f"{orders} orders in {outcome.seconds:.0f} s"
    return [
        f"seed {wish.seed}, {agent}: {whole}, a day of housekeeping is {wish.day_s:g} s",
        *(f"{name}: {number}" for name, number in outcome.facts.items()),
        *(f"PROBLEM: {text}" for text in outcome.problems),
        "",
        *samples_table(outcome.samples),
        "",
        *levels_table(outcome.levels),
        "",
        "everything levels off" if outcome.is_good else f"NOT level: repeat with {replay(wish)}",
    ]


def replay(wish: Wish) -> str:
    """The arguments that repeat a run."""
    agent = "opencode" if wish.opencode else "fake"
    words = f"--seed {wish.seed} --orders {wish.orders} --minutes {wish.minutes:g}"
    return f"{words} --agent {agent}"


def samples_table(samples: Sequence[Sample]) -> list[str]:
    """What was held after so many orders."""
    names = sorted({name for sample in samples for name in sample.processes})
    heads = [f"{name}: MB / handles / threads / watches / tasks" for name in names]
    lines = [
        f"| orders | {' | '.join(heads)} | files | MB on disk |",
        "|" + "---|" * (len(names) + 3),
    ]
    for sample in samples:
        cells = []
        for name in names:
            held = sample.processes.get(name)
            counts = () if held is None else (held.handles, held.threads, held.watches, held.tasks)
            memory = "" if held is None else f"{held.memory / MEGABYTE:.1f}"
            cells.append(" / ".join([memory, *map(str, counts)]))
        files, size = sum(sample.files.values()), sum(sample.sizes.values()) / MEGABYTE
        lines.append(f"| {sample.orders} | {' | '.join(cells)} | {files} | {size:.1f} |")
    return lines


def levels_table(levels: Sequence[Level]) -> list[str]:
    """The verdict."""
    lines = [
        "| | first third | middle third | last third | level up to | |",
        "|---|---|---|---|---|---|",
    ]
    for each in levels:
        scale = MEGABYTE if each.name.endswith(("memory", "bytes")) else 1
        unit = " MB" if scale == MEGABYTE else ""
        numbers = (each.begin, each.middle, each.last, each.limit)
        shown = [f"{number / scale:,.1f}{unit}" for number in numbers]
        mark = "level" if each.is_level else "**grows**"
        lines.append(f"| {each.name} | {' | '.join(shown)} | {mark} |")
    return lines
