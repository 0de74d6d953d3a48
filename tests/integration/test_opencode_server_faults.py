"""The server dispatcher on the real opencode, where lines break and processes die."""

import base64
import json
import stat
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path

import anyio
import httpx
import pytest
from attrs import evolve

from galaxy_adapters._processes import marked
from galaxy_adapters.clock_system import SystemClock
from galaxy_adapters.dispatch_opencode_server import (
    Endpoint,
    GivenServer,
    OpencodeDefaults,
    OpencodeServerDispatcher,
)
from galaxy_core.domain.delivery import Finding, TicketKind
from galaxy_core.domain.errors import DispatcherUnavailable, DispatchRejected
from galaxy_core.domain.order import Attachment
from galaxy_core.domain.run import (
    PermissionChoice,
    PermissionReply,
    PermissionRequested,
    ProviderRetrying,
    RequestResolved,
    RunLimits,
    RunStarted,
    StepFinished,
    TextAppended,
    ToolChanged,
    ToolStatus,
    Verdict,
)
from galaxy_core.testing.contracts.dispatcher_harness import Watched, is_alive, sleeper
from galaxy_core.testing.factories import unique
from tests.cut_line import Line, cuttable
from tests.opencode_server import ServerHarness, Site, ready, state

pytest_plugins = ["galaxy_core.testing.fixtures_opencode"]
pytestmark = [pytest.mark.anyio, pytest.mark.opencode]

ONCE = PermissionReply(choice=PermissionChoice.ONCE)
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
async def harness(opencode_site: Site, tmp_path: Path) -> AsyncIterator[ServerHarness]:
    """Give a dispatcher on the shared server."""
    async with ServerHarness(opencode_site, tmp_path).running() as running:
        yield running


@pytest.fixture
async def line(harness: ServerHarness) -> AsyncIterator[Line]:
    """Give a line to the shared server that can be cut."""
    client = harness.server.client()
    async with cuttable(client.endpoint.url) as line:
        yield line


def at_the_end_of(
    line: Line, harness: ServerHarness, patience: timedelta = timedelta(minutes=1)
) -> OpencodeServerDispatcher:
    """Make a dispatcher that reaches the shared server through the line only."""
    server = GivenServer(Endpoint(line.url, harness.server.client().endpoint.password))
    defaults = OpencodeDefaults(patience=patience)
    return OpencodeServerDispatcher(server, clock=SystemClock(), defaults=defaults)


@pytest.fixture
async def far(harness: ServerHarness, line: Line) -> AsyncIterator[OpencodeServerDispatcher]:
    """Give a dispatcher at the far end of the line."""
    async with at_the_end_of(line, harness) as far:
        yield far


# ---- the line breaks


async def test_answer_survives_a_cut_of_the_stream(
    harness: ServerHarness, line: Line, far: OpencodeServerDispatcher
) -> None:
    """After a break the session is read: text is told once, in order and whole."""
    texts = [" ".join(f"{name}{number}" for number in range(40)) for name in "ab"]
    says = [f"SLOW 0.02\nSAY {text}" for text in texts]
    request = harness.request(f"{unique('Cut')}\n{says[0]}\nTODO a\n{says[1]}")
    run = Watched(far, request, await harness.prepare(request, dispatcher=far), harness.patience)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run.follow)
        for word in ("a2", "b2"):
            await told(run, word)
            line.cut()
    assert run.ended.verdict is Verdict.SUCCEEDED
    assert run.ended.text == "\n\n".join(texts)
    assert run_text(run) == "".join(texts)
    assert [step.number for step in run.of(StepFinished)] == [1, 2]
    assert await harness.count(request.prompt) == 1


async def told(run: Watched, word: str) -> None:
    """Wait until the word was told."""
    number = 1
    while word not in run_text(run):
        await run.seen(TextAppended, number)
        number += 1


def run_text(run: Watched) -> str:
    """Put the pieces together that were told so far."""
    return "".join(piece.text for piece in run.of(TextAppended))


async def test_permission_asked_while_the_line_is_down_is_found(
    harness: ServerHarness, line: Line, far: OpencodeServerDispatcher
) -> None:
    """Requests are read after a break, those of sub-agents too; and so is their resolution."""
    prompt = f"{unique('Ask')}\nSLEEP 1\nTASK explore: CALL bash: echo hi;;SAY done\nSAY all done"
    request = harness.request(prompt, directory=harness.asking_directory)
    run = Watched(far, request, await harness.prepare(request, dispatcher=far), harness.patience)
    client = harness.server.client()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run.follow)
        await run.seen(RunStarted)
        line.is_down = True
        line.cut()
        with anyio.fail_after(20):
            while not await client.permissions(str(harness.asking_directory)):
                await harness.pause()
        assert not run.of(PermissionRequested)
        line.is_down = False
        asked = await run.seen(PermissionRequested)
        await far.answer(run.ticket, asked.request_id, ONCE)
    assert [event.how for event in run.of(RequestResolved)] == ["once"]
    assert run.ended.text == "all done"


async def test_server_that_stays_away_gives_the_run_up(harness: ServerHarness, line: Line) -> None:
    """After the patience the caller hears of it; the message is not lost."""

    async def cut() -> None:
        await harness.reached(request.prompt)
        line.is_down = True
        line.cut()

    async with at_the_end_of(line, harness, timedelta(seconds=1)) as far:
        request = harness.request(harness.hangs())
        ticket = await harness.prepare(request, dispatcher=far)
        run = Watched(far, request, ticket, harness.patience)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cut)
            with pytest.raises(DispatcherUnavailable, match="cannot be reached any more"):
                await run.follow()
    assert await harness.dispatcher.find(ticket) is Finding.RUNNING
    await harness.dispatcher.cancel(ticket)


# ---- processes die


async def test_caller_that_dies_right_after_sending_sends_once(harness: ServerHarness) -> None:
    """Wherever the caller dies, its successor neither loses nor repeats the message."""
    request = harness.request(harness.says_slowly("one two three"))
    ticket = await harness.prepare(request)
    async with aclosing(harness.dispatcher.run(request, ticket)) as events:
        async for event in events:
            assert isinstance(event, RunStarted)
            break
    successor = await harness.crash_caller()
    assert await successor.find(ticket) in (Finding.RUNNING, Finding.FINISHED)
    run = await harness.run(request, ticket, dispatcher=successor)
    assert run.ended.verdict is Verdict.SUCCEEDED
    assert run.ended.text == "one two three"
    assert await harness.count(request.prompt) == 1


async def test_caller_that_dies_before_sending_sends_once(harness: ServerHarness) -> None:
    """A ticket that was written down and not used is unknown to the agent, then sent."""
    request = harness.request(harness.echoes())
    ticket = await harness.prepare(request)
    successor = await harness.crash_caller()
    assert await successor.find(ticket) is Finding.UNKNOWN
    run = await harness.run(request, ticket, dispatcher=successor)
    assert run.ended.verdict is Verdict.SUCCEEDED
    assert await harness.count(request.prompt) == 1


async def test_killed_server_leaves_no_tool_behind(harness: ServerHarness) -> None:
    """Its successor ends what the dead one started, and the session goes on."""
    pid_file = harness.directory / "pid"
    request = harness.request(harness.runs(sleeper(pid_file)))
    ticket = await harness.prepare(request)
    run = harness.watch(request, ticket)
    known = state(harness.server)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run.follow)
        await harness.until(lambda: bool(pid_file.exists() and pid_file.read_text()))
        await harness.crash_agent()
    assert run.ended.verdict is Verdict.BROKEN_OFF
    assert not is_alive(pid_file)
    assert known is not None
    assert marked("GALAXY_SERVER_ID", str(known["server_id"])) == []
    assert await harness.dispatcher.find(ticket) is Finding.BROKEN_OFF
    go_on = harness.request(harness.echoes())
    second = await harness.prepare(go_on, ticket, kind=TicketKind.CONTINUATION)
    continued = await harness.run(go_on, second)
    assert continued.ended.text.startswith("echo[2]")
    assert await harness.count(request.prompt) == 1


# ---- who may see what


async def test_password_is_out_of_the_agents_sight(
    opencode_site: Site, harness: ServerHarness
) -> None:
    """Neither the shell's environment nor that of the server's process shows it."""
    known = state(harness.server)
    assert known is not None
    password, pid = str(known["password"]), int(str(known["pid"]))
    assert stat.S_IMODE(harness.server.state_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(harness.server.state_file.parent.stat().st_mode) == 0o700
    # Read here what an agent could read: asking it to would only ask for permission.
    assert password.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
    assert password.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    dump = harness.directory / "environment"
    _, run = await harness.run_new(harness.runs(f"env > '{dump}'"))
    assert run.ended.verdict is Verdict.SUCCEEDED
    seen = dump.read_text(encoding="utf-8")
    assert "GALAXY_SERVER_ID=" in seen
    assert password not in seen
    assert "OPENCODE_SERVER_PASSWORD" not in seen
    async with httpx.AsyncClient(base_url=str(known["url"])) as stranger:
        for path in ("/global/health", "/session", "/permission"):
            assert (await stranger.get(path)).status_code == httpx.codes.UNAUTHORIZED


async def test_wrong_password_is_told(harness: ServerHarness) -> None:
    """A given server that refuses us is a clear error, and `check` says it."""
    client = harness.server.client()
    server = GivenServer(Endpoint(client.endpoint.url, "wrong"))
    async with OpencodeServerDispatcher(server, clock=SystemClock()) as stranger:
        with pytest.raises(DispatcherUnavailable, match=r"refuses.*opencode\.password"):
            await stranger.prepare(harness.request("x"), None, attempt=1)
        health = await stranger.check()
    assert not health.is_ready
    assert health.problem
    assert "password" in health.problem


# ---- what the agent is given


async def test_sub_agents_permission_belongs_to_the_order(harness: ServerHarness) -> None:
    """Asked in the child's session, answered through the order's ticket."""
    prompt = f"{unique('Delegate')}\nTASK explore: CALL bash: echo hi;;SAY done\nSAY all done"
    request = harness.request(prompt, directory=harness.asking_directory)
    run = harness.watch(request, await harness.prepare(request))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run.follow)
        asked = await run.seen(PermissionRequested)
        assert asked.patterns == ("echo hi",)
        await harness.dispatcher.answer(run.ticket, asked.request_id, ONCE)
    assert run.ended.text == "all done"
    bash = [event for event in run.of(ToolChanged) if event.tool == "bash"]
    assert bash[-1].is_child
    assert bash[-1].status is ToolStatus.COMPLETED
    # Two steps of the child and two of the parent were paid for.
    assert run.ended.usage.output_tokens == 80


async def test_cancelled_run_leaves_no_ghost(harness: ServerHarness) -> None:
    """A request that an aborted turn leaves waiting would be shown to people for ever."""
    request = harness.request(harness.runs("echo hi"), directory=harness.asking_directory)
    run = harness.watch(request, await harness.prepare(request))
    client = harness.server.client()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run.follow)
        await run.seen(PermissionRequested)
        await harness.dispatcher.cancel(run.ticket)
    assert run.ended.verdict is Verdict.CANCELLED
    assert len(run.of(RequestResolved)) == 1
    assert await client.permissions(str(harness.asking_directory)) == []


async def test_retries_of_the_provider_are_told(harness: ServerHarness) -> None:
    """opencode waits by itself; people see why nothing happens."""
    _, run = await harness.run_new(f"{unique('Retry')}\nFAIL 500 x1 overloaded\nSAY all done")
    assert run.ended.verdict is Verdict.SUCCEEDED
    assert run.ended.text == "all done"
    retrying = run.of(ProviderRetrying)
    assert [event.attempt for event in retrying] == [1]
    assert "overloaded" in retrying[0].message
    assert retrying[0].next_at is not None


async def test_time_that_a_person_takes_is_not_counted(harness: ServerHarness) -> None:
    """Neither limit passes while the agent waits for an answer."""
    limits = RunLimits(total=timedelta(seconds=3), silence=timedelta(seconds=2))
    request = harness.request(
        harness.runs("echo hi"), directory=harness.asking_directory, limits=limits
    )
    run = harness.watch(request, await harness.prepare(request))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run.follow)
        asked = await run.seen(PermissionRequested)
        await anyio.sleep(3.2)
        await harness.dispatcher.answer(run.ticket, asked.request_id, ONCE)
    assert run.ended.verdict is Verdict.SUCCEEDED


@pytest.mark.parametrize(
    "failure,verdict,sentence",
    [
        ("FAIL length", Verdict.FAILED, "longest length"),
        ("FAIL filter", Verdict.FAILED, "held the answer back"),
        ("FAIL 401 bad key", Verdict.FAILED, "bad key"),
    ],
)
async def test_cut_answers_are_no_success(
    harness: ServerHarness, failure: str, verdict: Verdict, sentence: str
) -> None:
    """What there is of the answer comes with the reason why it is not all."""
    _, run = await harness.run_new(f"{unique('Cut')}\nSAY beginning\n{failure}")
    assert run.ended.verdict is verdict
    assert run.ended.reason
    assert sentence in run.ended.reason


async def test_command_of_opencode_is_run_once(opencode_site: Site, tmp_path: Path) -> None:
    """The payload is the command's arguments, and the message is found again like any other."""
    harness = ServerHarness(opencode_site, tmp_path)
    config = harness.asking_directory / "opencode.json"
    template = '"command": {"greet": {"template": "SAY greetings to $ARGUMENTS"}}, "permission"'
    config.write_text(config.read_text().replace('"permission"', template))
    async with harness.running():
        request = harness.request("the world", directory=harness.asking_directory)
        request = evolve(request, command="greet")
        run = harness.watch(request, await harness.prepare(request))
        await run.follow()
        assert run.ended.text == "greetings to the world"
        successor = await harness.crash_caller()
        assert await successor.find(run.ticket) is Finding.FINISHED
        again = await harness.run(request, run.ticket, dispatcher=successor)
        assert again.ended.text == "greetings to the world"
        assert await harness.count("SAY greetings to the world") == 1
        request = evolve(request, command="no-such-command")
        with pytest.raises(DispatchRejected, match="no-such-command"):
            await harness.prepare(request)


async def test_files_reach_the_model(harness: ServerHarness) -> None:
    """Text, pictures and folders are attached; the prompt itself is not touched."""
    picture = harness.directory / "pixel ä.png"
    picture.write_bytes(PIXEL)
    notes = harness.directory / "notes.json"
    notes.write_text('{"remember": "the milk"}', encoding="utf-8")
    request = evolve(
        harness.request(f"{unique('Files')}\nDUMP"),
        attachments=(Attachment(path=str(picture)), Attachment(path="notes.json")),
    )
    run = await harness.run(request, await harness.prepare(request))
    assert run.ended.verdict is Verdict.SUCCEEDED, run.ended
    assert "image_url" in run.ended.text
    client = harness.server.client()
    message = await client.message(run.ticket.session_id, run.ticket.message_id)
    assert message["parts"][0]["text"] == request.prompt
    assert "the milk" in json.dumps(message["parts"][1:])


async def test_missing_file_is_refused_before_anything_is_sent(harness: ServerHarness) -> None:
    """An order whose attachment is gone is not half an order."""
    request = evolve(
        harness.request(harness.echoes()), attachments=(Attachment(path="not there.txt"),)
    )
    ticket = await harness.prepare(request)
    with pytest.raises(DispatchRejected, match=r"not there\.txt"):
        await harness.run(request, ticket)
    assert await harness.count(request.prompt) == 0


async def test_session_of_another_folder_is_replaced(harness: ServerHarness) -> None:
    """opencode would work in the folder that the session was made in, whatever is asked."""
    first, _ = await harness.run_new(harness.echoes())
    request = harness.request(harness.echoes(), directory=harness.asking_directory)
    second = await harness.prepare(request, first)
    assert second.is_session_replaced
    assert second.session_id != first.session_id


async def test_folder_that_is_not_there_is_refused(harness: ServerHarness) -> None:
    """opencode would accept it and work nowhere."""
    request = harness.request("x", directory=harness.directory / "nowhere")
    with pytest.raises(DispatchRejected, match="does not exist"):
        await harness.prepare(request)


async def test_long_turn_is_read_whole(harness: ServerHarness) -> None:
    """An answer of more messages than fit into one page has no hole."""
    steps = "\n".join(f"SAY part {number}\nTODO a{number}" for number in range(12))
    request = harness.request(f"{unique('Long')}\n{steps}\nSAY the end")
    ticket = await harness.prepare(request)
    first = await harness.run(request, ticket)
    successor = await harness.crash_caller()
    again = await harness.run(request, ticket, dispatcher=successor)
    expected = [*(f"part {number}" for number in range(12)), "the end"]
    assert first.ended.text.split("\n\n") == expected
    assert again.ended == first.ended


async def test_server_of_a_command_that_runs_once_ends_with_it(
    opencode_site: Site, tmp_path: Path
) -> None:
    """The last who uses the server ends it, with everything it started; others do not."""
    site = evolve(opencode_site, machine=tmp_path)
    project = site.project(tmp_path / "project")
    resident, passing = site.server(outlives_us=False), site.server(outlives_us=False)
    async with site.dispatcher(resident) as first:
        await ready(first)
        async with site.dispatcher(passing) as second:
            await ready(second)
            assert passing.pid == resident.pid
        known = state(resident)
        assert known is not None
        await ready(first)
    assert project.is_dir()
    assert marked("GALAXY_SERVER_ID", str(known["server_id"])) == []
    assert state(resident) is None
