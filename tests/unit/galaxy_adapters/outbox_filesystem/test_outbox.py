"""The outbox on files: what people drop, what processes that die leave, what never goes wrong."""

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from attrs import evolve

from galaxy_adapters._files import FolderWatch, durable
from galaxy_adapters.outbox_filesystem import FilesystemOutbox
from galaxy_adapters.outbox_filesystem.notices import Notices
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.letter import Letter
from galaxy_core.testing.clock import ManualClock, settle
from galaxy_core.testing.factories import make_letter, make_receipt
from galaxy_core.testing.memory import MemoryIncidentSink
from galaxy_core.wire.layout import Layout
from tests.unit.galaxy_adapters.dying import every_death

pytestmark = pytest.mark.anyio


class Machine:
    """A machine's outbox and the hands that reach into it."""

    def __init__(self, folder: Path) -> None:
        self.layout = Layout(folder)
        self.clock = ManualClock()
        self.incidents = MemoryIncidentSink()
        self.layout.outbox.mkdir(parents=True)

    def outbox(self) -> FilesystemOutbox:
        """The outbox as a process just started has it."""
        return FilesystemOutbox(self.layout, self.clock, self.incidents)

    def drop(self, name: str, data: bytes | dict[str, object]) -> Path:
        """Write a file as `cat` does."""
        path = self.layout.outbox / name
        path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
        return path

    @property
    def waiting(self) -> list[str]:
        """Names in the outbox."""
        return sorted(path.name for path in self.layout.outbox.iterdir())

    @property
    def sent(self) -> list[str]:
        """Names in the archive."""
        folder = self.layout.outbox_archive
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    @property
    def aside(self) -> list[str]:
        """Names among the undeliverable ones, reasons included."""
        folder = self.layout.outbox_undeliverable
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def sent_object(self, name: str) -> dict[str, object]:
        """A letter of the archive as it stands in the file."""
        found: dict[str, object] = json.loads((self.layout.outbox_archive / name).read_bytes())
        return found


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Give an empty outbox."""
    return Machine(tmp_path / "machine")


def _fail(path: Path) -> None:
    """Be a sync that the disk refuses."""
    raise StorageUnavailable(f"Cannot sync {path}: the disk reported an input/output error.")


async def messages(outbox: FilesystemOutbox) -> list[str]:
    """What waits."""
    return [letter.message for letter in await outbox.pending()]


class TestDropped:
    """Files that people and scripts put there."""

    async def test_any_name(self, machine: Machine) -> None:
        """Every `*.json` is a letter; hidden files and other endings are somebody's own."""
        outbox = machine.outbox()
        for name in ("a.json", "ä b:c.json", ".draft.json", "b.json.swp", "c.txt", "json"):
            machine.drop(name, {"message": name})
        assert sorted(await messages(outbox)) == ["a.json", "ä b:c.json"]
        assert not machine.aside

    async def test_name_that_is_no_text(self, machine: Machine) -> None:
        """A name that is not UTF-8 is delivered and archived all the same."""
        outbox = machine.outbox()
        machine.drop(os.fsdecode(b"\xff\xfe.json"), {"message": "x"})
        (letter,) = await outbox.pending()
        await outbox.mark_sent(letter)
        assert [os.fsencode(name) for name in machine.sent] == [b"\xff\xfe.json"]

    async def test_long_name(self, machine: Machine) -> None:
        """The longest name a file can have is set aside with its reason, and sent, all the same."""
        outbox = machine.outbox()
        machine.drop("x" * 250 + ".json", {"message": "x"})
        machine.drop("y" * 250 + ".json", {"message": "y"})
        one, other = await outbox.pending()
        await outbox.mark_sent(one)
        await outbox.set_aside(other, "nobody there")
        assert not machine.waiting
        assert (len(machine.sent), len(machine.aside)) == (1, 2)

    async def test_half_written_is_waited_for(self, machine: Machine) -> None:
        """A letter that is still being written is neither given out nor condemned."""
        outbox = machine.outbox()
        path = machine.drop("a.json", b'{"message": "hel')
        for size in range(6):
            assert await messages(outbox) == []
            machine.clock.advance(timedelta(seconds=2))
            path.write_bytes(b'{"message": "hel' + b"l" * size)
        path.write_bytes(b'{"message": "hello"}')
        assert await messages(outbox) == ["hello"]
        assert not machine.incidents.incidents

    async def test_unreadable_is_set_aside(self, machine: Machine) -> None:
        """One that stays unreadable goes aside whole, with the reason, and people hear of it."""
        outbox = machine.outbox()
        machine.drop("a.json", b'{"message": "hel')
        machine.drop("b.json", {"message": "b"})
        machine.drop("c.json", {"text": "no message"})
        assert await messages(outbox) == ["b"]
        machine.clock.advance(timedelta(seconds=3))
        assert await messages(outbox) == ["b"]
        assert machine.aside == ["a.json", "a.json.reason", "c.json", "c.json.reason"]
        aside = machine.layout.outbox_undeliverable
        assert (aside / "a.json").read_bytes() == b'{"message": "hel'
        assert "not JSON" in (aside / "a.json.reason").read_text()
        assert "no `message`" in (aside / "c.json.reason").read_text()
        assert [i.is_for_people for i in machine.incidents.incidents] == [True, True]

    async def test_no_plain_files(self, machine: Machine, tmp_path: Path) -> None:
        """Folders, links and pipes go aside at once; links are not followed, pipes not opened."""
        outbox = machine.outbox()
        secret = tmp_path / "secret.json"
        secret.write_text('{"message": "secret"}')
        (machine.layout.outbox / "link.json").symlink_to(secret)
        (machine.layout.outbox / "dangling.json").symlink_to("nowhere")
        (machine.layout.outbox / "folder.json").mkdir()
        (machine.layout.outbox / "folder.json" / "kept").touch()
        os.mkfifo(machine.layout.outbox / "pipe.json")
        with anyio.fail_after(5):
            assert await messages(outbox) == []
        assert not machine.waiting
        assert len(machine.aside) == 8
        assert secret.read_text() == '{"message": "secret"}'
        assert (machine.layout.outbox_undeliverable / "folder.json" / "kept").exists()

    async def test_too_large(self, machine: Machine) -> None:
        """A letter of any size costs no more than the limit, and goes aside."""
        outbox = FilesystemOutbox(machine.layout, machine.clock, machine.incidents, limit=1000)
        machine.drop("a.json", {"message": "x" * 1000})
        assert await messages(outbox) == []
        machine.clock.advance(timedelta(seconds=3))
        assert await messages(outbox) == []
        assert machine.aside == ["a.json", "a.json.reason"]

    async def test_sent_by_the_original(self, machine: Machine) -> None:
        """Letters that the original left there as sent are filed, not sent once more."""
        outbox = machine.outbox()
        members = {"message": "old", "sent": True, "sent_at": "2026-02-02T12:00:00+00:00"}
        machine.drop("a.json", members)
        assert await messages(outbox) == []
        assert machine.sent_object("a.json") == members

    async def test_same_name_again(self, machine: Machine) -> None:
        """A script that always writes the same name gets every letter delivered, and kept."""
        outbox = machine.outbox()
        for number in range(3):
            machine.drop("alert.json", {"message": str(number)})
            (letter,) = await outbox.pending()
            await outbox.mark_sent(letter)
        assert machine.sent == ["alert-2.json", "alert-3.json", "alert.json"]
        kept = [machine.sent_object(name)["message"] for name in machine.sent]
        assert sorted(map(str, kept)) == ["0", "1", "2"]

    async def test_one_that_cannot_be_moved_keeps_no_other(self, machine: Machine) -> None:
        """Trouble with one letter is told, and the others go on."""
        outbox = machine.outbox()
        machine.layout.outbox_undeliverable.write_text("a file where a folder should be")
        (machine.layout.outbox / "a.json").mkdir()
        machine.drop("b.json", {"message": "b"})
        assert await messages(outbox) == ["b"]
        assert "cannot be moved" in machine.incidents.incidents[0].message


class TestReplaced:
    """A letter of the same name arrives while the old one is being delivered."""

    async def test_while_parts_are_sent(self, machine: Machine) -> None:
        """The old one goes on under a number, the new one is delivered too."""
        outbox = machine.outbox()
        machine.drop("alert.json", {"message": "old"})
        (old,) = await outbox.pending()
        machine.drop("alert.json", {"message": "new"})
        old = await outbox.record(old, make_receipt(is_last=False))
        assert old.name == "alert-2"
        old = await outbox.record(old, make_receipt(part=2))
        await outbox.mark_sent(old)
        assert await messages(outbox) == ["new"]
        assert machine.sent_object("alert-2.json")["message"] == "old"
        assert len(machine.sent_object("alert-2.json")["receipts"]) == 2  # type: ignore[arg-type]  # a list

    @pytest.mark.parametrize("is_sent", [True, False])
    async def test_before_it_is_filed(self, machine: Machine, is_sent: bool) -> None:  # noqa: FBT001
        """What ends the old one does not touch the new one."""
        outbox = machine.outbox()
        machine.drop("alert.json", {"message": "old"})
        (old,) = await outbox.pending()
        machine.drop("alert.json", {"message": "new"})
        await (outbox.mark_sent(old) if is_sent else outbox.set_aside(old, "nobody there"))
        assert await messages(outbox) == ["new"]
        assert len(machine.sent if is_sent else machine.aside) == (1 if is_sent else 2)

    async def test_after_it_was_filed(self, machine: Machine) -> None:
        """A second `mark_sent` does not take the new one for the old one."""
        outbox = machine.outbox()
        machine.drop("alert.json", {"message": "old"})
        (old,) = await outbox.pending()
        await outbox.mark_sent(old)
        machine.drop("alert.json", {"message": "new"})
        await outbox.mark_sent(old)
        assert await messages(outbox) == ["new"]

    @pytest.mark.parametrize("step", ["record", "mark_sent"])
    async def test_by_a_change_of_ours_that_failed(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        """A sync that fails once the new content has its name makes no second letter of it."""
        outbox = machine.outbox()
        machine.drop("answer.json", {"message": "done", "mood": "of somebody else's making"})
        (letter,) = await outbox.pending()
        letter = await outbox.record(letter, make_receipt(chat_id="1"))
        with monkeypatch.context() as patch:
            patch.setattr(durable, "sync_directory", _fail)
            lost = outbox.record(letter, make_receipt(chat_id="2"))
            with pytest.raises(StorageUnavailable):
                await (lost if step == "record" else outbox.mark_sent(letter))
            lost.close()
        letter = await outbox.record(letter, make_receipt(chat_id="3"))
        letter = await outbox.record(letter, make_receipt(chat_id="2"))
        await outbox.mark_sent(letter)
        assert await messages(outbox) == []
        assert machine.sent == ["answer.json"]
        kept = machine.sent_object("answer.json")["receipts"]
        assert isinstance(kept, list)
        assert [receipt["chat_id"] for receipt in kept] == ["1", "3", "2"]

    async def test_taken_away(self, machine: Machine) -> None:
        """A letter that somebody removed meanwhile is not put back."""
        outbox = machine.outbox()
        path = machine.drop("alert.json", {"message": "old"})
        (old,) = await outbox.pending()
        path.unlink()
        old = await outbox.record(old, make_receipt())
        assert len(old.receipts) == 1
        await outbox.mark_sent(old)
        assert not machine.waiting


class TestKept:
    """What delivering does to a file."""

    async def test_place_and_rights(self, machine: Machine) -> None:
        """A letter keeps its place in the line and its rights while parts of it are sent."""
        outbox = machine.outbox()
        path = machine.drop("z.json", {"message": "first", "odd": [1]})
        path.chmod(0o600)
        os.utime(path, ns=(5, 5))
        machine.drop("a.json", {"message": "second"})
        first, _ = await outbox.pending()
        await outbox.record(first, make_receipt(is_last=False))
        assert await messages(outbox) == ["first", "second"]
        assert path.stat().st_mode & 0o777 == 0o600
        assert json.loads(path.read_bytes())["odd"] == [1]

    async def test_sent_letter(self, machine: Machine) -> None:
        """The archive says that, when and to whom it was sent."""
        outbox = machine.outbox()
        machine.drop("a.json", {"message": "x", "sent": False})
        (letter,) = await outbox.pending()
        letter = await outbox.record(letter, make_receipt(channel="telegram"))
        machine.clock.advance(timedelta(seconds=5))
        await outbox.mark_sent(letter)
        kept = machine.sent_object("a.json")
        assert (kept["sent"], kept["sent_at"]) == (True, machine.clock.now().isoformat())
        assert kept["receipts"][0]["channel"] == "telegram"  # type: ignore[index]  # a list

    async def test_posted_at_once(self, machine: Machine) -> None:
        """Letters posted within one tick of the kernel's clock keep their order."""
        outbox = machine.outbox()
        names = ["z", "a", "m", "b", "y"]
        for name in names:
            await outbox.post(make_letter(name=name, message=name))
        assert await messages(outbox) == names

    async def test_names_stay_inside(self, machine: Machine, tmp_path: Path) -> None:
        """A letter's name never leaves the folder, and is the same name the second time."""
        outbox = machine.outbox()
        letter = make_letter(name="../../hermes-x/y\n")
        assert await outbox.post(letter)
        assert not await outbox.post(letter)
        assert len(machine.waiting) == 1
        assert list(tmp_path.rglob("*.json")) == list(machine.layout.outbox.iterdir())

    async def test_set_aside_is_remembered(self, machine: Machine) -> None:
        """A letter nobody could get is not posted once more by whoever repeats itself."""
        outbox = machine.outbox()
        await outbox.post(make_letter(name="a"))
        await outbox.set_aside((await outbox.pending())[0], "nobody there")
        assert not await outbox.post(make_letter(name="a"))


class TestWaiting:
    """Sleeping until there may be something to do."""

    async def test_wakes_for_what_became_ripe(self, machine: Machine) -> None:
        """A letter that stays unreadable wakes the courier when its time is up."""
        outbox = machine.outbox()
        await outbox.wait(timedelta(0))
        machine.drop("a.json", b"{")
        assert await outbox.wait(timedelta(hours=1))
        assert await messages(outbox) == []
        await self._asleep_until(machine, outbox, timedelta(seconds=3))
        assert await messages(outbox) == []
        assert machine.aside == ["a.json", "a.json.reason"]
        outbox.close()

    async def test_what_came_before_the_watch(self, machine: Machine) -> None:
        """A letter that is there already when the first wait begins is not slept over."""
        machine.drop("a.json", {"message": "x"})
        outbox = machine.outbox()
        assert await outbox.wait(timedelta(hours=1))
        outbox.close()

    async def test_lost_notice(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        """A letter whose notice was lost is found by looking again after half a minute."""
        outbox = machine.outbox()
        assert not await outbox.wait(timedelta(0))
        monkeypatch.setattr(Notices, "take", lambda _: False)
        monkeypatch.setattr(Notices, "wait", lambda _, pause: machine.clock.sleep(pause))
        machine.drop("a.json", {"message": "x"})
        await self._asleep_until(machine, outbox, timedelta(seconds=30))
        outbox.close()

    async def test_letters_that_are_announced_are_no_trouble(self, machine: Machine) -> None:
        """Notices that come are believed: those of dropped letters, and of our own."""
        outbox = machine.outbox()
        assert not await outbox.wait(timedelta(0))
        assert await messages(outbox) == []
        machine.drop("a.json", {"message": "a"})
        await machine.outbox().post(make_letter(name="b", message="b"))
        for _ in range(4):
            assert sorted(await messages(outbox)) == ["a", "b"]
        assert machine.incidents.incidents == []
        outbox.close()

    async def test_notices_that_stop_coming(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Told once; then the folder is looked at each second instead of each half minute."""
        outbox = machine.outbox()
        assert not await outbox.wait(timedelta(0))
        assert await messages(outbox) == []
        monkeypatch.setattr(FolderWatch, "take", lambda _: [])
        monkeypatch.setattr(Notices, "wait", lambda _, pause: machine.clock.sleep(pause))
        machine.drop("a.json", {"message": "x"})
        await self._asleep_until(machine, outbox, timedelta(seconds=30))
        assert await messages(outbox) == ["x"]
        await self._asleep_until(machine, outbox, timedelta(seconds=1))
        assert await messages(outbox) == ["x"]
        for name in ("b.json", "c.json"):
            machine.drop(name, {"message": name})
            await self._asleep_until(machine, outbox, timedelta(seconds=1))
            assert name in await messages(outbox)
        assert [i.kind for i in machine.incidents.incidents] == ["notices_lost"]
        outbox.close()

    @staticmethod
    async def _asleep_until(
        machine: Machine, outbox: FilesystemOutbox, duration: timedelta
    ) -> None:
        woken = anyio.Event()

        async def sleep() -> None:
            assert await outbox.wait(timedelta(hours=1))
            woken.set()

        async with anyio.create_task_group() as group:
            group.start_soon(sleep, name="courier")
            while not machine.clock.sleepers:  # noqa: ASYNC110 - a clock tells nobody
                await anyio.sleep(0.001)
            machine.clock.advance(duration - timedelta(milliseconds=1))
            await settle()
            assert not woken.is_set()
            machine.clock.advance(timedelta(milliseconds=1))
            with anyio.fail_after(5):
                await woken.wait()


Deed = Callable[[FilesystemOutbox, Letter], object]
DEEDS: dict[str, Deed] = {
    "record": lambda outbox, letter: outbox._record(letter, make_receipt(is_last=False)),
    "mark_sent": lambda outbox, letter: outbox._mark_sent(letter),
    "set_aside": lambda outbox, letter: outbox._set_aside(letter, "nobody there"),
}


@pytest.mark.parametrize("knows_renameat2", [True, False], ids=["renameat2", "link"])
class TestDeath:
    """Killed before any single step on the disk: one letter stays one letter, whole."""

    async def test_post(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, knows_renameat2: bool
    ) -> None:
        """A letter is posted whole or not at all; posted again, it is there once."""
        letter = make_letter(name="a", message="hello")
        machines: dict[int, Machine] = {}

        def prepare(number: int) -> Callable[[], object]:
            machines[number] = Machine(tmp_path / str(number))
            outbox = machines[number].outbox()
            return lambda: outbox._post(letter)

        deaths = every_death(monkeypatch, prepare, knows_renameat2=knows_renameat2)
        for number, is_alive in deaths:
            after = machines[number].outbox()
            was_there = await messages(after) == ["hello"]
            assert was_there or not is_alive
            assert await after.post(letter) is not was_there
            assert await messages(after) == ["hello"]

    @pytest.mark.parametrize("name", DEEDS)
    async def test_deed(
        self,
        name: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        *,
        knows_renameat2: bool,
    ) -> None:
        """Whatever the courier was doing, the next one finds the letter in exactly one place."""
        machines: dict[int, Machine] = {}
        letters: dict[int, Letter] = {}

        def prepare(number: int) -> Callable[[], object]:
            machine = machines[number] = Machine(tmp_path / str(number))
            machine.drop("a.json", {"message": "hello", "odd": 1})
            outbox = machine.outbox()
            letters[number] = outbox._look(1, frozenset())[0]
            return lambda: DEEDS[name](outbox, letters[number])

        deaths = every_death(monkeypatch, prepare, knows_renameat2=knows_renameat2)
        for number, is_alive in deaths:
            machine = machines[number]
            waiting = await machine.outbox().pending()
            kept = [n for n in machine.sent + machine.aside if n.endswith(".json")]
            assert len(waiting) + len(kept) == 1
            if waiting:
                assert evolve(waiting[0], receipts=()) == letters[number]
            if is_alive:
                assert len(waiting) == (1 if name == "record" else 0)
