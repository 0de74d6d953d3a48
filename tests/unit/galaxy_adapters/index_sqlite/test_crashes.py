"""Killed feeders, damaged files, other versions: the index goes on or is made anew."""

import signal
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import evolve

from galaxy_adapters.audit_jsonl import JsonlAuditTrail
from galaxy_adapters.audit_jsonl._line import encode_body
from galaxy_adapters.index_sqlite import SqliteTrailIndex, _schema
from galaxy_core.domain.audit import AuditEvent
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.insight import AuditPage, Slot
from galaxy_core.domain.order import JSONValue
from galaxy_core.ports.trail_index import AuditSearch, TrailTotals
from tests.support import PROJECT_ROOT
from tests.unit.galaxy_adapters.audit_jsonl.helpers import START, event, open_log
from tests.unit.galaxy_adapters.index_sqlite.feeding_process import feed

pytestmark = pytest.mark.anyio

ORDERS = 300
TYPES = ("order_received", "order_executed_success", "letter_delivered")


def lines_of(number: int) -> list[AuditEvent]:
    """Three lines about one order."""
    data: dict[str, JSONValue] = {"elapsed_s": number, "tokens": 3, "letter": f"hermes-{number}"}
    return [evolve(event(number), event_type=each, data=data) for each in TYPES]


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    """A trail in several parts."""
    path = tmp_path / "logs" / "galaxy-audit.jsonl"
    path.parent.mkdir()
    log = open_log(path, rotate_bytes=100_000)
    for number in range(1, ORDERS + 1):
        log.append([encode_body(each) for each in lines_of(number)], START)
    log.close()
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the index lies."""
    return tmp_path / "state" / "index.sqlite3"


async def answers(path: Path) -> tuple[TrailTotals, list[Slot], AuditPage]:
    """What an index says to a process that has just started."""
    index = SqliteTrailIndex(path)
    try:
        slots = await index.slots(START, timedelta(minutes=1), 6)
        page = await index.search(AuditSearch(), limit=9_999)
        return await index.totals(), list(slots), page
    finally:
        await index.aclose()


async def expected(trail: Path, tmp_path: Path) -> tuple[TrailTotals, list[Slot], AuditPage]:
    """What an index says that was fed in one go."""
    path = tmp_path / "in-one-go.sqlite3"
    await feed(trail, path, limit=5_000)
    found = await answers(path)
    assert sum(found[0].ended.values()) == ORDERS
    assert found[0].delivery_seconds.counts[-1] == ORDERS
    return found


async def test_killed_feeder_leaves_what_the_next_one_goes_on_with(
    trail: Path, path: Path, tmp_path: Path
) -> None:
    """kill -9 at any moment: no line is missing afterwards, none is counted twice."""
    command = [sys.executable, "-m", "tests.unit.galaxy_adapters.index_sqlite.feeding_process"]
    marks: list[str] = []
    for steps in (1, 2, 5, 11, 3):
        with subprocess.Popen(
            [*command, str(trail), str(path), "10"], cwd=PROJECT_ROOT, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            marks += [process.stdout.readline().decode() for _ in range(steps)]
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        totals, _, page = await answers(path)
        assert sum(totals.events.values()) == len(page.events) >= 10 * steps
    assert len(set(marks)) == len(marks), "a feeder read again what had been added"
    await feed(trail, path, limit=1_000)
    assert await answers(path) == await expected(trail, tmp_path)


async def test_index_of_another_version_is_made_anew(
    trail: Path, path: Path, tmp_path: Path
) -> None:
    """An upgrade asks nothing of anybody; until it is fed, the old index is not asked."""
    await feed(trail, path, limit=1_000)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {_schema.VERSION + 1}")
    connection.close()
    assert sum((await answers(path))[0].events.values()) == 0
    await feed(trail, path, limit=1_000)
    assert await answers(path) == await expected(trail, tmp_path)


@pytest.mark.parametrize("damage", ["no database", "lost page", "empty"])
async def test_damaged_index_is_made_anew(
    trail: Path, path: Path, tmp_path: Path, damage: str
) -> None:
    """A broken file costs a second of reading, not the figures."""
    await feed(trail, path, limit=1_000)
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "no database":
        path.write_bytes(b"something else\n" * 1_000)
    else:
        with path.open("r+b") as file:
            file.seek(4_096)
            file.write(b"\xff" * (path.stat().st_size - 8_192))
        with pytest.raises(StorageUnavailable):
            await answers(path)
    await feed(trail, path, limit=1_000)
    assert await answers(path) == await expected(trail, tmp_path)


async def test_reader_turns_to_the_index_that_was_made_anew(trail: Path, path: Path) -> None:
    """A page that stays open does not go on asking a file that is gone."""
    await feed(trail, path, limit=1_000)
    reader = SqliteTrailIndex(path)
    assert sum((await reader.totals()).ended.values()) == ORDERS
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    assert sum((await reader.totals()).ended.values()) == 0
    await feed(trail, path, limit=1_000)
    assert sum((await reader.totals()).ended.values()) == ORDERS
    await reader.aclose()


async def test_feeder_stops_when_a_reader_finds_damage(trail: Path, path: Path) -> None:
    """The one who feeds may never touch the broken page: it is told, and makes the index anew."""
    await feed(trail, path, limit=1_000)
    index = SqliteTrailIndex(path)
    async with index.feeder() as feeder:
        assert feeder is not None
        path.with_name(path.name + ".damaged").touch()
        with pytest.raises(StorageUnavailable, match="made anew"):
            await feeder.marks()
    async with index.feeder() as feeder:
        assert feeder is not None
        assert dict(await feeder.marks()) == {}
    await index.aclose()


async def test_full_batch_or_none(path: Path) -> None:
    """A batch that cannot be added whole leaves neither lines nor mark."""
    index = SqliteTrailIndex(path)
    bad = evolve(event(2), timestamp=START.replace(tzinfo=None))
    async with index.feeder() as feeder:
        assert feeder is not None
        with pytest.raises(TypeError):
            await feeder.add("t", [event(1), bad], "1")
        assert dict(await feeder.marks()) == {}
        await feeder.add("t", [event(1), event(3)], "2")
    assert (await index.totals()).events == {"order_claimed": 2}
    await index.aclose()


@pytest.mark.parametrize("value", [10**400, 1e308, -1, True, "many", None, [], 10**30])
async def test_odd_figures_stop_nothing(path: Path, value: JSONValue) -> None:
    """Whatever a line says of time and cost, the lines behind it are added."""
    index = SqliteTrailIndex(path)
    data: dict[str, JSONValue] = {"elapsed_s": value, "tokens": value, "cost_usd": value}
    odd = evolve(event(1), event_type="order_cancelled", data=data)
    circle: list[JSONValue] = []
    circle.append(circle)
    async with index.feeder() as feeder:
        assert feeder is not None
        await feeder.add("t", [odd, evolve(event(2), data={"x": circle}), event(3)], "1")
    assert sum((await index.totals()).events.values()) == 3
    (slot,) = await index.slots(START, timedelta(hours=1), 1)
    assert slot.tokens <= 10**15
    await index.aclose()


async def test_index_is_for_its_owner_only(trail: Path, path: Path) -> None:
    """Lines tell how people's orders begin."""
    await feed(trail, path, limit=1_000)
    assert path.stat().st_mode & 0o777 == 0o600


async def test_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """Who may not make the index is told so, in our words."""
    (tmp_path / "file").touch()
    with pytest.raises(StorageUnavailable):
        async with SqliteTrailIndex(tmp_path / "file" / "index.sqlite3").feeder():
            pass


async def test_parts_that_were_removed_leave_no_lines(trail: Path, path: Path) -> None:
    """The index has the lines of the trail that is left, however many were equal before."""
    await feed(trail, path, limit=1_000)
    before, _, page = await answers(path)
    assert len(page.events) == ORDERS * len(TYPES)
    size = path.stat().st_size
    for part in sorted(trail.parent.glob("galaxy-audit-*.jsonl"))[:2]:
        part.unlink()
    left = await JsonlAuditTrail(trail).read_on(None, limit=9_999)
    index = SqliteTrailIndex(path)
    async with index.feeder() as feeder:
        assert feeder is not None
        while await feeder.forget_before("trail", left.records[0].event):
            pass
    await index.aclose()
    after, _, page = await answers(path)
    assert len(page.events) == len(left.records) < ORDERS * len(TYPES)
    assert after == before
    await feed(trail, path, limit=1_000)
    assert path.stat().st_size <= size, "what became free is used again"
