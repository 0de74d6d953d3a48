"""The supervisor: nothing that an agent starts outlives its caller, or the agent."""

import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from galaxy_adapters.dispatch_opencode_cli import process as process_module
from galaxy_adapters.dispatch_opencode_cli.process import SupervisedProcess
from galaxy_adapters.dispatch_opencode_cli.run import _runs_a_tool
from galaxy_core.domain.errors import DispatcherUnavailable
from galaxy_core.testing.contracts.dispatcher_harness import is_alive

pytestmark = pytest.mark.anyio

Start = Callable[..., Awaitable[SupervisedProcess]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Start a shell script under a supervisor; ended after the test."""
    started: list[SupervisedProcess] = []

    async def start_shell(
        script: str, prompt: bytes = b"", grace: float = 0.5
    ) -> SupervisedProcess:
        with tempfile.TemporaryFile() as file:
            file.write(prompt)
            file.seek(0)
            lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
            process = await SupervisedProcess.start(
                ["/bin/sh", "-c", script],
                directory=tmp_path,
                environment={"PATH": os.environ["PATH"]},  # noqa: TID251
                prompt=file,
                lock=lock,
                grace=timedelta(seconds=grace),
            )
            os.close(lock)
        started.append(process)
        return process

    yield start_shell
    for process in started:
        await process.close()


async def until(is_so: Callable[[], bool]) -> None:
    """Look again and again: another process tells of no change."""
    with anyio.fail_after(10):
        while not is_so():  # noqa: ASYNC110 - see above
            await anyio.sleep(0.01)


async def appears(file: Path) -> None:
    """Wait until a shell has written its process id down."""
    await until(lambda: file.exists() and bool(file.read_text()))


async def test_output_code_and_complaints_come_through(start: Start) -> None:
    """Lines of standard output, the exit code, and standard error without its colours."""
    process = await start("cat; echo; printf '\\033[91mbad\\033[0m' >&2; exit 3", b"a\nb")
    assert [await process.line(10) for _ in range(3)] == [b"a", b"b", None]
    ended = await process.wait()
    assert (ended.code, ended.complaints) == (3, "bad")


async def test_death_by_a_signal_is_told_as_shells_do(start: Start) -> None:
    """128 and the signal's number."""
    process = await start("kill -9 $$")
    assert await process.line(10) is None
    assert (await process.wait()).code == 137


async def test_endless_complaints_are_bounded(start: Start) -> None:
    """Only the newest end is kept, and the agent is not held up."""
    process = await start("yes complaint | head -c 3000000 >&2; echo last >&2")
    assert await process.line(20) is None
    complaints = (await process.wait()).complaints
    assert len(complaints) <= 16_384
    assert complaints.endswith("last")


async def test_process_that_left_its_session_is_ended(start: Start, tmp_path: Path) -> None:
    """opencode's shell tool makes a session of its own; `stop` reaches it all the same."""
    pid_file = tmp_path / "pid"
    process = await start(f"setsid sh -c 'echo $$ > {pid_file}; exec sleep 300' & exec sleep 300")
    await appears(pid_file)
    assert _runs_a_tool(process.pid)
    assert await process.end()
    assert not is_alive(pid_file)


async def test_orphan_of_an_agent_that_ended_is_ended(start: Start, tmp_path: Path) -> None:
    """What the agent leaves behind when it exits by itself goes too, before the run is over."""
    pid_file = tmp_path / "pid"
    script = f"(setsid sh -c 'echo $$ > {pid_file}; exec sleep 300' &); "
    process = await start(script + f"while ! test -s {pid_file}; do sleep 0.01; done; exit 0")
    assert await process.line(10) is None
    assert (await process.wait()).code == 0
    assert not is_alive(pid_file)


async def test_process_that_ignores_term_is_killed(start: Start, tmp_path: Path) -> None:
    """After the grace there is no asking."""
    pid_file = tmp_path / "pid"
    process = await start(
        f"trap '' TERM; echo $$ > {pid_file}; while :; do sleep 0.05; done", grace=0.2
    )
    await appears(pid_file)
    begun = time.monotonic()
    assert await process.end()
    assert not is_alive(pid_file)
    assert time.monotonic() - begun >= 0.2


async def test_death_of_the_caller_is_noticed(start: Start, tmp_path: Path) -> None:
    """The kernel closes the pipe of a caller that was killed; that is the order to stop."""
    pid_file = tmp_path / "pid"
    process = await start(f"echo $$ > {pid_file}; exec sleep 300")
    await appears(pid_file)
    assert not _runs_a_tool(process.pid)
    process.stop()
    assert (await process.wait()).code == 128 + signal.SIGTERM
    assert not is_alive(pid_file)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
async def test_agent_dies_with_its_supervisor(start: Start, tmp_path: Path) -> None:
    """Also a supervisor may be killed with -9."""
    pid_file = tmp_path / "pid"
    process = await start(f"echo $$ > {pid_file}; exec sleep 300")
    await appears(pid_file)
    os.kill(process.pid, signal.SIGKILL)
    assert (await process.wait()).code == 137
    await until(lambda: not is_alive(pid_file))


async def test_line_that_does_not_end_is_cut(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded, and the lines behind an endless one are read."""
    monkeypatch.setattr(process_module, "LONGEST_LINE", 100_000)
    process = await start("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo next")
    cut = await process.line(20)
    assert cut is not None
    assert 100_000 <= len(cut) < 300_000
    assert await process.line(20) == b"next"


async def test_silence_is_told(start: Start) -> None:
    """Who waits for a line gets its time back."""
    process = await start("exec sleep 300")
    with pytest.raises(TimeoutError):
        await process.line(0.01)


async def test_missing_folder_is_a_clear_error(tmp_path: Path) -> None:
    """A process that cannot be started is no run."""
    with tempfile.TemporaryFile() as prompt, pytest.raises(DispatcherUnavailable, match="started"):
        await SupervisedProcess.start(
            ["/bin/true"],
            directory=tmp_path / "gone",
            environment={},
            prompt=prompt,
            lock=prompt.fileno(),
            grace=timedelta(seconds=1),
        )
