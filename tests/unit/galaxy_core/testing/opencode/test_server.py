"""The fake `opencode serve`, with the manners that dispatchers depend on."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from galaxy_core.testing.opencode.bus import Listener
from galaxy_core.testing.opencode.engine import Engine
from galaxy_core.testing.opencode.store import Store
from galaxy_core.testing.opencode_project import private_environment, write_opencode_project

pytestmark = pytest.mark.anyio

ASKS = {"bash": "ask"}


class Site:
    """An engine with its bus, in one project."""

    def __init__(self, engine: Engine, listener: Listener, directory: str) -> None:
        self.engine, self.listener, self.directory = engine, listener, directory
        self.session = engine.new_session(directory)

    def say(self, text: str, **more: Any) -> None:  # noqa: ANN401 - fields of a prompt
        """Send a prompt."""
        self.engine.admit(self.session, {"parts": [{"type": "text", "text": text}], **more})

    async def until(self, kind: str, seconds: float = 10) -> list[tuple[str, dict[str, Any]]]:
        """Events up to the first of this kind."""
        told: list[tuple[str, dict[str, Any]]] = []
        while not told or told[-1][0] != kind:
            event = await self.listener.next(seconds)
            assert event is not None
            told.append((event.type, event.properties))
        return told

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The session's messages."""
        return self.engine.store.messages(self.session["id"])


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Site]:
    """One process of the fake."""
    directory = write_opencode_project(folder / "project", "http://x/v1", permission=ASKS)
    store = Store(folder / "fake.db")
    try:
        async with asyncio.TaskGroup() as tasks:
            engine = Engine(store, {"PATH": os.defpath}, tasks)
            with engine.bus.listener() as listener:
                yield Site(engine, listener, str(directory))
                await engine.dispose()
    finally:
        store.close()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Give a project in which shell commands need a permission."""
    async with opened(tmp_path) as made:
        yield made


async def test_turn_is_told_in_order(site: Site) -> None:
    """The prompt comes back as a part; deltas come before the whole text; idle ends the turn."""
    site.say("SAY one two")
    kinds = [kind for kind, _ in await site.until("session.idle")]
    assert kinds.index("message.part.updated") < kinds.index("session.status")
    assert kinds.count("message.part.delta") == 2
    assert kinds[-2:] == ["session.status", "session.idle"]


async def test_message_id_runs_once(site: Site) -> None:
    """A second prompt under the same id doubles its part and runs nothing."""
    site.say("x", messageID="msg_own")
    await site.until("session.idle")
    site.say("x", messageID="msg_own")
    assert site.engine.status(site.directory) == {}
    assert len(site.messages) == 2
    assert len(site.messages[0]["parts"]) == 2
    assert site.engine.store.count("x") == 1


async def test_unknown_agent_is_an_error_without_an_end(site: Site) -> None:
    """Two errors, the second with a stack, and neither busy nor idle."""
    site.say("x", agent="nobody")
    errors = [await site.until("session.error"), await site.until("session.error")]
    assert [told[-1][1]["error"]["name"] for told in errors] == ["UnknownError"] * 2
    assert site.engine.status(site.directory) == {}


async def test_model_sticks_to_the_session(site: Site) -> None:
    """An unknown model spoils later prompts that name none."""
    site.say("x", model={"providerID": "no", "modelID": "such"})
    await site.until("session.idle")
    site.say("y")
    told = await site.until("session.idle")
    assert "session.error" in [kind for kind, _ in told]
    assert site.engine.store.count("y") == 0


async def test_prompt_to_a_busy_session_steers(site: Site) -> None:
    """It joins the turn: one idle for both."""
    site.say("SLEEP 0.05\nSAY one")
    await asyncio.sleep(0)
    site.say("two")
    told = await site.until("session.idle")
    assert [kind for kind, _ in told].count("session.idle") == 1
    assert [one["info"]["role"] for one in site.messages].count("user") == 2
    assert site.engine.status(site.directory) == {}


async def test_abort_leaves_a_ghost_and_two_idles(site: Site) -> None:
    """The permission request of an aborted turn stays listed."""
    site.say("CALL bash: echo x")
    await site.until("permission.asked")
    await site.engine.abort(site.session["id"])
    told = await site.until("session.idle")
    assert told[-3][1]["error"]["name"] == "MessageAbortedError"
    await site.until("session.idle")
    assert len(site.engine.asks.permissions(site.directory)) == 1
    assert site.messages[-1]["info"]["error"]["name"] == "MessageAbortedError"


async def test_plain_reject_stops_and_one_with_words_goes_on(site: Site) -> None:
    """The model is told the words, and answers; without them there is no text."""
    for message, text in ((None, ""), ("do it otherwise", "done")):
        site.say("CALL bash: echo x\nSAY done")
        asked = (await site.until("permission.asked"))[-1][1]
        body = {"reply": "reject", "message": message}
        assert site.engine.asks.reply_permission(site.directory, asked["id"], body)
        await site.until("session.idle")
        said = [part["text"] for part in site.messages[-1]["parts"] if part["type"] == "text"]
        assert "".join(said) == text


async def test_always_counts_for_the_folder(site: Site) -> None:
    """It lets what waits through and what comes later, until the process ends."""
    site.say("CALL bash: echo one\nAND CALL bash: echo two\nCALL bash: echo three")
    asked = (await site.until("permission.asked"))[-1][1]
    await site.until("permission.asked")
    site.engine.asks.reply_permission(site.directory, asked["id"], {"reply": "always"})
    told = await site.until("session.idle")
    assert "permission.asked" not in [kind for kind, _ in told]


async def test_child_asks_under_its_own_name(site: Site) -> None:
    """A sub-agent's request carries the child session, whose parent was told before."""
    site.say("TASK general: CALL bash: echo x")
    told = await site.until("permission.asked")
    asked = told[-1][1]
    (created,) = [
        one["info"]
        for kind, one in told
        if kind == "session.created" and one["info"].get("parentID")
    ]
    assert (asked["sessionID"], created["parentID"]) == (created["id"], site.session["id"])


async def test_retries_are_told(site: Site) -> None:
    """A provider that fails is asked again, and the session says so."""
    site.say("FAIL 503 x1 busy\nSAY better")
    told = await site.until("session.idle")
    states = [one["status"] for kind, one in told if kind == "session.status"]
    assert [state["type"] for state in states] == ["busy", "retry", "busy", "idle"]
    assert states[1]["message"] == "busy"
    assert site.messages[-1]["info"]["finish"] == "stop"


async def test_rubbish_goes_on_for_ever(site: Site) -> None:
    """A provider that answers with HTML ends no turn."""
    site.say("FAIL garbage")
    for _ in range(3):
        while True:
            part = (await site.until("message.part.updated"))[-1][1]["part"]
            if part["type"] == "step-finish":
                break
        assert part["reason"] == "unknown"
    await site.engine.abort(site.session["id"])


async def test_question_waits_for_an_answer(site: Site) -> None:
    """One list of answers for each question."""
    site.say("ASK Colour? | red | blue\nSAY done")
    asked = (await site.until("question.asked"))[-1][1]
    assert site.engine.asks.reply_question(site.directory, asked["id"], [["blue"]])
    await site.until("session.idle")
    assert not site.engine.asks.reply_question(site.directory, asked["id"], [["red"]])


async def test_restart_knows_the_session_and_no_request(tmp_path: Path) -> None:
    """What waited for a person is gone; the message stays open."""
    async with opened(tmp_path) as site:
        site.say("CALL bash: echo x")
        await site.until("permission.asked")
        # A killed process writes nothing more: the second one reads what lies there now.
        async with opened(tmp_path) as after:
            assert after.engine.asks.permissions(after.directory) == []
            open_message = after.engine.store.messages(site.session["id"])[-1]
            assert "completed" not in open_message["info"]["time"]


# ---- the process and its HTTP


@contextmanager
def serving(folder: Path, **more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `serve`; gives the process and its address."""
    project = write_opencode_project(folder / "project", "http://x/v1")
    environment = private_environment(folder / "home", dict(os.environ))  # noqa: TID251
    command = [sys.executable, "-m", "galaxy_core.testing.opencode", "serve", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=project, env=environment | more
    ) as process:
        assert process.stdout is not None
        found = re.search(r"listening on (\S+)", process.stdout.readline())
        assert found
        try:
            yield process, found[1]
        finally:
            process.kill()


def test_http_manners(tmp_path: Path) -> None:
    """A password on everything, HTML for what there is not, 204 for every prompt."""
    with serving(tmp_path, OPENCODE_SERVER_PASSWORD="secret") as (_, url):
        assert httpx.get(f"{url}/global/health").status_code == 401
        with httpx.Client(base_url=url, auth=("opencode", "secret")) as client:
            assert client.get("/global/health").json()["healthy"] is True
            assert "text/html" in client.get("/no/such/path").headers["content-type"]
            session = client.post("/session", json={"title": "t"}).json()["id"]
            prompt = {"agent": "nobody", "parts": [{"type": "text", "text": "x"}]}
            assert client.post(f"/session/{session}/prompt_async", json=prompt).status_code == 204
            assert client.get("/session/ses_nope/message").status_code == 404
            assert client.post("/session/ses_nope/abort").json() is True
            assert client.post("/permission/per_x/reply", json={"reply": "once"}).status_code == 404
            body = {"parts": [{"type": "text", "text": "FAIL 400 no"}]}
            failed = client.post(f"/session/{session}/message", json=body)
            assert failed.status_code == 200
            assert failed.json()["info"]["error"]["name"] == "APIError"
            counted = client.post("/__fake/count", json={"prompt": "FAIL 400 no"})
            assert counted.json() == {"count": 1}


def test_faults_strike(tmp_path: Path) -> None:
    """Errors, silence, cut streams and sudden death on demand."""
    with serving(tmp_path) as (process, url), httpx.Client(base_url=url, timeout=5) as client:
        client.post("/__fake/fault", json={"fault": "error", "path": "/session"})
        assert client.get("/session").status_code == 500
        assert client.get("/session").status_code == 200
        client.post("/__fake/fault", json={"fault": "hang", "path": "/agent"})
        with pytest.raises(httpx.ReadTimeout):
            client.get("/agent", timeout=0.1)
        with client.stream("GET", "/event") as stream:
            lines = stream.iter_lines()
            assert "server.connected" in next(lines)
            httpx.post(f"{url}/__fake/fault", json={"fault": "cut"})
            assert not any(lines)
        with pytest.raises(httpx.HTTPError):
            client.post("/__fake/fault", json={"fault": "die"})
        assert process.wait(5) == -9


def test_early_requests_are_never_answered(tmp_path: Path) -> None:
    """Between the open port and the printed line whoever asks waits for ever."""
    with serving(tmp_path) as (_, url):
        port = url.rpartition(":")[2]
    command = [sys.executable, "-m", "galaxy_core.testing.opencode", "serve", "--port", port]
    environment = private_environment(tmp_path, dict(os.environ))  # noqa: TID251
    environment["FAKE_OPENCODE_START_SECONDS"] = "60"
    with subprocess.Popen(command, env=environment, cwd=tmp_path) as process:
        try:
            with pytest.raises(httpx.TimeoutException):
                _ask_until_the_port_is_open(url)
        finally:
            process.kill()


def _ask_until_the_port_is_open(url: str) -> None:
    while True:
        try:
            httpx.get(f"{url}/global/health", timeout=0.2)
        except httpx.ConnectError:
            continue
