"""Starting `opencode serve` so that it outlives us, and hearing where it listens.

The server gets a process session of its own and, where Hermes is a systemd service, a scope of
its own: stopping the service then leaves a long run alone.  Its output goes to a file, as nobody
may be there to read a pipe.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import anyio
import structlog
from attrs import frozen

from galaxy_adapters._opencode import child_environment, without_ansi
from galaxy_adapters._opencode.steady import PRELOAD
from galaxy_adapters._processes import ProcessIdentity, identify
from galaxy_core.domain.errors import DispatcherUnavailable

MARKER = "GALAXY_SERVER_ID"
"""Environment variable by which the server and all that it starts are known."""

_LISTENING = re.compile(r"listening on (https?://\S+)")
_POLL_SECONDS = 0.03
_LOG_TAIL = 4096
_HIDE_PASSWORD = Path(__file__).with_name("hide_password.js")
"""Gives opencode a steady clock, too."""

# `cd` in the child: posix_spawn knows no working directory. The shell is replaced at once.
_IN_FOLDER = ("/bin/sh", "-c", 'cd -- "$1" && shift && exec "$@"', "sh")

_log = structlog.get_logger(__name__)


@frozen(kw_only=True)
class Launch:
    """What is started, and with what."""

    binary: Path
    directory: Path
    environment: Mapping[str, str]
    log: Path
    server_id: str
    password: str
    is_password_hidden: bool = True
    """Whether the password is kept out of the environment; needs a cooperating opencode."""


def spawn(launch: Launch, *, scope: tuple[str, ...] = ()) -> ProcessIdentity:
    """Start it; returns at once.  Raises `DispatcherUnavailable` when it cannot be started."""
    additions = {MARKER: launch.server_id}
    if launch.is_password_hidden:
        additions[PRELOAD] = str(_HIDE_PASSWORD)
    else:
        additions["OPENCODE_SERVER_PASSWORD"] = launch.password
    environment = child_environment(
        launch.environment, directory=launch.directory, additions=additions
    )
    serve = (str(launch.binary), "serve", "--hostname", "127.0.0.1", "--port", "0")
    command = [*_IN_FOLDER, str(launch.directory), *scope, *serve]
    with suppress(OSError):  # the newest output matters, and starting more than that
        launch.log.replace(launch.log.with_suffix(".log.1"))
    reading, writing = os.pipe()
    try:
        # A pipe holds the password at once, whether or not anybody reads it.
        os.write(writing, launch.password.encode() + b"\n")
        os.close(writing)
        pid = os.posix_spawn(
            command[0],
            command,
            environment,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, reading, 0),
                (
                    os.POSIX_SPAWN_OPEN,
                    1,
                    str(launch.log),
                    os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND,
                    0o600,
                ),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=(),
            # Python ignores these two, and what is ignored stays so over exec.
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
        )
    except OSError as error:
        raise DispatcherUnavailable(
            f"opencode cannot be started ({launch.binary}): {error.strerror}."
        ) from error
    finally:
        os.close(reading)
    return identify(pid) or ProcessIdentity(pid, "gone")


async def listening_url(log: Path, process: ProcessIdentity, patience: timedelta) -> str:
    """Wait for the line that says where it listens; a request before it is never answered.

    Raises `DispatcherUnavailable` with the end of its output when it dies or takes too long.
    """
    with anyio.move_on_after(patience.total_seconds()):
        while True:
            if found := _LISTENING.search(log_tail(log)):
                return found[1]
            if not is_running(process):
                break
            await anyio.sleep(_POLL_SECONDS)
    said = log_tail(log).strip()[-600:]
    what = "does not come up" if is_running(process) else "ended as soon as it was started"
    raise DispatcherUnavailable(f"`opencode serve` {what}. It said: {said or 'nothing'}")


def is_running(process: ProcessIdentity) -> bool:
    """Whether it lives; takes note of its death if it was our child."""
    with suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
    return process.is_alive


def scope_command(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Give the words that put a command into a systemd scope of its own; empty elsewhere.

    Only inside a service: the shell of a person ends nothing when it ends.
    """
    try:
        group = Path("/proc/self/cgroup").read_text(encoding="utf-8")
    except OSError:
        return ()
    run = shutil.which("systemd-run", path=environment.get("PATH", os.defpath))
    if ".service" not in group or run is None or not Path("/run/systemd/system").is_dir():
        return ()
    is_users = "/user@" in group
    return (run, *(("--user",) if is_users else ()), "--scope", "--quiet", "--collect", "--")


def log_tail(log: Path) -> str:
    """Read the newest end of its output, without colours; empty when there is none."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _LOG_TAIL))
            return without_ansi(stream.read(_LOG_TAIL).decode("utf-8", "replace"))
    except OSError:
        return ""
