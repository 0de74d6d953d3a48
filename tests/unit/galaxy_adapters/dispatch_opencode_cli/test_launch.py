"""How `opencode run` is called, found again and kept to one a session."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from galaxy_adapters.dispatch_opencode_cli.launch import (
    Launch,
    _prompt_file,
    arguments,
    attached_files,
)
from galaxy_adapters.dispatch_opencode_cli.locks import session_lock
from galaxy_adapters.dispatch_opencode_cli.tickets import (
    MARKER,
    Errand,
    digest,
    errand_of,
    new_session_id,
    sent_text,
)
from galaxy_core.domain.delivery import Ticket
from galaxy_core.domain.errors import DispatcherUnavailable, DispatchRejected
from galaxy_core.domain.order import Attachment
from galaxy_core.testing.factories import make_run_request

NOW = datetime(2026, 11, 22, 8, 55, 53, 560000, tzinfo=UTC)
ERRAND = Errand(
    session="ses_1",
    run="run_1",
    directory="/project",
    prompt_digest=digest("do it"),
    after="msg_2",
    agent="Sisyphus - ultraworker",
    model="demo/scripted",
)


def message(number: int, role: str, text: str = "") -> dict[str, Any]:
    """One message of an export."""
    parts = [{"type": "text", "text": text}]
    return {"info": {"id": f"msg_{number}", "role": role}, "parts": parts}


SESSION = [
    message(1, "user", "do it"),
    message(2, "assistant"),
    message(3, "user", "something else"),
    message(4, "user", "do it"),
    message(5, "assistant", "done"),
]


def test_ticket_is_read_back() -> None:
    """What is written into the journal is all that a later process needs."""
    ticket = Ticket(
        dispatcher="opencode-cli",
        session_id=ERRAND.session,
        message_id=ERRAND.run,
        attempt=1,
        data=json.loads(json.dumps(dict(ERRAND.data))),
    )
    assert errand_of(ticket) == ERRAND


def test_message_is_found_by_its_place() -> None:
    """The same words before our place are an earlier order; other words behind it are not ours."""
    behind = ERRAND.answers(SESSION)
    assert behind == [SESSION[4]]
    assert ERRAND.answers(SESSION[:3]) is None
    assert evolve(ERRAND, after=None).answers(SESSION) == SESSION[1:]
    assert evolve(ERRAND, after="msg_0").answers(SESSION) == SESSION[1:]


def test_message_is_found_where_the_one_before_it_was_taken_back() -> None:
    """An earlier order of the same words is not taken for ours."""
    assert ERRAND.answers([SESSION[0], *SESSION[2:]]) == [SESSION[4]]


@pytest.mark.parametrize("prompt", ["", " \n", "half \ud83d a character", "as it is\r\n"])
def test_prompt_is_known_by_what_was_sent(prompt: str) -> None:
    """What opencode does not take as it is would not be found again, and be sent twice."""
    with _prompt_file(prompt) as file:
        stored = file.read().decode()
    assert stored.strip()
    found = evolve(ERRAND, prompt_digest=digest(sent_text(prompt)), after=None)
    assert found.answers([message(1, "user", stored)]) == []


def test_command_is_found_without_its_words() -> None:
    """A command's text is made by opencode from a template: the first message is ours."""
    assert evolve(ERRAND, prompt_digest=None).answers(SESSION) == SESSION[3:]


def test_session_id_has_the_form_of_opencodes_own() -> None:
    """Twelve hexadecimal digits, newest first, then letters and digits."""
    session_id = new_session_id()
    assert session_id.startswith("ses_")
    assert len(session_id) == len("ses_") + 26
    int(session_id[4:16], 16)


def test_prompt_is_no_argument(tmp_path: Path) -> None:
    """Files come last, because -f takes every word that follows."""
    (tmp_path / "-a b.txt").touch()
    request = make_run_request(
        prompt="--help", directory=tmp_path, attachments=(Attachment(path="-a b.txt"),)
    )
    assert arguments(request, ERRAND) == [
        "run",
        "--format=json",
        "--thinking",
        "--session=ses_1",
        "--agent=Sisyphus - ultraworker",
        "--model=demo/scripted",
        "-f",
        str(tmp_path / "-a b.txt"),
    ]


@pytest.mark.parametrize("attachment", [Attachment(url="http://x/y"), Attachment(path="missing")])
def test_attachment_that_is_no_file_is_rejected(tmp_path: Path, attachment: Attachment) -> None:
    """An order is not carried out without what came with it."""
    request = make_run_request(directory=tmp_path, attachments=(attachment,))
    with pytest.raises(DispatchRejected, match="attachment"):
        attached_files(request)


def test_pipe_is_no_attachment(tmp_path: Path) -> None:
    """Whoever read it would wait without end."""
    os.mkfifo(tmp_path / "pipe")
    request = make_run_request(directory=tmp_path, attachments=(Attachment(path="pipe"),))
    with pytest.raises(DispatchRejected, match="neither a file nor a folder"):
        attached_files(request)


@pytest.mark.parametrize(
    "given,expected",
    [
        (None, {}),
        ("broken {", {}),
        ('"allow"', {"*": "allow"}),
        ('{"bash": "ask", "question": "allow"}', {"bash": "ask"}),
    ],
)
def test_nobody_is_asked(tmp_path: Path, given: str | None, expected: dict[str, str]) -> None:
    """A question would hang the run for ever; the person's other rules stay."""
    environment = {"OPENCODE_PERMISSION": given} if given else {}
    made = launch(tmp_path, environment)._environment(tmp_path, ERRAND, None)
    denied = {"question": "deny", "plan_enter": "deny", "plan_exit": "deny"}
    assert json.loads(made["OPENCODE_PERMISSION"]) == expected | denied


def test_environment_marks_the_run_and_leads_to_the_project(tmp_path: Path) -> None:
    """opencode takes its project from PWD; the marker finds leftovers; secrets stay here."""
    parent = {"PWD": "/elsewhere", "GALAXY_TELEGRAM_TOKEN": "secret", "OPENAI_API_KEY": "kept"}
    made = launch(tmp_path, parent)._environment(tmp_path, ERRAND, None)
    assert (made["PWD"], made[MARKER]) == (str(tmp_path), "run_1")
    assert "GALAXY_TELEGRAM_TOKEN" not in made
    assert made["OPENAI_API_KEY"] == "kept"
    assert "OPENCODE_CONFIG_CONTENT" not in made


def test_system_prompt_is_added_to_the_instructions(tmp_path: Path) -> None:
    """The person's own configuration in the environment is kept."""
    given = {"OPENCODE_CONFIG_CONTENT": '{"model": "a/b", "instructions": ["own.md"]}'}
    made = launch(tmp_path, given)._environment(tmp_path, ERRAND, tmp_path / "run_1.md")
    assert json.loads(made["OPENCODE_CONFIG_CONTENT"]) == {
        "model": "a/b",
        "instructions": ["own.md", str(tmp_path / "run_1.md")],
    }


def launch(state: Path, environment: dict[str, str]) -> Launch:
    """How a run is started, with this environment."""
    return Launch(
        binary=Path("opencode"),
        environment=environment,
        state=state,
        grace=timedelta(seconds=1),
        now=NOW,
    )


@pytest.mark.anyio
async def test_session_is_held_by_one(tmp_path: Path) -> None:
    """Two runs in one session would lose each other's last step; different ones do not wait."""
    no_patience = timedelta(0)
    async with session_lock(tmp_path, "ses_1", no_patience):
        with pytest.raises(DispatcherUnavailable, match="ses_1"):
            async with session_lock(tmp_path, "ses_1", no_patience):
                pytest.fail("two hold the session")
        async with session_lock(tmp_path, "ses_2", no_patience):
            pass
    async with session_lock(tmp_path, "ses_1", no_patience):
        pass
