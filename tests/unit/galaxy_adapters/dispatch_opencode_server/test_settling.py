"""When the work of an agent that continues by itself is over."""

import json
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from galaxy_adapters.dispatch_opencode_server.settling import Settling, SettlingTimes
from galaxy_core.domain.run import Todo

pytestmark = pytest.mark.anyio

NONE: tuple[Todo, ...] = ()
OPEN = (Todo(content="a", status="completed"), Todo(content="b", status="in_progress"))
DONE = (Todo(content="a", status="completed"), Todo(content="b", status="cancelled"))


def settling(folder: Path, *, quiet: float = 0.0, given_up: float = 3600.0) -> Settling:
    """Make the quiet after a turn of the session `ses_1`."""
    times = SettlingTimes(quiet=timedelta(seconds=quiet), given_up=timedelta(seconds=given_up))
    return Settling(directory=folder, session="ses_1", times=times)


async def test_one_look_is_not_enough(tmp_path: Path) -> None:
    """The plugin begins its next turn a moment after the end of the last."""
    quiet = settling(tmp_path)
    assert not quiet.is_settled(DONE)
    assert quiet.is_settled(DONE)
    quiet.disturb()
    assert not quiet.is_settled(NONE)


async def test_quiet_has_to_last(tmp_path: Path) -> None:
    """From the last disturbance on."""
    quiet = settling(tmp_path, quiet=0.05)
    assert not quiet.is_settled(NONE)
    assert not quiet.is_settled(NONE)
    await anyio.sleep(0.06)
    assert quiet.is_settled(NONE)


async def test_open_todos_are_waited_for_longer(tmp_path: Path) -> None:
    """The plugin goes on as long as there are any; it gives up after a while, and so do we."""
    patient = settling(tmp_path)
    assert not patient.is_settled(OPEN)
    assert not patient.is_settled(OPEN)
    impatient = settling(tmp_path, given_up=0.0)
    assert not impatient.is_settled(OPEN)
    assert impatient.is_settled(OPEN)


async def test_plugins_note_of_active_work_is_heeded(tmp_path: Path) -> None:
    """A background task, say; a note of another session or a torn one says nothing."""
    notes = tmp_path / ".omo" / "run-continuation"
    notes.mkdir(parents=True)
    quiet = settling(tmp_path)
    note = notes / "ses_1.json"
    note.write_text(json.dumps({"sources": {"background": {"state": "active"}}}))
    assert [quiet.is_settled(NONE) for _ in range(3)] == [False, False, False]
    note.write_text('{"sources": {"background": {"state": "act')
    assert quiet.is_settled(NONE)
    (notes / "ses_2.json").write_text(json.dumps({"sources": ["active"]}))
    assert quiet.is_settled(NONE)
