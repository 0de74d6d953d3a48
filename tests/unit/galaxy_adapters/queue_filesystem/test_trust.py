"""Whose files are orders: other users of the machine are refused, and their files never run."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from galaxy_adapters.queue_filesystem import FilesystemOrderQueue, Trust
from galaxy_core.domain.delivery import Delivery
from galaxy_core.domain.ids import OrderId
from galaxy_core.testing.factories import make_order
from galaxy_core.testing.memory import ManualClock, MemoryIncidentSink
from galaxy_core.wire.layout import Layout

pytestmark = pytest.mark.anyio

STRANGER, GROUP = 12_345, 23_456
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def drop(layout: Layout, name: str = "order.json", *, mode: int = 0o644) -> Path:
    """Somebody drops an order."""
    layout.orders.mkdir(parents=True, exist_ok=True)
    path = layout.orders / name
    path.write_text('{"payload": "rm -rf everything", "chat_id": 5}', "utf-8")
    path.chmod(mode)
    return path


async def claim(layout: Layout, trust: Trust | None = None) -> Delivery:
    """What a worker is given."""
    queue = FilesystemOrderQueue(
        layout, machine="lab", clock=ManualClock(), incidents=MemoryIncidentSink(), trust=trust
    )
    async with queue:
        delivery = await queue.claim()
        assert delivery is not None
        return delivery


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Give an empty folder."""
    return Layout(tmp_path)


async def test_own_files_are_orders(layout: Layout) -> None:
    """What this user drops is taken, as what is handed in is."""
    drop(layout)
    assert (await claim(layout)).order.refusals == ()
    queue = FilesystemOrderQueue(
        layout, machine="lab", clock=ManualClock(), incidents=MemoryIncidentSink()
    )
    await queue.enqueue(make_order(id=OrderId("mine")))
    assert (layout.orders / "mine.json").stat().st_mode & 0o777 == 0o600
    for folder in (layout.orders, layout.archive, layout.corrupted, layout.queue_state):
        assert stat.S_IMODE(folder.stat().st_mode) & 0o022 == 0, folder


@as_root
async def test_files_of_other_users_are_refused(layout: Layout) -> None:
    """They end as failed, with a sentence that says whose they are and what can be done."""
    os.chown(drop(layout), STRANGER, GROUP)
    refusals = (await claim(layout)).order.refusals
    assert len(refusals) == 1
    assert "another user of this machine (number 12345)" in refusals[0]
    assert "security.order_group" in refusals[0]


@as_root
async def test_a_file_that_changes_hands_after_it_was_seen(layout: Layout) -> None:
    """The look that counts is the one at the claimed file: a rename over it changes nothing."""
    path = drop(layout)
    queue = FilesystemOrderQueue(
        layout, machine="lab", clock=ManualClock(), incidents=MemoryIncidentSink()
    )
    async with queue:
        os.chown(path, STRANGER, GROUP)  # seen before, as ours
        delivery = await queue.claim()
        assert delivery is not None
        assert delivery.order.refusals


@as_root
async def test_a_group_may_be_let_in(layout: Layout) -> None:
    """Files of the group that the settings name are taken; those of another group are not."""
    os.chown(drop(layout), STRANGER, GROUP)
    assert (await claim(layout, Trust(group=GROUP))).order.refusals == ()
    os.chown(drop(layout, "other.json"), STRANGER, GROUP + 1)
    queue = FilesystemOrderQueue(
        layout,
        machine="lab",
        clock=ManualClock(),
        incidents=MemoryIncidentSink(),
        trust=Trust(group=GROUP),
    )
    async with queue:
        delivery = await queue.claim(only=OrderId("other"))
        assert delivery is not None
        assert delivery.order.refusals


@as_root
async def test_a_user_that_is_not_root_trusts_root(layout: Layout) -> None:
    """Root may do everything anyway; other users are strangers to each other."""
    drop(layout)
    assert (await claim(layout, Trust(user=STRANGER))).order.refusals == ()


async def test_a_file_that_everybody_may_change_is_refused(layout: Layout) -> None:
    """Whoever owns it: nobody knows whose words it holds."""
    drop(layout, mode=0o666)
    refusals = (await claim(layout)).order.refusals
    assert "chmod o-w" in refusals[0]
    drop(layout, "group.json", mode=0o664)
    assert Trust().why_not((layout.orders / "group.json").stat()) is None


async def test_a_folder_that_everybody_may_write_into_is_closed(layout: Layout) -> None:
    """At the start the right is taken away, and people hear that it was there; once."""
    layout.orders.mkdir(parents=True)
    layout.orders.chmod(0o1777)
    incidents = MemoryIncidentSink()
    for _ in range(2):
        queue = FilesystemOrderQueue(
            layout, machine="lab", clock=ManualClock(), incidents=incidents
        )
        async with queue:
            assert stat.S_IMODE(layout.orders.stat().st_mode) == 0o1775
    assert [each.kind for each in incidents.incidents] == ["orders_folder_closed"]
    assert incidents.incidents[0].is_for_people
