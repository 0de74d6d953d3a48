"""Commands to orders: one file each, whose name says what it would replace.

    cancel-<order_id>.json                  the wish to cancel an order
    answer-<order_id>-<digest>.json         an answer; the digest is that of the request's id

A command is in place, whole and synced, when `send` returns, and stays until `done`.  A process
that dies between carrying a command out and `done` meets it again: carrying out is safe twice.
The time of change of a file, which the sender sets, tells the order of arrival.

Whoever writes a command and whoever removes one take turns by a lock, so that a newer command is
never removed in place of the one that was carried out.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import anyio
from anyio import to_thread
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled
from attrs import define, field

from galaxy_adapters._files import (
    ANY_CHANGE,
    FolderWatch,
    exclusive_lock,
    make_durable_folder,
    read_plain_file,
    rename_exclusively,
    storage_errors,
    sweep_scratch,
    write_durably,
)
from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.domain.ids import OrderId, safe_order_id
from galaxy_core.domain.incident import Incident
from galaxy_core.domain.operations import CancelRequested, ControlCommand
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.control import Control
from galaxy_core.ports.incident_sink import IncidentSink
from galaxy_core.wire.events import decode_command, encode_command
from galaxy_core.wire.layout import Layout

__all__ = ["FilesystemControl"]

PATIENCE = timedelta(seconds=3)
"""How long a file that cannot be read must stand still before it is set aside."""
RESCAN = timedelta(seconds=30)
"""How late a command can be noticed at most when its notice was lost."""
MAX_BYTES = 4 << 20

_Stamp = tuple[int, int, int]


@define
class _Suspect:
    """A file that cannot be read yet."""

    stamp: _Stamp
    since: float
    """On the monotonic clock."""


@define(eq=False)
class FilesystemControl(Control):
    """Commands of one machine.  Any number of processes; in each, one task waits."""

    _layout: Layout
    _clock: Clock
    _incidents: IncidentSink
    _is_polling: bool = field(default=False, kw_only=True)
    """Look each second instead of being told: for folders that other hosts write to."""
    _watch: FolderWatch | None = field(default=None, init=False)
    _noticed: dict[str, _Stamp] = field(factory=dict, init=False)
    """What was there when `wait` last said so."""
    _suspects: dict[str, _Suspect] = field(factory=dict, init=False)
    _last_arrival_ns: int = field(default=0, init=False)
    _arrival_lock: threading.Lock = field(factory=threading.Lock, init=False)

    async def send(self, command: ControlCommand) -> None:
        await to_thread.run_sync(self._send, command)

    async def pending(self, order_id: OrderId | None = None) -> Sequence[ControlCommand]:
        await checkpoint_if_cancelled()
        with storage_errors("read", self._folder):
            commands = self._read_all()
        return [c for c in commands if order_id is None or c.order_id == order_id]

    async def done(self, command: ControlCommand) -> None:
        await to_thread.run_sync(self._done, command)

    async def wait(self, timeout: timedelta | None = None) -> bool:
        await checkpoint()
        watch = self._watching()
        deadline = None if timeout is None else self._clock.monotonic() + timeout.total_seconds()
        while True:
            watch.take()  # before the look: what comes after it is a new notice
            if self._has_news():
                return True
            pause = RESCAN
            if deadline is not None:
                left = timedelta(seconds=deadline - self._clock.monotonic())
                if left <= timedelta(0):
                    return False
                pause = min(pause, left)
            await self._sleep(watch, pause)

    def close(self) -> None:
        """Stop watching.  Safe twice."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    # ---- writing, in threads

    def _send(self, command: ControlCommand) -> None:
        with storage_errors("write", self._folder):
            make_durable_folder(self._folder)
            with exclusive_lock(self._lock):
                write_durably(
                    self._folder / _name_of(command),
                    encode_command(command),
                    modified_ns=self._next_arrival(),
                )

    def _done(self, command: ControlCommand) -> None:
        path = self._folder / _name_of(command)
        with storage_errors("remove", path), suppress(FileNotFoundError):
            if not path.exists():
                return
            # What cannot be read is set aside by whoever looks next.
            with exclusive_lock(self._lock), suppress(UnreadableFile):
                waiting = decode_command(read_plain_file(path, limit=MAX_BYTES)[0])
                # An answer that was changed since has not reached the agent yet.
                if isinstance(command, CancelRequested) or waiting == command:
                    path.unlink()  # not synced: a power cut brings it back at worst

    def _next_arrival(self) -> int:
        # The kernel's own time of change has steps of some milliseconds.
        now = int(self._clock.now().timestamp() * 1_000_000_000)
        with self._arrival_lock:
            self._last_arrival_ns = max(self._last_arrival_ns + 1, now)
            return self._last_arrival_ns

    # ---- reading

    def _read_all(self) -> list[ControlCommand]:
        stamps = self._scan()
        for name in self._suspects.keys() - stamps.keys():
            del self._suspects[name]
        commands = []
        for name, stamp in sorted(stamps.items(), key=lambda item: (item[1][2], item[0])):
            try:
                data, _ = read_plain_file(self._folder / name, limit=MAX_BYTES)
                commands.append(decode_command(data))
            except FileNotFoundError:
                continue
            except UnreadableFile as error:
                self._suspect(name, stamp, error)
        return commands

    def _scan(self) -> dict[str, _Stamp]:
        stamps: dict[str, _Stamp] = {}
        with suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not entry.name.endswith(".json"):
                    continue
                with suppress(FileNotFoundError):
                    stat = entry.stat(follow_symlinks=False)
                    stamps[entry.name] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        return stamps

    def _suspect(self, name: str, stamp: _Stamp, error: UnreadableFile) -> None:
        """Wait until the file has stood still for a while, then set it aside."""
        now = self._clock.monotonic()
        known = self._suspects.get(name)
        if known is None or known.stamp != stamp:
            self._suspects[name] = _Suspect(stamp, now)
            return
        if now - known.since < PATIENCE.total_seconds():
            return
        path = self._folder / name
        kept = f"{name}.corrupt-{self._clock.now():%Y%m%dT%H%M%S%f}Z"
        with suppress(FileNotFoundError):
            if rename_exclusively(os.fspath(path), os.fspath(path.with_name(kept))):
                del self._suspects[name]
                self._incidents.report(
                    Incident(
                        kind="command_set_aside",
                        message=f"A command to an order could not be read ({error}) and was kept"
                        f" as {kept} in {self._folder}: give the command again.",
                        key=f"command_set_aside:{kept}",
                        data={"file": kept},
                    )
                )

    # ---- waiting

    def _watching(self) -> FolderWatch:
        if self._watch is None:
            with suppress(OSError):  # then it is watched for: slower to notice the first command
                make_durable_folder(self._folder)
            # What senders that died left behind goes when somebody begins to listen.
            sweep_scratch(self._folder)
            self._watch = FolderWatch(is_polling=self._is_polling)
            self._watch.add(self._folder, ANY_CHANGE)
        return self._watch

    def _has_news(self) -> bool:
        """Whether a file is there that was not there, or was another one, when we last said so."""
        stamps = self._scan()
        is_new = any(self._noticed.get(name) != stamp for name, stamp in stamps.items())
        self._noticed = stamps
        return is_new

    async def _sleep(self, watch: FolderWatch, pause: timedelta) -> None:
        async with anyio.create_task_group() as group:

            async def be_told() -> None:
                await watch.wait(None)
                group.cancel_scope.cancel()

            group.start_soon(be_told, name="control.notice")
            await self._clock.sleep(pause)
            group.cancel_scope.cancel()

    @property
    def _folder(self) -> Path:
        return self._layout.control

    @property
    def _lock(self) -> Path:
        return self._layout.control / ".lock"


def _name_of(command: ControlCommand) -> str:
    """The file of a command: the same for what replaces it, and never a path."""
    order = safe_order_id(command.order_id)
    if isinstance(command, CancelRequested):
        return f"cancel-{order}.json"
    digest = sha256(command.request_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"answer-{order}-{digest}.json"
