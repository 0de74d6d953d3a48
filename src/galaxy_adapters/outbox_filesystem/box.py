"""The folders of the outbox: what lies in them, and every step of a letter between them.

A letter waits in `galaxy-outbox/`; it goes to `galaxy-outbox-archive/` when everybody has it, and
to `galaxy-outbox-undeliverable/`, beside a `.reason` file, when nobody can get it.  At any moment,
and after any crash, it is in exactly one of them: it changes its folder by one rename, and its
content is changed before, where it lies.  Nothing is replaced on arrival: a name that is taken
gets a number.

All of this blocks; the adapter calls it in a thread.
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from attrs import define, field, frozen

from galaxy_adapters._files import (
    create_named,
    make_durable_folder,
    read_plain_file,
    rename_exclusively,
    storage_errors,
    sweep_scratch,
    sync_directory,
    write_durably,
)
from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.domain.letter import Letter
from galaxy_core.ports.outbox import LetterCount
from galaxy_core.wire.layout import Layout
from galaxy_core.wire.letter import decode_letter, encode_letter

__all__ = ["SUFFIX", "Box", "Found", "Stamp"]

SUFFIX = ".json"
MAX_NAME_BYTES = 200
"""Longest file name that is made here: leaves room for `.reason` in the 255 of a file system."""

Stamp = tuple[int, int, int]
"""Inode, size and time of change: another stamp under the same name is another letter."""


@frozen
class Found:
    """One waiting file."""

    name: str
    """Without `.json`."""
    path: Path
    stamp: Stamp
    mode: int
    links: int
    """How many names the file has."""

    @property
    def is_plain_file(self) -> bool:
        return stat.S_ISREG(self.mode)

    @property
    def arrived_ns(self) -> int:
        return self.stamp[2]


@define(eq=False)
class Box:
    """The folders of one machine's outbox."""

    _layout: Layout
    _limit: int
    """Bytes of the largest letter that is read."""
    _scratch: Path = field(init=False)
    _is_prepared: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._scratch = self._layout.state / "scratch"

    def scan(self) -> list[Found]:
        """All that waits, oldest first; read nothing of it yet."""
        self.prepare()
        with storage_errors("list", self._layout.outbox), os.scandir(self._layout.outbox) as it:
            paths = [Path(entry.path) for entry in it if is_letter_name(entry.name)]
            found = [one for path in paths if (one := self._look(path)) is not None]
        return sorted(found, key=lambda one: (one.arrived_ns, one.name))

    def count(self) -> LetterCount:
        """How many letters wait, and how many are set aside.  Makes no folder."""
        return LetterCount(
            waiting=_letters_in(self._layout.outbox),
            undeliverable=_letters_in(self._layout.outbox_undeliverable),
        )

    def find(self, name: str) -> Found | None:
        """The waiting file of that name; None when there is none."""
        return self._look(self._layout.outbox / f"{name}{SUFFIX}")

    def read(self, found: Found) -> tuple[Letter, Stamp]:
        """Read a letter, and which one it was.

        Raises `UnreadableFile` (a half-written one too), `FileNotFoundError`.
        """
        try:
            data, opened = read_plain_file(found.path, limit=self._limit)
        except PermissionError:
            raise UnreadableFile("The file may not be read by this user.") from None
        return decode_letter(data, name=found.name), _stamp(opened)

    def is_known(self, name: str) -> bool:
        """Whether a letter of that name was sent or set aside."""
        folders = (self._layout.outbox_archive, self._layout.outbox_undeliverable)
        return any(os.path.lexists(folder / f"{name}{SUFFIX}") for folder in folders)

    def put(self, letter: Letter, *, arrived_ns: int) -> bool:
        """Put a letter in; False when one of its name waits.  The folder is not synced yet."""
        self.prepare()
        return create_named(
            self._layout.outbox / f"{letter.name}{SUFFIX}",
            encode_letter(letter),
            scratch=self._scratch,
            modified_ns=arrived_ns,
        )

    def take_out(self, name: str) -> None:
        """Remove a letter again that should not have been put in."""
        (self._layout.outbox / f"{name}{SUFFIX}").unlink(missing_ok=True)

    def sync(self) -> None:
        """Make the names of waiting letters survive a power cut."""
        sync_directory(self._layout.outbox)

    def rewrite(self, found: Found, letter: Letter, *, sent_at: datetime | None = None) -> None:
        """Change a waiting letter where it lies, durably; it keeps its place in the order."""
        write_durably(
            found.path,
            encode_letter(letter, sent_at=sent_at),
            mode=stat.S_IMODE(found.mode) & 0o666,
            scratch=self._scratch,
            modified_ns=found.arrived_ns,
        )

    def fork(self, letter: Letter, *, arrived_ns: int) -> str:
        """Put a letter in under a free name, its own being taken by another; that name."""
        for name in _numbered(letter.name):
            if not self.is_known(name) and create_named(
                self._layout.outbox / f"{name}{SUFFIX}",
                encode_letter(letter),
                scratch=self._scratch,
                modified_ns=arrived_ns,
            ):
                self.sync()
                return name
        raise AssertionError("unreachable: numbers do not end")

    def archive(self, found: Found) -> None:
        """Move a letter, marked as sent by now, to those that were sent."""
        self._move(found, self._layout.outbox_archive, reason=None)

    def finish_move(self, found: Found) -> bool:
        """Take away the old name of a file that a process died moving; False when none did.

        Where no single step moves a file without replacing another (`rename_exclusively`), it
        has both names for a moment.
        """
        if found.links == 1 or not found.is_plain_file:
            return False
        for folder in (self._layout.outbox_archive, self._layout.outbox_undeliverable):
            for name in _numbered(found.name):
                target = folder / f"{name}{SUFFIX}"
                if not os.path.lexists(target):
                    break
                if target.lstat().st_ino == found.stamp[0]:
                    found.path.unlink(missing_ok=True)
                    return True
        return False

    def set_aside(self, found: Found, reason: str) -> Path:
        """Move a file to those that nobody gets, with the reason beside it; its new path."""
        return self._move(found, self._layout.outbox_undeliverable, reason=reason)

    def prepare(self) -> None:
        """Make the folders, and sweep what dead writers left."""
        make_durable_folder(self._layout.outbox)
        make_durable_folder(self._scratch)
        if not self._is_prepared:
            sweep_scratch(self._scratch)
            self._is_prepared = True

    def _look(self, path: Path) -> Found | None:
        try:
            there = path.lstat()
        except FileNotFoundError:
            return None
        name = path.name.removesuffix(SUFFIX)
        return Found(name, path, _stamp(there), there.st_mode, there.st_nlink)

    def _move(self, found: Found, folder: Path, *, reason: str | None) -> Path:
        make_durable_folder(folder)
        with storage_errors("move", found.path):
            target = self._move_to_free_name(found, folder, reason)
        # The new name first: a power cut between the two leaves both names, never none.
        sync_directory(folder)
        sync_directory(found.path.parent)
        return target

    def _move_to_free_name(self, found: Found, folder: Path, reason: str | None) -> Path:
        for name in _numbered(found.name):
            target = folder / f"{name}{SUFFIX}"
            if os.path.lexists(target):
                continue
            if reason is not None:
                # Written before the letter comes: a letter without its reason is a riddle, a
                # reason without its letter (a crash here) only a little litter.
                write_durably(
                    folder / f"{target.name}.reason",
                    reason.encode("utf-8", "replace") + b"\n",
                    scratch=self._scratch,
                )
            if not found.is_plain_file:  # a folder cannot be linked, where that is the way
                found.path.rename(target)
                return target
            if rename_exclusively(os.fspath(found.path), os.fspath(target)):
                return target
        raise AssertionError("unreachable: numbers do not end")


def _letters_in(folder: Path) -> int:
    with storage_errors("list", folder):
        try:
            return sum(is_letter_name(path.name) for path in folder.iterdir())
        except FileNotFoundError:
            return 0


def is_letter_name(name: str) -> bool:
    """Whether a file of that name is a letter, and not somebody's unfinished or hidden file."""
    return name.endswith(SUFFIX) and not name.startswith(".")


def _numbered(name: str) -> Iterator[str]:
    """`name`, `name-2`, `name-3`, ...; cut where a file name would be too long.  Never ends."""
    for number in itertools.count(1):
        tail = "" if number == 1 else f"-{number}"
        head = os.fsencode(name)[: MAX_NAME_BYTES - len(tail) - len(SUFFIX)]
        yield os.fsdecode(head) + tail


def _stamp(found: os.stat_result) -> Stamp:
    return found.st_ino, found.st_size, found.st_mtime_ns
