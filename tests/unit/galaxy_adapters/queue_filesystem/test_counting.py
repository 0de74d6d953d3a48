"""Counting what is open does not look at what is over."""

from __future__ import annotations

from pathlib import Path

import pytest

from galaxy_adapters.queue_filesystem import FilesystemOrderCatalogue
from galaxy_adapters.queue_filesystem._archive import Archive
from galaxy_core.domain.state import FINAL, OrderState
from galaxy_core.testing.clock import ManualClock
from galaxy_core.testing.memory import MemoryControl
from galaxy_core.wire.layout import Layout

pytestmark = pytest.mark.anyio


async def test_open_orders_are_counted_without_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred thousand orders that ended cost the count of the open ones nothing."""
    layout, clock = Layout(tmp_path), ManualClock()
    layout.orders.mkdir(parents=True)
    (layout.orders / "one.json").write_text('{"type": "galaxy_order", "payload": "hello"}')

    def read(_archive: Archive) -> None:
        raise AssertionError("the archive was read")

    monkeypatch.setattr(Archive, "tally", read)
    catalogue = FilesystemOrderCatalogue(
        layout, machine="lab", clock=clock, control=MemoryControl(clock)
    )
    live = frozenset(OrderState) - FINAL
    assert await catalogue.count(states=live) == {OrderState.PENDING: 1}
