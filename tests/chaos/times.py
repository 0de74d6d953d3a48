"""What was measured: how long until trouble was noticed, and until it was over."""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable

from attrs import define, field


def percentile(values: Iterable[float], share: float) -> float:
    """The value below which that share of them lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1]


@define
class Times:
    """Seconds by kind of trouble; for several threads."""

    _detected: dict[str, list[float]] = field(factory=lambda: defaultdict(list), init=False)
    _recovered: dict[str, list[float]] = field(factory=lambda: defaultdict(list), init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def add(self, kind: str, detected: float | None, recovered: float) -> None:
        """Note one; None where nothing had to notice."""
        with self._lock:
            if detected is not None:
                self._detected[kind].append(detected)
            self._recovered[kind].append(recovered)

    def worst(self, is_meant: Callable[[str], bool] = lambda _: True) -> tuple[float, float]:
        """The longest detection and the longest recovery, of the kinds that are meant."""
        with self._lock:
            longest = [
                max(
                    (s for kind, each in times.items() if is_meant(kind) for s in each), default=0.0
                )
                for times in (self._detected, self._recovered)
            ]
        return longest[0], longest[1]

    def table(self) -> list[str]:
        """A line for each kind, as Markdown."""
        lines = [
            "| trouble | times | noticed p50 / p99 / worst (s) | recovered p50 / p99 / worst (s) |",
            "|---|---|---|---|",
        ]
        for kind, recovered in sorted(self._recovered.items()):
            shown = [_shown(self._detected.get(kind, [])), _shown(recovered)]
            lines.append(f"| {kind} | {len(recovered)} | {' | '.join(shown)} |")
        return lines


def _shown(values: list[float]) -> str:
    if not values:
        return "-"
    return " / ".join(f"{percentile(values, share):.2f}" for share in (0.5, 0.99, 1.0))
