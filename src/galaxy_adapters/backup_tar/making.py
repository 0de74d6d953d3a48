"""Copying a folder that is in use into one file.

The file has its name only when it is whole and synced; a process that dies before leaves
`<name>.part`.  What vanishes while it is read has moved on and is met at its next place.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import io
import json
import os
import sqlite3
import stat
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO

from attrs import define, field

from galaxy_adapters._files import storage_errors, sync_directory, sync_file
from galaxy_adapters.backup_tar._manifest import NAME, ROOT, BackupUnusable, Entry, Manifest
from galaxy_core.domain.backup import BackupReport, Reading, Step

__all__ = ["make_backup"]

_BLOCK = 1 << 20
_SPOOL = 8 << 20
_HELD_PARTS = 3
_SHOWN = ".processing"


def make_backup(
    folder: Path,
    target: Path,
    steps: Sequence[Step],
    *,
    version: str,
    now: datetime,
    has_secrets: bool,
) -> BackupReport:
    """Copy what the steps name.  Blocks.  Raises `BackupUnusable`, `StorageUnavailable`."""
    if os.path.lexists(target):
        raise BackupUnusable(f"There is a file {target} already; choose another name.")
    part = target.with_name(target.name + ".part")
    manifest = Manifest(version, now.isoformat(), has_secrets)
    with storage_errors("write", target):
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        with os.fdopen(os.open(part, flags, 0o600), "wb") as file:
            with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
                copy = _Copy(folder, tar, manifest, target.absolute())
                for step in steps:
                    copy.take(step)
                copy.add_manifest()
            file.flush()
            sync_file(file.fileno())
        os.link(part, target)
        part.unlink()
        sync_directory(target.parent)
    return manifest.report()


@define
class _Copy:
    """One copy in the making."""

    folder: Path
    tar: tarfile.TarFile
    manifest: Manifest
    target: Path
    _trail: list[tuple[str, IO[bytes], int]] = field(factory=list)
    """The trail's files with their length at one moment."""

    def take(self, step: Step) -> None:
        """Read one part."""
        path = self.folder / step.path
        match step.reading:
            case Reading.FILES:
                for file in _walk(path, step):
                    self._add_plain(file)
            case Reading.LINKS:
                for link in _walk(path, step):
                    self._add_link(link)
            case Reading.HELD:
                self._take_held(path)
            case Reading.ANSWERS:
                self._take_answers(path, step)
            case Reading.DATABASE:
                self._take_database(path)
            case Reading.TRAIL_LENGTH:
                self._open_trail(path)
            case Reading.TRAIL:
                self._take_trail()

    def add_manifest(self) -> None:
        """The last member."""
        data = self.manifest.to_bytes()
        info = tarfile.TarInfo(NAME)
        info.size = len(data)
        self.tar.addfile(info, io.BytesIO(data))

    def _take_held(self, held: Path) -> None:
        """Orders in workers' hands, under the names under which they waited."""
        orders = self.folder / ".sisyphus" / "notepads" / "galaxy-orders"
        for lane in _list(held):
            for ball in _list(lane):
                parts = ball.name.split("~", 2)
                if len(parts) == _HELD_PARTS:
                    self._add_plain(ball, orders / parts[2])

    def _take_answers(self, notepads: Path, step: Step) -> None:
        begin, _, end = step.pattern.partition("*")
        archive = f"{step.path}/galaxy-orders-archive/"
        for path in list(self.manifest.entries):
            if path.startswith(archive):
                order_id = path.removeprefix(archive).removesuffix(".json")
                self._add_plain(notepads / f"{begin}{order_id}{end}")

    def _take_database(self, path: Path) -> None:
        if not path.exists():
            return
        with tempfile.TemporaryDirectory(dir=self.target.parent) as scratch:
            copy = Path(scratch, "copy")
            with (
                contextlib.closing(_connect(path, "ro")) as source,
                contextlib.closing(sqlite3.connect(copy)) as sink,
            ):
                try:
                    source.backup(sink)
                    # Restored beside no log of its own.
                    sink.execute("PRAGMA journal_mode = DELETE")
                except sqlite3.Error as error:
                    raise BackupUnusable(f"Cannot copy {path}: {error}.") from error
            with copy.open("rb") as file:
                found = os.lstat(path)
                self._add(path, file, copy.stat().st_size, found.st_mtime_ns, 0o600)

    def _open_trail(self, path: Path) -> None:
        """The growing part is opened first: put aside meanwhile, it is seen twice, never missed."""
        names = [path, *(part for part in _list(path.parent) if _is_part(part, path))]
        seen: set[int] = set()
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                file = name.open("rb")
                found = os.fstat(file.fileno())
                if found.st_ino in seen:
                    file.close()
                    continue
                seen.add(found.st_ino)
                self._trail.append((name.name, file, _whole_lines(file, found.st_size)))
        self._note_head()

    def _note_head(self) -> None:
        """What the last line says of its place in the chain."""
        # The growing part comes first; then the newest of the others.
        for _, file, size in (*self._trail[:1], *reversed(self._trail[1:])):
            start = max(0, size - _BLOCK)
            file.seek(start)
            lines = file.read(size - start).splitlines()
            with contextlib.suppress(ValueError, IndexError, KeyError, TypeError):
                last = json.loads(lines[-1])
                self.manifest.trail_head = str(last["hash"])
                self.manifest.trail_lines = int(last["seq"])
                return

    def _take_trail(self) -> None:
        for name, file, size in self._trail:
            file.seek(0)
            found = os.fstat(file.fileno())
            path = self.folder / "logs" / name
            self._add(path, file, size, found.st_mtime_ns, stat.S_IMODE(found.st_mode))
            file.close()

    def _add_plain(self, path: Path, place: Path | None = None) -> None:
        place = place or path
        if (
            self._name(place) in self.manifest.entries
            or self._is_shown(place)
            or path.absolute() == self.target
        ):
            return
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, IsADirectoryError):
            return
        except OSError:
            if path.is_symlink():
                return
            raise
        with os.fdopen(fd, "rb") as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                return
            # What it is now, wherever its end moves meanwhile.
            with tempfile.SpooledTemporaryFile(max_size=_SPOOL) as spool:
                size = 0
                while block := file.read(_BLOCK):
                    spool.write(block)
                    size += len(block)
                spool.seek(0)
                mode = stat.S_IMODE(found.st_mode)
                self._add(place, spool, size, found.st_mtime_ns, mode)

    def _is_shown(self, path: Path) -> bool:
        """Whether it is the second name of a held order that is in the copy already."""
        name = self._name(path)
        return name.endswith(_SHOWN) and name.removesuffix(_SHOWN) in self.manifest.entries

    def _add_link(self, path: Path) -> None:
        name = self._name(path)
        if name in self.manifest.entries:
            return
        try:
            target, found = str(path.readlink()), path.lstat()
        except OSError:
            return
        info = tarfile.TarInfo(ROOT + name)
        info.type, info.linkname = tarfile.SYMTYPE, target
        self.tar.addfile(info)
        self.manifest.entries[name] = Entry(0, "", found.st_mtime_ns, 0, target)

    def _add(self, path: Path, file: IO[bytes], size: int, modified_ns: int, mode: int) -> None:
        name, digest = self._name(path), hashlib.sha256()
        info = tarfile.TarInfo(ROOT + name)
        info.size, info.mode, info.mtime = size, mode & 0o777, modified_ns // 1_000_000_000
        self.tar.addfile(info, _Hashing(file, digest.update))  # type: ignore[arg-type]
        self.manifest.entries[name] = Entry(size, digest.hexdigest(), modified_ns, mode & 0o777)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()


@define
class _Hashing:
    """A file that is read once, and told of as it is."""

    _file: IO[bytes]
    _tell: object

    def read(self, size: int) -> bytes:
        block = self._file.read(size)
        self._tell(block)  # type: ignore[operator]
        return block


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=10)


def _is_part(path: Path, trail: Path) -> bool:
    return path.name.startswith(f"{trail.stem}-") and path.name.endswith(".jsonl")


def _whole_lines(file: IO[bytes], size: int) -> int:
    """The length up to the last line break: the end may just be being written."""
    end = size
    while end > 0:
        start = max(0, end - _BLOCK)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _walk(path: Path, step: Step) -> Iterator[Path]:
    for each in _list(path):
        if each.name.startswith(".tmp-"):
            continue
        if step.is_deep and each.is_dir() and not each.is_symlink():
            yield from _walk(each, step)
        elif fnmatch.fnmatchcase(each.name, step.pattern):
            yield each


def _list(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
