"""The short form of `make endurance`, and what its verdict is made of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.endurance.gauge import holding
from tests.endurance.run import LIMITS, MEGABYTE, Wish, run
from tests.endurance.verdict import Tolerance, level

SEED = int(os.environ.get("GALAXY_SEED", "1"))  # noqa: TID251 - repeats a run


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_grows_with_the_orders(tmp_path: Path) -> None:
    """After many orders as many handles, threads, watches and tasks; no file when all is old."""
    wish = Wish(
        seed=SEED,
        orders=100,
        minutes=0.3,  # as fast as they go; on a busy machine it takes longer
        people=4,
        sample_every=12,
        limits={
            **LIMITS,
            # Too few orders to tell warming up from growing; the long form is strict.
            "memory": Tolerance(0.25, 15 * MEGABYTE),
            "objects": Tolerance(0.10, 10_000),
        },
        judges_disk_level=False,
        is_patient=True,
    )
    outcome = run(tmp_path, wish)
    assert outcome.is_good, "\n".join([*outcome.problems, *map(str, outcome.levels), outcome.logs])
    assert outcome.facts["orders"] == wish.orders
    assert {each.name for each in outcome.levels} >= {"gateway: handles", "hermes: tasks"}


@pytest.mark.parametrize(
    "row, is_level",
    [
        ([1, 9, 9, 9, 9, 9], True),
        ([9, 9, 9, 9, 12, 12], True),
        ([9, 9, 9, 9, 13, 13], False),
        ([9, 9, 10, 11, 14, 16, 18, 20, 22], False),
        ([9, 9, 9, 30, 9, 9, 30, 9, 9], True),
    ],
)
def test_a_level_is_the_last_third_beside_the_middle_one(
    row: list[float], *, is_level: bool
) -> None:
    """Warming up does not count, nor does one moment; what goes on rising does."""
    assert level("row", row, Tolerance(0.0, 3)).is_level is is_level


def test_few_samples_say_nothing() -> None:
    """A run that was too short is no proof."""
    with pytest.raises(ValueError, match="say nothing"):
        level("row", [1, 1, 1], Tolerance(0.0, 3))


def test_a_handle_more_is_seen(tmp_path: Path) -> None:
    """The gauge counts what a process holds, so a leak cannot hide from it."""
    before = holding(os.getpid())
    with (tmp_path / "one").open("w"), (tmp_path / "two").open("w"):
        after = holding(os.getpid())
    assert before is not None
    assert after is not None
    assert after.handles == before.handles + 2
    assert min(after.memory, after.threads) > 0
