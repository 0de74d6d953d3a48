"""Files of commands that others wrote or that a crash left; the rest is the contract."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from galaxy_adapters.control_filesystem import FilesystemControl
from galaxy_core.domain.ids import OrderId, RequestId
from galaxy_core.domain.operations import AnswerGiven
from galaxy_core.domain.run import PermissionChoice, PermissionReply
from galaxy_core.testing.clock import START, ManualClock
from galaxy_core.testing.factories import make_cancel
from galaxy_core.testing.memory import MemoryIncidentSink
from galaxy_core.wire.layout import Layout
from tests.unit.galaxy_adapters.dying import every_death

pytestmark = pytest.mark.anyio


class Machine:
    """A machine's commands, and what is reported about them."""

    def __init__(self, folder: Path) -> None:
        self.layout = Layout(folder)
        self.clock = ManualClock()
        self.incidents = MemoryIncidentSink()
        self.control = FilesystemControl(self.layout, self.clock, self.incidents)

    def names(self) -> set[str]:
        """Files that are there, the lock apart."""
        return {entry.name for entry in self.layout.control.iterdir()} - {".lock"}


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine without commands."""
    machine = Machine(tmp_path)
    yield machine
    machine.control.close()


def answer(choice: PermissionChoice, *, request_id: str = "per_1") -> AnswerGiven:
    """An answer to a permission request of order `a`."""
    return AnswerGiven(
        order_id=OrderId("a"),
        request_id=RequestId(request_id),
        answer=PermissionReply(choice=choice),
        at=START,
    )


async def test_name_of_a_file_tells_people_what_it_is(machine: Machine) -> None:
    """Kind and order stand in the name; the request's id, the agent's own text, does not."""
    await machine.control.send(make_cancel("a"))
    await machine.control.send(answer(PermissionChoice.ONCE, request_id="../../x"))
    cancel, other = sorted(machine.names(), reverse=True)
    assert cancel == "cancel-a.json"
    assert other.startswith("answer-a-")
    assert "x" not in other.removeprefix("answer-a-").removesuffix(".json")


async def test_file_that_stays_unreadable_is_set_aside(machine: Machine) -> None:
    """Half-written: waited for. Broken for good: kept, reported once, and no longer looked at."""
    await machine.control.send(make_cancel("a"))
    broken = machine.layout.control / "cancel-b.json"
    broken.write_text('{"type": "cancel_requested", "order_id": ')
    assert list(await machine.control.pending()) == [make_cancel("a")]
    machine.clock.advance(timedelta(seconds=10))
    broken.write_text('{"type": "cancel_requested", "order_id": "b"')
    assert list(await machine.control.pending()) == [make_cancel("a")]
    assert not machine.incidents.incidents, "it changed since: its writer is still at it"
    machine.clock.advance(timedelta(seconds=10))
    for _ in range(2):
        assert list(await machine.control.pending()) == [make_cancel("a")]
    (incident,) = machine.incidents.incidents
    assert incident.kind == "command_set_aside"
    assert not broken.exists()
    assert any(name.startswith("cancel-b.json.corrupt-") for name in machine.names())


async def test_other_files_are_left_alone(machine: Machine) -> None:
    """What is no command by its name is nobody's business."""
    await machine.control.send(make_cancel("a"))
    for name in ("README", ".tmp-1-2-3", "cancel-b.json.swp"):
        (machine.layout.control / name).write_text("?")
    assert list(await machine.control.pending()) == [make_cancel("a")]
    assert {"README", "cancel-b.json.swp"} < machine.names()


async def test_answer_that_was_changed_is_not_done(machine: Machine) -> None:
    """A worker that carried out the older answer does not remove the newer one."""
    await machine.control.send(answer(PermissionChoice.ONCE))
    await machine.control.send(answer(PermissionChoice.REJECT))
    await machine.control.done(answer(PermissionChoice.ONCE))
    assert list(await machine.control.pending()) == [answer(PermissionChoice.REJECT)]


def test_death_at_every_step_of_sending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender that dies leaves the old command or the new one, whole, and no lock behind."""
    machines: list[Machine] = []

    def prepare(number: int) -> Callable[[], object]:
        machine = Machine(tmp_path / str(number))
        machines.append(machine)
        machine.control._send(answer(PermissionChoice.ONCE))
        return lambda: machine.control._send(answer(PermissionChoice.REJECT))

    for _, is_alive in every_death(monkeypatch, prepare):
        (found,) = machines[-1].control._read_all()
        choices = [PermissionChoice.REJECT, *([] if is_alive else [PermissionChoice.ONCE])]
        assert found in [answer(choice) for choice in choices]
        machines[-1].control._send(make_cancel("a"))
        assert len(machines[-1].control._read_all()) == 2
