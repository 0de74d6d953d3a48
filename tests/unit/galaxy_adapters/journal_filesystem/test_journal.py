"""Run journals: what was written counts, what was torn does not, and no sync is missing."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from attrs import evolve

from galaxy_adapters.journal_filesystem import FilesystemRunJournal
from galaxy_core.domain.delivery import RunRecord
from galaxy_core.domain.errors import InvalidOrder, StorageUnavailable
from galaxy_core.domain.ids import OrderId
from galaxy_core.testing.factories import make_settlement, make_ticket
from galaxy_core.wire.layout import Layout
from tests.unit.galaxy_adapters.dying import every_death

pytestmark = pytest.mark.anyio

A = OrderId("a")
SYNCS = [name for name in ("fsync", "fdatasync") if hasattr(os, name)]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Give a machine that has run nothing."""
    return Layout(tmp_path)


@pytest.fixture
def journal(layout: Layout) -> FilesystemRunJournal:
    """Give its journals."""
    return FilesystemRunJournal(layout)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note what is synced: `file` or `folder`."""
    kinds: list[str] = []
    for name in SYNCS:
        monkeypatch.setattr(os, name, _noting(getattr(os, name), kinds))
    return kinds


def _noting(real: Callable[[int], None], kinds: list[str]) -> Callable[[int], None]:
    def sync(fd: int) -> None:
        kinds.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        real(fd)

    return sync


async def test_syncs(journal: FilesystemRunJournal, layout: Layout, synced: list[str]) -> None:
    """The first line costs a sync of file and folder, each further one a sync of the file."""
    await journal.write_ticket(OrderId("warm-up"), make_ticket())
    synced.clear()
    await journal.write_ticket(A, make_ticket())
    assert synced == ["file", "folder"]
    synced.clear()
    await journal.write_settlement(make_settlement(order_id="a"))
    assert synced == ["file"]
    synced.clear()
    # Whoever wrote the name may have died before it was safe.
    await FilesystemRunJournal(layout).write_ticket(A, make_ticket())
    assert synced == ["file", "folder"]


async def test_decision_met_is_made_durable(
    journal: FilesystemRunJournal, layout: Layout, synced: list[str]
) -> None:
    """A settlement that stands is synced before a second one is passed over for it."""
    await journal.write_settlement(make_settlement(order_id="a", text="first"))
    synced.clear()
    await FilesystemRunJournal(layout).write_settlement(make_settlement(order_id="a", text="2"))
    assert synced == ["file", "folder"]


@pytest.mark.parametrize("has_room", [True, False])
async def test_torn_at_every_byte(
    journal: FilesystemRunJournal, layout: Layout, *, has_room: bool
) -> None:
    """However much of the last line is left, it counts as unwritten and is passed over."""
    first, second, third = make_ticket(), make_ticket(attempt=2), make_ticket(attempt=3)
    await journal.write_ticket(A, first)
    path = layout.run_journal(A)
    whole_lines = len(path.read_bytes().rstrip(b"\n")) + 1
    await journal.write_ticket(A, second)
    room = path.stat().st_size if has_room else 0
    text = path.read_bytes().rstrip(b"\n")
    assert whole_lines < len(text)
    for size in range(whole_lines, len(text)):
        path.write_bytes(text[:size].ljust(room, b"\n"))
        assert await journal.read(A) == RunRecord(tickets=(first,))
    await journal.write_ticket(A, third)
    assert await journal.read(A) == RunRecord(tickets=(first, third))


async def test_sectors_of_a_torn_line(journal: FilesystemRunJournal, layout: Layout) -> None:
    """A power cut may keep any sectors of a line: unless it keeps all, the line does not count."""
    ticket = make_ticket()
    await journal.write_ticket(A, ticket)
    path = layout.run_journal(A)
    before = path.read_bytes()
    await journal.write_settlement(make_settlement(order_id="a", text='{"type":"ticket"}\n' * 90))
    after = path.read_bytes()
    sectors = [
        n for n in range(len(after) // 512) if before[n * 512 :][:512] != after[n * 512 :][:512]
    ]
    assert len(sectors) > 3
    for lost in sectors:
        start = lost * 512
        path.write_bytes(after[:start] + before[start : start + 512] + after[start + 512 :])
        assert (await journal.read(A)).settlement is None
        assert ticket in (await journal.read(A)).tickets
        path.write_bytes(before[:start] + after[start : start + 512] + before[start + 512 :])
        assert (await journal.read(A)).settlement is None


async def test_room_is_kept(journal: FilesystemRunJournal, layout: Layout) -> None:
    """Lines go into the room that was made with the first one, so that none changes the size."""
    ticket, settlement = make_ticket(), make_settlement(order_id="a", text="done " * 500)
    await journal.write_ticket(A, ticket)
    size = layout.run_journal(A).stat().st_size
    await FilesystemRunJournal(layout).write_settlement(settlement)
    assert layout.run_journal(A).stat().st_size == size
    assert await journal.read(A) == RunRecord(tickets=(ticket,), settlement=settlement)


async def test_lines_beyond_the_room(journal: FilesystemRunJournal, layout: Layout) -> None:
    """A decision of any length is written, and what follows it as well."""
    ticket, later = make_ticket(), make_ticket(attempt=2)
    settlement = make_settlement(order_id="a", text="long " * 20_000)
    await journal.write_ticket(A, ticket)
    await journal.write_settlement(settlement)
    await journal.write_ticket(A, later)
    assert await journal.read(A) == RunRecord(tickets=(ticket, later), settlement=settlement)
    await journal.write_settlement(evolve(settlement, order_id=OrderId("b")))
    assert (await journal.read(OrderId("b"))).settlement is not None


async def test_blanks_of_a_power_cut(journal: FilesystemRunJournal, layout: Layout) -> None:
    """Lines that the disk never got are passed over, whatever stands there."""
    ticket = make_ticket()
    await journal.write_ticket(A, ticket)
    path = layout.run_journal(A)
    path.write_bytes(b"\0" * 100 + b"\n" + b"\xff\xfe\n\n{}\n" + path.read_bytes() + b"\0" * 9)
    assert await journal.read(A) == RunRecord(tickets=(ticket,))


async def test_failed_sync_writes_nothing(
    journal: FilesystemRunJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an error the caller must not send, so nobody may believe that it has."""
    first = make_ticket()
    await journal.write_ticket(A, first)

    def broken(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        for name in SYNCS:
            patch.setattr(os, name, broken)
        with pytest.raises(StorageUnavailable, match="input/output error"):
            await journal.write_ticket(A, make_ticket(attempt=2))
    assert await journal.read(A) == RunRecord(tickets=(first,))


async def test_dead_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before any step: the line is whole or absent, and the journal goes on after it."""
    ticket, later = make_ticket(), make_ticket(attempt=2)
    layouts: dict[int, Layout] = {}

    def prepare(number: int) -> Callable[[], object]:
        layouts[number] = Layout(tmp_path / str(number))
        journal = FilesystemRunJournal(layouts[number])
        return lambda: journal._append(A, ticket)

    for number, is_alive in every_death(monkeypatch, prepare):
        after = FilesystemRunJournal(layouts[number])
        known = (await after.read(A)).tickets
        assert known == (ticket,) or (known == () and not is_alive)
        await after.write_ticket(A, later)
        assert (await after.read(A)).tickets == (*known, later)


async def test_one_decision_of_many(journal: FilesystemRunJournal, layout: Layout) -> None:
    """Of processes that decide at once one decision is written, and no line is torn."""

    async def decide(text: str) -> None:
        own = FilesystemRunJournal(layout)
        await own.write_ticket(A, make_ticket())
        await own.write_settlement(make_settlement(order_id="a", text=text))

    async with anyio.create_task_group() as group:
        for number in range(6):
            group.start_soon(decide, str(number), name="worker")
    record = await journal.read(A)
    assert len(record.tickets) == 6
    assert layout.run_journal(A).read_bytes().count(b'"settlement"') == 1


async def test_list(journal: FilesystemRunJournal) -> None:
    """Every order of which something is written down is listed, until it is forgotten."""
    assert await journal.list() == []
    for order_id in ("a", "telegram:5", "with.dots.jsonl"):
        await journal.write_ticket(OrderId(order_id), make_ticket())
    assert sorted(await journal.list()) == ["a", "telegram:5", "with.dots.jsonl"]
    await journal.forget(A)
    assert sorted(await journal.list()) == ["telegram:5", "with.dots.jsonl"]


async def test_name_from_outside_stays_inside(
    journal: FilesystemRunJournal, tmp_path: Path
) -> None:
    """An id that is no file name is neither written, read nor removed."""
    order_id = OrderId("../../a")
    with pytest.raises(InvalidOrder, match="cannot be a file's name"):
        await journal.write_ticket(order_id, make_ticket())
    assert await journal.read(order_id) == RunRecord()
    await journal.forget(order_id)
    assert not list(tmp_path.rglob("*.jsonl"))
