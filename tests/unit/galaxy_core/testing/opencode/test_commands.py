"""The fake opencode's command line, with the manners that dispatchers depend on."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from galaxy_core.testing.opencode import write_stub
from galaxy_core.testing.opencode_project import (
    NAMED_AGENT,
    private_environment,
    write_opencode_project,
)


class Said(NamedTuple):
    """What one command printed."""

    code: int
    out: str
    complaints: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines of `--format json`."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def texts(self) -> list[str]:
        """What the agent said."""
        return [event["part"]["text"] for event in self.events if event["type"] == "text"]

    @property
    def session(self) -> str:
        """The session's id."""
        return str(self.events[0]["sessionID"])


class Opencode:
    """The stub, in a project and a home of its own."""

    def __init__(self, folder: Path) -> None:
        self.binary = write_stub(folder / "bin")
        self.project = write_opencode_project(
            folder / "project", "http://x/v1", permission={"bash": {"*": "allow", "rm *": "ask"}}
        )
        base = private_environment(folder / "home", dict(os.environ))  # noqa: TID251
        self.environment = base | {"PWD": str(self.project)}

    def __call__(self, *words: str, stdin: str = "", **more: str) -> Said:
        """Run a command to its end."""
        done = subprocess.run(
            [self.binary, *words],
            input=stdin.encode(),
            capture_output=True,
            cwd=self.project,
            env=self.environment | more,
            timeout=30,
            check=False,
        )
        return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture
def opencode(tmp_path: Path) -> Opencode:
    """Give a fake opencode that knows nothing yet."""
    return Opencode(tmp_path)


def test_session_goes_on(opencode: Opencode) -> None:
    """Standard input is the prompt, byte for byte; a session counts its prompts."""
    first = opencode("run", "--format", "json", stdin=' "a"\n$b\n')
    assert first.texts == ['echo[1]:  "a"\n$b\n']
    again = opencode("run", f"--session={first.session}", stdin="two")
    assert again.texts == ["echo[2]: two"]
    assert [event["type"] for event in again.events] == ["step_start", "text", "step_finish"]


def test_argument_is_put_into_quotes(opencode: Opencode) -> None:
    """An argument with a space arrives changed, as in the original."""
    assert opencode("run", 'say "x"').texts == ['echo[1]: "say \\"x\\""']


@pytest.mark.parametrize("name,problem", [("nobody", "not found"), ("explore", "is a subagent")])
def test_wrong_agent_falls_back_in_silence(opencode: Opencode, name: str, problem: str) -> None:
    """Exit code 0 and an answer of somebody else: only standard error tells."""
    said = opencode("run", "--agent", name, stdin="x")
    assert said.code == 0
    assert problem in said.complaints
    assert "Falling back to default agent" in said.complaints


def test_refused_tool_ends_the_turn_with_success(opencode: Opencode) -> None:
    """A permission is rejected at once, there is no text, and the exit code is 0."""
    said = opencode("run", stdin="CALL bash: rm x\nSAY done")
    assert said.code == 0
    assert said.texts == []
    assert "permission requested: bash (rm x); auto-rejecting" in said.complaints
    tool = said.events[1]["part"]["state"]
    assert (tool["status"], said.events[-1]["part"]["reason"]) == ("error", "tool-calls")


@pytest.mark.parametrize(
    "words,stdin,complaint",
    [
        (["run", "--session", "ses_nope"], "x", "Session not found"),
        (["run"], "", "You must provide a message"),
        (["run", "-x"], "x", "opencode run [message..]"),
        (["run", "-f", "gone.txt"], "x", "File not found: gone.txt"),
        (["export", "ses_nope"], "", "Session not found: ses_nope"),
    ],
)
def test_errors_end_with_one(
    opencode: Opencode, words: list[str], stdin: str, complaint: str
) -> None:
    """The sentence stands on standard error, coloured."""
    said = opencode(*words, stdin=stdin)
    assert said.code == 1
    assert complaint in said.complaints


@pytest.mark.parametrize(
    "script,name",
    [
        ("FAIL 400 no", "APIError"),
        ("FAIL 503", "APIError"),
        ("FAIL context", "ContextOverflowError"),
    ],
)
def test_provider_errors_end_with_one(opencode: Opencode, script: str, name: str) -> None:
    """The error is an event; one that may pass was tried again before."""
    said = opencode("run", stdin=script, FAKE_OPENCODE_RETRY_SECONDS="0.001")
    assert said.code == 1
    assert said.events[-1]["error"]["name"] == name


def test_question_is_no_tool_where_it_is_denied(opencode: Opencode) -> None:
    """The model's call of a denied tool is reported as `invalid`, and completed."""
    said = opencode("run", stdin="ASK ok?\nSAY on", OPENCODE_PERMISSION='{"question": "deny"}')
    assert said.events[1]["part"]["tool"] == "invalid"
    assert said.texts == ["on"]


def test_tools_do_what_they_say(opencode: Opencode) -> None:
    """Files and commands are real; a sub-agent has a session of its own."""
    said = opencode(
        "run",
        stdin="WRITE a.txt: one\\ntwo\nEDIT a.txt: two => three\nREAD a.txt\n"
        "CALL bash: cat a.txt; exit 4\nTASK general: SAY child\nTODO a*\nSAY done",
    )
    assert (opencode.project / "a.txt").read_text() == "one\nthree"
    states = [one["part"]["state"] for one in said.events if one["type"] == "tool_use"]
    assert [state["status"] for state in states] == ["completed"] * 6
    assert states[2]["output"] == "one\nthree"
    assert (states[3]["output"], states[3]["metadata"]["exit"]) == ("one\nthree", 4)
    assert states[4]["output"] == "child"
    assert states[5]["metadata"]["todos"][0]["status"] == "in_progress"


def test_export_is_cut_on_a_pipe(opencode: Opencode, tmp_path: Path) -> None:
    """Into a file it is whole."""
    session = opencode("run", stdin="LONG 20000").session
    assert len(opencode("export", session).out) == 65_536
    file = tmp_path / "export.json"
    with file.open("wb") as out:
        subprocess.run(
            [opencode.binary, "export", session], stdout=out, env=opencode.environment, check=True
        )
    content = json.loads(file.read_text())
    assert [one["info"]["role"] for one in content["messages"]] == ["user", "assistant"]


def test_imported_session_is_used(opencode: Opencode, tmp_path: Path) -> None:
    """A session may be made under an id of one's own."""
    time = {"created": 1, "updated": 1}
    info = {"id": "ses_own", "directory": str(opencode.project), "title": "t", "time": time}
    file = tmp_path / "import.json"
    file.write_text(json.dumps({"info": info, "messages": []}))
    assert opencode("import", str(file)).code == 0
    assert opencode("run", "--session=ses_own", stdin="x").texts == ["echo[1]: x"]


def test_lists_do_not_mark_default_or_hidden(opencode: Opencode) -> None:
    """Names and modes are all that `agent list` tells."""
    listed = opencode("agent", "list").out
    assert f"{NAMED_AGENT} (primary)\n" in listed
    assert "title (primary)\n" in listed
    assert opencode("models").out.split() == ["demo/scripted", "demo/other"]
    assert json.loads(opencode("debug", "config").out)["model"] == "demo/scripted"


def test_killed_run_leaves_an_open_message(opencode: Opencode) -> None:
    """The tool stays `running`, the shell an orphan; the session goes on."""
    process = subprocess.Popen(
        [opencode.binary, "run"],
        stdin=subprocess.PIPE,
        cwd=opencode.project,
        env=opencode.environment,
    )
    process.communicate(b"CALL bash: echo $$ > pid; kill -9 $PPID; exec sleep 300")
    assert process.returncode == -signal.SIGKILL
    shell = int((opencode.project / "pid").read_text())
    os.kill(shell, signal.SIGKILL)  # it was alive: nobody had ended it
    session = json.loads(opencode("session", "list").out)[0]["id"]
    broken = json.loads(opencode("export", session).out)["messages"][-1]
    assert "completed" not in broken["info"]["time"]
    assert broken["parts"][-1]["state"]["status"] == "running"
    assert opencode("run", f"--session={session}", stdin="on").texts == ["echo[2]: on"]
