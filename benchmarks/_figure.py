"""What a benchmark gives back, and the small tools with which it measures."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from attrs import frozen


@frozen(kw_only=True)
class Figure:
    """One number."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    """What it should not exceed (`is_at_least`: fall below); None: only for comparison."""
    is_at_least: bool = False
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the limit is kept; None when there is none."""
        if self.limit is None:
            return None
        return self.value >= self.limit if self.is_at_least else self.value <= self.limit


def percentile(samples: Sequence[float], percent: float) -> float:
    """The sample below which `percent` of the samples lie."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def alternate(
    candidates: dict[str, Callable[[], object]], *, rounds: int, calls: int
) -> dict[str, list[float]]:
    """Seconds of each call of each candidate.

    The candidates take turns call by call, so that whatever else the machine does meets all of
    them alike.
    """
    samples: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for _ in range(calls):
            for name, call in candidates.items():
                begun = time.perf_counter()
                call()
                samples[name].append(time.perf_counter() - begun)
    return samples


def median_ms(samples: Sequence[float]) -> float:
    """The median in milliseconds."""
    return statistics.median(samples) * 1e3
