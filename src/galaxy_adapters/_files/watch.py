"""Notices of changes in folders: inotify where there is one, else looking again and again.

Notices are hints and may be lost (the kernel's queue overflows, a folder is replaced): then a
`RESCAN` comes in their place.  Who uses a watch adds the folder first and looks into it after,
so that nothing falls between the two, and looks again now and then all the same.
"""

from __future__ import annotations

import contextlib
import enum
import os
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Thread
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import anyio
from attrs import define, field

if TYPE_CHECKING:
    from inotify_simple import INotify

POLL_SECONDS = 1.0


class ChangeKind(enum.Flag):
    """What happened to a name."""

    WRITTEN = enum.auto()
    """A file that was open for writing was closed: its content may have changed."""
    ARRIVED = enum.auto()
    """A finished file was renamed to this name."""
    CREATED = enum.auto()
    """The name is new: a file just opened for writing, a hard link or a folder."""
    GONE = enum.auto()
    """The name was renamed away or removed."""
    MODIFIED = enum.auto()
    """Bytes were written to a file that may still be open: logs that are followed."""
    RESCAN = enum.auto()
    """Notices were lost or the folder itself changed: look at all of it (`name` is empty)."""


NEW_CONTENT = ChangeKind.WRITTEN | ChangeKind.ARRIVED | ChangeKind.CREATED
ANY_CHANGE = NEW_CONTENT | ChangeKind.GONE

# From inotify.h; stable since Linux 2.6.13.
_MASK_OF: Mapping[ChangeKind, int] = MappingProxyType(
    {
        ChangeKind.WRITTEN: 0x008,
        ChangeKind.ARRIVED: 0x080,
        ChangeKind.CREATED: 0x100,
        ChangeKind.GONE: 0x040 | 0x200,
        ChangeKind.MODIFIED: 0x002,
    }
)
_KIND_OF: Mapping[int, ChangeKind] = MappingProxyType(
    {
        1 << bit: kind
        for kind, bits in _MASK_OF.items()
        for bit in range(bits.bit_length())
        if bits >> bit & 1
    }
)
_EVENT = struct.Struct("iIII")
_BUFFER_BYTES = 64 * 1024
_IS_FOLDER = 0x40000000
_DELETE_SELF, _MOVE_SELF, _UNMOUNT = 0x400, 0x800, 0x2000
_OVERFLOW, _IGNORED, _ONLY_FOLDERS = 0x4000, 0x8000, 0x01000000
_LOST = _DELETE_SELF | _MOVE_SELF | _UNMOUNT | _IGNORED


class Change(NamedTuple):
    """One notice."""

    folder: Path
    """The very object that the watch was given."""
    name: str
    kind: ChangeKind


@define(eq=False)
class FolderWatch:
    """Watches folders for a single reader.

    Costs one inotify instance, of which a user has 128: make one for each daemon part, not for
    each folder.  Not safe from several threads.
    """

    is_polling: bool = field(default=False, kw_only=True)
    """Look every `poll_seconds` instead of being told: for folders that other hosts change."""
    poll_seconds: float = field(default=POLL_SECONDS, kw_only=True)
    _inotify: INotify | None = field(default=None, init=False)
    _folders: dict[int, tuple[Path, ChangeKind]] = field(factory=dict, init=False)
    _watched: dict[Path, int] = field(factory=dict, init=False)
    _seen: dict[Path, tuple[ChangeKind, dict[str, _Stamp]]] = field(factory=dict, init=False)
    _missing: dict[Path, ChangeKind] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        if self.is_polling or sys.platform != "linux":
            self.is_polling = True
            return
        from inotify_simple import INotify  # noqa: PLC0415 - Linux only

        try:
            self._inotify = INotify(nonblocking=True)
        except OSError:  # all 128 instances are taken: slower, but it works
            self.is_polling = True

    def add(self, folder: Path, kinds: ChangeKind = NEW_CONTENT) -> None:
        """Watch `folder` from now on.  One that is not there is watched once it has appeared."""
        if self._inotify is None:
            self._seen[folder] = (kinds, _snapshot(folder))
            return
        mask = _DELETE_SELF | _MOVE_SELF | _ONLY_FOLDERS
        for kind, bits in _MASK_OF.items():
            if kind in kinds:
                mask |= bits
        try:
            number = self._inotify.add_watch(folder, mask)
        except OSError:
            self._missing[folder] = kinds
            return
        self._missing.pop(folder, None)
        self._folders[number] = (folder, kinds)
        self._watched[folder] = number

    def take(self) -> list[Change]:
        """Notices since the last call, oldest first; never waits.

        Costs one system call when there are none; when polling, a look into every folder.
        """
        if self._inotify is None:
            return [c for folder in list(self._seen) for c in self._look(folder)]
        changes: list[Change] = []
        if self._missing:
            changes.extend(self._find_missing())
        for number, mask, name in self._read():
            if mask & _OVERFLOW:
                changes.extend(
                    Change(folder, "", ChangeKind.RESCAN) for folder, _ in self._folders.values()
                )
                continue
            known = self._folders.get(number)
            if known is None:  # a notice that was under way when its folder went
                continue
            folder, kinds = known
            if mask & _LOST:
                self._lose(number, folder, kinds)
                changes.append(Change(folder, "", ChangeKind.RESCAN))
                continue
            # An event has one kind; beside it only the mark of a folder.
            kind = _KIND_OF.get(mask & ~_IS_FOLDER)
            if kind is not None:
                changes.append(Change(folder, name, kind))
        return changes

    async def wait(self, seconds: float | None = None) -> bool:
        """Sleep until `take` may have something, or for `seconds`; False after the latter.

        When polling, and while a folder is missing, it returns at the next time to look.
        """
        if self._inotify is None or self._missing:
            pause = self.poll_seconds if seconds is None else min(seconds, self.poll_seconds)
            if self._inotify is None:
                await anyio.sleep(pause)
                return True
            with anyio.move_on_after(pause):
                await anyio.wait_readable(self._inotify.fileno())
            return True
        with anyio.move_on_after(seconds):
            await anyio.wait_readable(self._inotify.fileno())
            return True
        return False

    def close(self) -> None:
        """Stop watching.  Safe twice."""
        inotify, self._inotify = self._inotify, None
        if inotify is not None:
            self.is_polling = True
            # The kernel waits for all processors before it returns: 10 to 20 ms (measured, 6.18).
            Thread(target=inotify.close, name="inotify-close", daemon=True).start()
        self._folders.clear()
        self._watched.clear()
        self._seen.clear()
        self._missing.clear()

    def _read(self) -> list[tuple[int, int, str]]:
        """All events that have come: watch number, mask, name."""
        events: list[tuple[int, int, str]] = []
        if self._inotify is None:
            return events
        while True:
            try:
                data = os.read(self._inotify.fileno(), _BUFFER_BYTES)
            except BlockingIOError:
                return events
            at = 0
            while at < len(data):
                number, mask, _cookie, length = _EVENT.unpack_from(data, at)
                at += _EVENT.size + length
                events.append((number, mask, os.fsdecode(data[at - length : at].rstrip(b"\0"))))
            if len(data) < _BUFFER_BYTES // 2:  # a full buffer would hold more than that
                return events

    def _lose(self, number: int, folder: Path, kinds: ChangeKind) -> None:
        """Watch the folder again: another one may stand in its place by now."""
        if self._inotify is not None:
            with contextlib.suppress(OSError):  # EINVAL: the kernel has dropped it already
                self._inotify.rm_watch(number)
        self._folders.pop(number, None)
        if self._watched.get(folder) == number:
            del self._watched[folder]
            self.add(folder, kinds)

    def _find_missing(self) -> list[Change]:
        """Watch folders that have appeared; whoever reads looks into each of them."""
        sought = list(self._missing.items())
        for folder, kinds in sought:
            self.add(folder, kinds)
        return [
            Change(folder, "", ChangeKind.RESCAN)
            for folder, _ in sought
            if folder not in self._missing
        ]

    def _look(self, folder: Path) -> list[Change]:
        """Compare the folder with the last look."""
        kinds, before = self._seen[folder]
        now = _snapshot(folder)
        self._seen[folder] = (kinds, now)
        changes = []
        if kinds & (NEW_CONTENT | ChangeKind.MODIFIED):
            # Nobody can say how a file came to be: it counts as written.
            changes = [
                Change(folder, name, ChangeKind.WRITTEN)
                for name, stamp in now.items()
                if before.get(name) != stamp
            ]
        if ChangeKind.GONE in kinds:
            changes += [Change(folder, n, ChangeKind.GONE) for n in before if n not in now]
        return changes


_Stamp = tuple[int, int, int]


def _snapshot(folder: Path) -> dict[str, _Stamp]:
    """Every name with what changes when its content does; empty for a folder that is not there."""
    stamps: dict[str, _Stamp] = {}
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                stat = entry.stat(follow_symlinks=False)
                stamps[entry.name] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
    return stamps
