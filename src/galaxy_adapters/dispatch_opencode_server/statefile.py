"""What is written down about the server, so that the next Hermes finds it again.

One small file for each machine's folder, readable by the user alone because it holds the password.
It is written before the server is started (without address) and again when it listens; so a
server whose starter died in between is known by its marker, and ended by the next one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from attrs import asdict, frozen

from galaxy_adapters._files import make_durable_folder, replace_atomically
from galaxy_adapters._processes import ProcessIdentity

_VERSION = 1


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
        self._starting = root / f"opencode-{key}.lock"
        self._using = root / f"opencode-{key}.users"
        self.log = root / f"opencode-{key}.log"

    def make(self) -> None:
        """Make the folder.  Raises `StorageUnavailable`."""
        make_durable_folder(self._root, mode=0o700)

    def read(self) -> ServerState | None:
        """Read the state; None when there is none, or none that can be understood."""
        try:
            known = json.loads(self.state_file.read_bytes())
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

    def forget(self) -> None:
        """Remove the state."""
        with suppress(OSError):
            self.state_file.unlink()

    def lock_start(self) -> int | None:
        """Take the right to start or stop the server; None while another process has it.

        Returns a descriptor: closing it, or dying, gives the right back.
        """
        return self._lock(self._starting, fcntl.LOCK_EX)

    def lock_use(self) -> int | None:
        """Say that we use the server, until the descriptor is closed."""
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
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        return descriptor


def state_root(environment: Mapping[str, str]) -> Path:
    """Where programs keep their state, by the XDG rules."""
    home = Path(environment.get("HOME") or Path.home())
    return Path(environment.get("XDG_STATE_HOME") or home / ".local" / "state") / "galaxy"
