"""What is written down about the server, so that the next Hermes finds it again.

One small file for each machine's folder, readable by the user alone because it holds the password.
It is written before the server is started, again when its process is known, and again when it
listens; so a server whose starter died in between is known at least by its marker, and the next one
waits for it in its place.  Beside it lies what was seen of a server that does not answer.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from attrs import asdict, frozen

from galaxy_adapters._files import make_durable_folder, replace_atomically
from galaxy_adapters._processes import ProcessIdentity
from galaxy_adapters.dispatch_opencode_server.silence import Silence
from galaxy_core.domain.errors import StorageUnavailable

_VERSION = 1
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@frozen(kw_only=True)
class ServerState:
    """One server that was started or is about to be."""

    server_id: str
    password: str
    url: str | None = None
    pid: int | None = None
    birth: str | None = None
    version: str | None = None
    binary: str | None = None

    @property
    def process(self) -> ProcessIdentity | None:
        """Its process; None while nobody knows it."""
        if self.pid is None or self.birth is None:
            return None
        return ProcessIdentity(self.pid, self.birth)

    def __repr__(self) -> str:
        return f"ServerState(server_id={self.server_id!r}, url={self.url!r}, pid={self.pid!r})"


class StateFolder:
    """The files of one machine's server: state, locks, log."""

    def __init__(self, root: Path, machine: Path) -> None:
        key = hashlib.sha256(os.fsencode(machine.resolve())).hexdigest()[:16]
        self._root = root
        self.state_file = root / f"opencode-{key}.json"
        self._silence_file = root / f"opencode-{key}.silence"
        self._starting = root / f"opencode-{key}.lock"
        self._using = root / f"opencode-{key}.users"
        self.log = root / f"opencode-{key}.log"

    def make(self) -> None:
        """Make the folder, and keep others from writing into it.  Raises `StorageUnavailable`."""
        make_durable_folder(self._root, mode=0o700)
        try:
            if self._root.stat().st_mode & _OTHERS_WRITE:
                self._root.chmod(0o700)
        except OSError as error:
            raise StorageUnavailable(
                f"Other users may write into {self._root}, where the key to opencode is kept."
            ) from error

    def read(self) -> ServerState | None:
        """Read the state; None when there is none of ours, or none that can be understood."""
        try:
            # What another user wrote, or a link to it, may lead to a server of somebody else's,
            # which would get our orders.
            descriptor = os.open(self.state_file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                if os.fstat(descriptor).st_uid != os.geteuid():
                    return None
                known = json.loads(file.read())
            if known.pop("format") != _VERSION:
                return None
            return ServerState(**known)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def write(self, state: ServerState) -> None:
        """Replace the state.  Raises `StorageUnavailable`.

        Not synced: after a power cut there is no server to be found either.
        """
        text = json.dumps({"format": _VERSION, **asdict(state)})
        replace_atomically(self.state_file, text.encode(), mode=0o600)

    def read_silence(self) -> Silence | None:
        """Read what earlier processes saw of a server that does not answer; None: nothing."""
        try:
            return Silence(**json.loads(self._silence_file.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def write_silence(self, silence: Silence) -> None:
        """Leave it to whoever comes next.  A disk that is full costs patience, nothing else."""
        with suppress(StorageUnavailable):
            replace_atomically(self._silence_file, json.dumps(asdict(silence)).encode(), mode=0o600)

    def forget_silence(self) -> None:
        """Take note that the server answers."""
        with suppress(OSError):
            self._silence_file.unlink()

    def forget(self, state: ServerState) -> None:
        """Remove the state, unless it is that of another server by now."""
        known = self.read()
        if known is not None and known.server_id == state.server_id:
            with suppress(OSError):
                self.state_file.unlink()

    def lock_start(self) -> int | None:
        """Take the right to start or stop the server; None while another process has it.

        Returns a descriptor: closing it, or dying, gives the right back.  Raises
        `StorageUnavailable`.
        """
        return self._lock(self._starting, fcntl.LOCK_EX)

    def lock_use(self) -> int | None:
        """Say that we use the server, until the descriptor is closed.

        Only while holding the right to start: somebody else looks whether it is used then.
        """
        return self._lock(self._using, fcntl.LOCK_SH)

    def is_used_by_others(self) -> bool:
        """Whether anybody uses the server; to be asked when our own use has ended."""
        descriptor = self._lock(self._using, fcntl.LOCK_EX)
        if descriptor is None:
            return True
        os.close(descriptor)
        return False

    @staticmethod
    def _lock(path: Path, kind: int) -> int | None:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageUnavailable(f"{path} cannot be opened: {error.strerror}.") from error
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError as error:
            os.close(descriptor)
            raise StorageUnavailable(f"{path} cannot be locked: {error.strerror}.") from error
        return descriptor


def state_root(environment: Mapping[str, str]) -> Path:
    """Where programs keep their state, by the XDG rules."""
    home = Path(environment.get("HOME") or Path.home())
    return Path(environment.get("XDG_STATE_HOME") or home / ".local" / "state") / "galaxy"
