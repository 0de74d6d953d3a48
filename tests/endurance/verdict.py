"""Whether something levels off: the last third of the time compared with the middle one."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from attrs import frozen

FEWEST = 6
"""Samples without which nothing is said."""


@frozen
class Tolerance:
    """How much more the last third's median may be: a share of the middle's, or so much more."""

    share: float
    slack: float


@frozen
class Level:
    """What came of one row of numbers."""

    name: str
    begin: float
    middle: float
    last: float
    tolerance: Tolerance

    @property
    def limit(self) -> float:
        """The highest median that is level."""
        return max(self.middle * (1 + self.tolerance.share), self.middle + self.tolerance.slack)

    @property
    def is_level(self) -> bool:
        """Whether it stays below."""
        return self.last <= self.limit


def level(name: str, row: Sequence[float], tolerance: Tolerance) -> Level:
    """Judge one row of numbers, in their order; the first third is the warming up.

    Raises `ValueError` for too few.
    """
    if len(row) < FEWEST:
        raise ValueError(f"{name}: {len(row)} samples say nothing")
    third = len(row) // 3
    thirds = row[:third], row[third:-third], row[-third:]
    begin, middle, last = (float(statistics.median(part)) for part in thirds)
    return Level(name, begin, middle, last, tolerance)
