"""The short form of `make chaos`: a few kills over a few orders, in seconds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chaos.run import Wish, run
from tests.chaos.times import percentile

pytest_plugins = ["galaxy_core.testing.fixtures_opencode"]

SEED = int(os.environ.get("GALAXY_SEED", "1"))  # noqa: TID251 - repeats a run


def _hold(folder: Path, wish: Wish) -> None:
    outcome = run(folder, wish)
    print("\n".join(outcome.report()))
    assert outcome.is_good, "\n".join([*outcome.report(), outcome.logs])
    assert outcome.storm.killed >= wish.kills
    assert outcome.books.facts["orders"] == wish.orders


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_nothing_is_lost_in_a_storm(tmp_path: Path) -> None:
    """Gateway and Hermes die, Telegram fails: one answer for each order, and a whole trail."""
    wish = Wish(
        seed=SEED,
        orders=24,
        kills=5,
        minutes=1.5,  # at the latest; it ends with its last kill
        drain_minutes=1.2,
        people=3,
        with_disk=False,
        has_long_freezes=False,
    )
    _hold(tmp_path, wish)


@pytest.mark.opencode
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_no_prompt_reaches_the_model_twice(tmp_path: Path, opencode_binary: Path) -> None:
    """The same with the real agent, which dies too: the model begins on each prompt once."""
    wish = Wish(
        seed=SEED,
        orders=6,
        kills=2,
        minutes=1.5,
        drain_minutes=1.2,
        people=2,
        opencode=opencode_binary,
        with_disk=False,
        has_long_freezes=False,
    )
    _hold(tmp_path, wish)


def test_percentiles_are_values_that_were_measured() -> None:
    """The nearest rank: of a hundred values the 99th, of one value that value."""
    values = [float(number) for number in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.99, 1.0)] == [50.0, 99.0, 100.0]
    assert percentile([3.0], 0.99) == 3.0
