"""A user's service manager, a real one, for tests: all that it starts ends with the test.

It runs in a control group of its own, as one that a login starts; nobody else's services are seen.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from attrs import define, field

from tests.e2e.machine import eventually
from tests.support import require_or_skip

PROGRAM = Path("/usr/lib/systemd/systemd")
BOOTED = Path("/run/systemd/system")
"""By this folder programs see that systemd runs the host; a user's manager refuses without it."""
GROUPS = Path("/sys/fs/cgroup")
_ENVIRONMENT = os.environ  # noqa: TID251 - programs are started with PATH and the like

# The manager makes itself at home in the group that it finds itself in.  Root's one gets mounts of
# its own, shared among its services as on a booted host, where credentials are handed over by
# them; and a /run/systemd that says that the host is booted, with the files that it puts over
# paths that a service may not see.
_PROGRAM = """
for each in "$@"; do echo $$ >"$each/cgroup.procs" || exit; done
if [ "$(id -u)" = 0 ]; then
    mount -t tmpfs -o mode=755 tmpfs /run/systemd && mkdir /run/systemd/system &&
        ln -s "$XDG_RUNTIME_DIR/systemd/inaccessible" /run/systemd/inaccessible || exit
fi
exec "$MANAGER" --user
"""
# There is no journal: what services say goes where the manager's own words go.
_SETTINGS = "[Manager]\nDefaultStandardOutput=inherit\nDefaultStandardError=inherit\n"


@define
class UserManager:
    """The manager, and the environment of the user's shell."""

    folder: Path
    """Holds the home and runtime folders."""
    variables: dict[str, str] = field(factory=dict)
    """What the manager hands to its services beside the usual."""
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def home(self) -> Path:
        """The user's home."""
        return self.folder / "home"

    @property
    def runtime(self) -> Path:
        """`XDG_RUNTIME_DIR`."""
        return self.folder / "run"

    @property
    def units(self) -> Path:
        """Where the user's units lie."""
        return self.home / ".config" / "systemd" / "user"

    @property
    def environment(self) -> dict[str, str]:
        """What a login gives to a shell."""
        return {
            "HOME": str(self.home),
            "PATH": _ENVIRONMENT["PATH"],
            "XDG_RUNTIME_DIR": str(self.runtime),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.runtime}/bus",
            "LANG": "C.UTF-8",
            **self.variables,
        }

    def start(self) -> None:
        """Start it, and wait until it has come up."""
        self.units.mkdir(parents=True, exist_ok=True)
        self.units.with_name("user.conf").write_text(_SETTINGS, encoding="utf-8")
        shutil.rmtree(self.runtime, ignore_errors=True)  # a boot empties it
        self.runtime.mkdir(mode=0o700)
        for group in self._groups():
            try:
                group.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                require_or_skip(f"no control group can be made for a service manager: {error}")
        log = (self.folder / "manager.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [*self._apart, "/bin/sh", "-c", _PROGRAM, "sh", *map(str, self._groups())],
                env=self.environment | {"MANAGER": str(PROGRAM), "SYSTEMD_LOG_TARGET": "console"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            eventually(lambda: self._is_up() or self._process_ended(), "the manager comes up", 20)
        except AssertionError as error:
            error.add_note(self.log())
            raise
        if self._process_ended():
            require_or_skip(f"no service manager can be started here: {self.log()}")

    def stop(self) -> None:
        """End it, and everything that it has started."""
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
        end = time.monotonic() + 10
        while left := self.processes():
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if process is not None:
                process.poll()
            assert time.monotonic() < end, f"they cannot be ended: {left}"
            time.sleep(0.05)
        for name in self._hierarchies():
            top = name / self._top
            for group in sorted(top.rglob("*"), reverse=True):
                if group.is_dir():
                    group.rmdir()
            with suppress(FileNotFoundError):
                top.rmdir()

    def systemctl(self, *words: str) -> str:
        """What `systemctl --user` says; it must succeed."""
        done = self.run("systemctl", "--user", *words)
        assert done.returncode == 0, f"systemctl {words}: {done.stderr}{self.log()}"
        return done.stdout

    def run(self, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command of the user's."""
        inside: tuple[str, ...] = ()
        if os.getuid() == 0 and self._process is not None:
            inside = ("nsenter", f"--target={self._process.pid}", "--mount", "--wd=.", "--")
        return subprocess.run(
            (*inside, *words),
            cwd=cwd or self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def show(self, unit: str, *names: str) -> dict[str, str]:
        """Properties of a unit."""
        text = self.systemctl("show", *(f"--property={name}" for name in names), unit)
        return dict(line.split("=", 1) for line in text.splitlines())

    def processes(self) -> set[int]:
        """All that run below the manager, itself included."""
        found: set[int] = set()
        for hierarchy in self._hierarchies():
            for file in (hierarchy / self._top).rglob("cgroup.procs"):
                with suppress(OSError):
                    found.update(map(int, file.read_text().split()))
        return found

    def log(self) -> str:
        """What the manager has said."""
        return (self.folder / "manager.log").read_text(errors="replace")[-6000:]

    def _is_up(self) -> bool:
        state = self.run("systemctl", "--user", "is-system-running").stdout.strip()
        return state in {"running", "degraded"}

    def _process_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    @property
    def _apart(self) -> tuple[str, ...]:
        return ("unshare", "--mount", "--propagation=shared", "--") if os.getuid() == 0 else ()

    @property
    def _top(self) -> str:
        return f"galaxy-test-{os.getpid()}.slice"

    def _groups(self) -> list[Path]:
        inner = Path(self._top, f"user@{os.getuid()}.service")
        return [hierarchy / inner for hierarchy in self._hierarchies()]

    @staticmethod
    def _hierarchies() -> list[Path]:
        """The hierarchies in which systemd keeps track of processes."""
        if (GROUPS / "cgroup.controllers").exists():
            return [GROUPS]
        return [each for each in (GROUPS / "systemd", GROUPS / "unified") if each.is_dir()]


@contextmanager
def user_manager(folder: Path, variables: dict[str, str] | None = None) -> Iterator[UserManager]:
    """Give a manager for the duration of the block."""
    manager = UserManager(folder, variables or {})
    with ExitStack() as stack:
        if os.getuid() != 0 and not BOOTED.exists():
            require_or_skip("systemd does not run this host, and only root may pretend it does")
        stack.callback(manager.stop)
        manager.start()
        yield manager


def lacking() -> str | None:
    """What of systemd is not installed here; None when all of it is there."""
    needed = [shutil.which(name) for name in ("systemctl", "systemd-run", "dbus-daemon")]
    if None in needed or not PROGRAM.exists():
        return "systemd with a user's bus is not installed"
    return None
