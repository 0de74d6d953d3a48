"""Making, checking and setting aside: whatever stands at the path, people hear what to do."""

import os
import random
import stat
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from galaxy_adapters._files import exclusive_lock, rename_exclusively
from galaxy_adapters.notes_sqlite import SqliteNoteStore, _opening
from galaxy_adapters.notes_sqlite._rows import SCHEMA_VERSION
from galaxy_core.domain.errors import StorageUnavailable, UnsupportedFilesystem
from galaxy_core.domain.incident import IncidentSeverity
from tests.unit.galaxy_adapters.notes_sqlite.helpers import Place, note


class Died(BaseException):
    """The process is gone."""


async def fill(place: Place, count: int = 200) -> None:
    """Leave a database of some pages, closed."""
    async with place.opened() as store:
        await store.put([note(str(number), "x" * 500) for number in range(count)])


# ---- making


async def test_nobody_else_may_read_it(place: Place) -> None:
    """What people wrote is nobody's business: mode 0600 for all three files, old ones too."""
    async with place.opened() as store:
        await store.put([note("a")])
        for ending in ("", "-wal", "-shm"):
            assert stat.S_IMODE(place.beside(ending).stat().st_mode) == 0o600
    place.path.chmod(0o644)
    async with place.opened() as store:
        await store.put([note("a")])
        for ending in ("", "-wal", "-shm"):
            assert stat.S_IMODE(place.beside(ending).stat().st_mode) == 0o600


async def test_several_make_it_at_once(place: Place) -> None:
    """Stores that are opened in the same moment find one database."""
    stores = [place.store() for _ in range(6)]
    async with anyio.create_task_group() as group:
        for number, store in enumerate(stores):
            group.start_soon(store.add, [note(str(number))], name="add")
    for store in stores:
        await store.aclose()
    assert sorted(await place.keys()) == ["0", "1", "2", "3", "4", "5"]
    assert place.incidents.kinds == []


async def test_death_before_the_table_was_made(place: Place) -> None:
    """An empty file is what a death right after its creation leaves: it is taken."""
    place.path.parent.mkdir()
    place.path.touch()
    async with place.opened() as store:
        assert await store.add([note("a")]) == {"a"}
    assert place.incidents.kinds == []


async def test_path_may_hold_any_character(place: Place) -> None:
    """A folder's name is not taken for an address."""
    odd = Place(place.path.parent / "a b?c#d%e[ä]*" / "gateway.sqlite3")
    await fill(odd)
    assert odd.path.exists()
    assert len(await odd.keys()) == 200


# ---- what is refused


async def test_newer_schema_is_refused(place: Place) -> None:
    """An older program does not touch what a newer one wrote."""
    await fill(place)
    place.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = place.path.read_bytes()
    store = place.store()
    with pytest.raises(StorageUnavailable, match=r"newer version of this program .*schema 2"):
        await store.list("ask")
    await store.aclose()
    assert place.path.read_bytes() == before
    assert place.aside() == []


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE theirs (x)"],
        ["CREATE TABLE theirs (x)", "PRAGMA user_version = 1"],
        ["CREATE TABLE notes (x)", "PRAGMA user_version = 1"],
    ],
)
async def test_foreign_database_is_left_alone(place: Place, statements: list[str]) -> None:
    """A whole database of another program is neither used nor set aside."""
    place.path.parent.mkdir()
    place.execute(*statements)
    before = place.path.read_bytes()
    with pytest.raises(StorageUnavailable, match="another program's database"):
        await place.keys()
    assert place.path.read_bytes() == before
    assert place.aside() == []


async def test_log_that_somebody_turned_off_is_turned_on(place: Place) -> None:
    """A person's tool may have changed the journal: readers must not wait for writers again."""
    await fill(place, 3)
    place.execute("PRAGMA journal_mode = DELETE")
    async with place.opened() as store:
        await store.add([note("a")])
        assert place.beside("-wal").exists()
    assert await place.keys() == ["0", "1", "2", "a"]


@pytest.mark.parametrize("kind", ["folder", "link", "pipe"])
async def test_what_is_no_plain_file_is_refused(place: Place, kind: str) -> None:
    """Neither followed nor waited for."""
    await fill(Place(place.path.with_name("other")))
    if kind == "folder":
        place.path.mkdir()
    elif kind == "link":
        place.path.symlink_to("other")
    else:
        os.mkfifo(place.path)
    with pytest.raises(StorageUnavailable, match="no plain file"):
        await place.keys()


async def test_folder_that_cannot_be_made(place: Place) -> None:
    """A file where the folder should be is a sentence for people."""
    place.path.parent.write_text("in the way")
    with pytest.raises(StorageUnavailable, match="a file stands where a folder should be"):
        await place.keys()


async def test_network_folder_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's log needs memory that all its processes share."""

    def refuse(folder: Path) -> None:
        raise UnsupportedFilesystem("on a network")

    monkeypatch.setattr(_opening, "refuse_network_folder", refuse)
    with pytest.raises(UnsupportedFilesystem):
        await place.keys()


async def test_lock_of_the_making_is_never_let_go(place: Place) -> None:
    """A process that was stopped while it opened the database ends in an error that names it."""
    await fill(place)
    with exclusive_lock(place.beside(".lock")):
        store = place.store(busy_timeout=timedelta(milliseconds=20))
        with pytest.raises(StorageUnavailable, match=r"Cannot open .*sqlite3"):
            async with store:
                pass
        await store.aclose()
    assert len(await place.keys()) == 200


# ---- what is damaged


def _no_database(data: bytes) -> bytes:
    return b"This is no database. " * 100


def _zeroed_page(data: bytes) -> bytes:
    return data[: 4096 * 3] + bytes(4096) + data[4096 * 4 :]


def _cut_short(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _noise(data: bytes) -> bytes:
    return data[:200] + random.Random(1).randbytes(len(data) - 200)


@pytest.mark.parametrize("damage", [_no_database, _zeroed_page, _cut_short, _noise])
async def test_damaged_database_is_kept_and_begun_anew(place: Place, damage: object) -> None:
    """Nothing is deleted, people are told which file holds what was there, and work goes on."""
    await fill(place)
    assert callable(damage)
    broken = damage(place.path.read_bytes())
    place.path.write_bytes(broken)
    async with place.opened() as store:
        assert await store.list("ask") == []
        assert await store.add([note("0")]) == {"0"}
    kept = "gateway.sqlite3.corrupt-20260202T120000Z"
    assert {kept, f"{kept}.reason"} <= set(place.aside())
    assert place.path.with_name(kept).read_bytes() == broken
    (incident,) = place.incidents.incidents
    assert incident.is_for_people
    assert incident.severity is IncidentSeverity.ERROR
    assert kept in incident.message
    assert str(incident.data["reason"]) in incident.message
    assert await place.keys() == ["0"]
    assert len({each.key for each in place.incidents.incidents}) == 1, "told again, as the same"


async def _meet_the_damage(store: SqliteNoteStore) -> None:
    for _ in range(3):  # what is in a connection's memory does not count
        await store.list("ask")
        await store.put([note(str(number), "y" * 900) for number in range(200)])


async def test_damage_that_is_found_while_it_is_open(place: Place) -> None:
    """The call that meets it is refused, the next one finds a new database, also elsewhere."""
    await fill(place)
    async with place.opened() as store, place.opened() as other:
        assert len(await other.list("ask")) == 200
        data = place.path.read_bytes()
        with place.path.open("r+b") as file:
            file.write(_noise(data))
        with pytest.raises(StorageUnavailable, match="it is looked into at the next call"):
            await _meet_the_damage(store)
        assert await store.add([note("new")]) == {"new"}
        assert await other.add([note("newer")]) == {"newer"}
        assert [each.key for each in await store.list("ask")][-1] == "newer"
    assert place.incidents.kinds == ["notes_set_aside"]


async def test_two_damaged_in_the_same_second(place: Place) -> None:
    """The second one does not replace the first."""
    for text in ("first", "second"):
        place.path.parent.mkdir(exist_ok=True)
        place.path.write_text(text * 1000)
        await place.keys()
    kept = [name for name in place.aside() if not name.endswith(".reason")]
    assert [place.path.with_name(name).read_text()[:5] for name in kept] == ["first", "secon"]
    assert len({incident.key for incident in place.incidents.incidents}) == 2


async def test_death_between_setting_aside_and_what_belongs_to_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new database never meets the log of the old one, and that log is kept."""
    await fill(place, 20)
    place.path.write_bytes(b"broken" * 1000)
    place.beside("-wal").write_bytes(b"its log")

    def die_after(old: str, new: str) -> bool:
        if old.endswith("-wal"):
            raise Died
        return rename_exclusively(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(_opening, "rename_exclusively", die_after)
        with pytest.raises(Died):
            place.store()._database.opening.prepare()
    assert not place.path.exists()
    async with place.opened() as store:
        assert await store.add([note("a")]) == {"a"}
    logs = [name for name in place.aside() if name.endswith("-wal")]
    assert [place.path.with_name(name).read_bytes() for name in logs] == [b"its log"]
    assert len({incident.key for incident in place.incidents.incidents}) == 2, "both are told"


async def test_report_of_an_old_matter_ends(place: Place) -> None:
    """What was set aside days ago is not told at each start for ever."""
    place.path.parent.mkdir()
    place.path.write_text("no database" * 1000)
    await place.keys()
    (reason,) = place.path.parent.glob("*.reason")
    os.utime(reason, (0, 0))
    place.incidents.incidents.clear()
    await place.keys()
    assert place.incidents.kinds == []


# ---- what happens to the file meanwhile


@pytest.mark.parametrize("is_kept", [True, False])
async def test_file_that_was_taken_away(place: Place, is_kept: bool) -> None:  # noqa: FBT001
    """What is written goes into the file at the path, not into one that has no name any more."""
    async with place.opened() as store:
        await store.add([note("old")])
        if is_kept:
            place.path.rename(place.path.with_name("away"))
        else:
            place.path.unlink()
        assert await store.get("ask", "old") is None
        assert await store.add([note("new")]) == {"new"}
        assert await store.list("ask") == [note("new")]
    assert await place.keys() == ["new"]


async def test_note_that_somebody_broke(place: Place) -> None:
    """A value that is no JSON is named; the others can still be read."""
    async with place.opened() as store:
        await store.add([note("a"), note("b")])
        place.execute("UPDATE notes SET value = CAST('{' AS BLOB) WHERE number = 1")
        with pytest.raises(StorageUnavailable, match="Cannot read the note 'a' of the kind 'ask'"):
            await store.list("ask")
        assert await store.get("ask", "b") == note("b")
        await store.put([note("a", 2)])
        assert await store.list("ask") == [note("a", 2), note("b")]
