"""Putting a copy in place: everything is checked before anything is written.

It is unpacked beside its place, synced, and moved there in few renames.  A process that dies before
leaves `.galaxy-restoring-<number>`; one that dies between the renames leaves the rest of it there,
and what was there before in `.galaxy-before-<time>`.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO

from galaxy_adapters._files import storage_errors, sync_directory, sync_file
from galaxy_adapters.backup_tar._manifest import (
    LARGEST,
    NAME,
    ROOT,
    BackupUnusable,
    Entry,
    Manifest,
    check_path,
)
from galaxy_core.domain.backup import BackupReport
from galaxy_core.wire.layout import Layout

__all__ = ["restore_backup"]

_BLOCK = 1 << 20


def restore_backup(source: Path, folder: Path, *, is_forced: bool, now: datetime) -> BackupReport:
    """Check the copy, then put it into the folder.  Blocks.

    With `is_forced` what is there is moved aside, not removed.  Raises `BackupUnusable`,
    `StorageUnavailable`; the folder is as before then, unless the disk failed in the end.
    """
    with storage_errors("read", source):
        manifest = _checked(source)
    layout = Layout(folder)
    with storage_errors("write", folder):
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_used(layout)
        there = _what_is_there(layout, {path.split("/")[0] for path in manifest.entries}, manifest)
        if there and not is_forced:
            raise BackupUnusable(
                f"{folder} is not empty ({there[0].relative_to(folder)}): choose another folder"
                " with --into, or have what is there moved aside with --force."
            )
        staging = Path(tempfile.mkdtemp(prefix=".galaxy-restoring-", dir=folder))
        _unpack(source, staging, manifest)
        if there:
            _move_aside(there, folder, now)
        _move_in(staging, folder)
        shutil.rmtree(staging)
        sync_directory(folder)
    return manifest.report()


def _checked(source: Path) -> Manifest:
    """The manifest of a copy that is whole."""
    try:
        with tarfile.open(source, "r:gz") as tar:
            manifest, found = _read(tar, source)
    except (tarfile.TarError, EOFError, zlib.error, UnicodeError) as error:
        raise BackupUnusable(f"{source} is damaged or no copy: {error}.") from error
    except OSError as error:
        if isinstance(error, FileNotFoundError) or error.errno is not None:
            raise
        raise BackupUnusable(f"{source} is damaged or no copy: {error}.") from error
    if manifest is None:
        raise BackupUnusable(f"{source} is damaged or no copy: its end is missing.")
    wanted = {path: (e.size, e.sha256, e.target) for path, e in manifest.entries.items()}
    for path in sorted(wanted.keys() | found.keys()):
        if wanted.get(path) != found.get(path):
            raise BackupUnusable(f"{source} is damaged: {path} is not what it was.")
    return manifest


def _read(
    tar: tarfile.TarFile, source: Path
) -> tuple[Manifest | None, dict[str, tuple[int, str, str | None]]]:
    """What the copy really holds, by path."""
    found: dict[str, tuple[int, str, str | None]] = {}
    for info in tar:
        if info.name == NAME:
            file = tar.extractfile(info) if info.size <= LARGEST else None
            return Manifest.from_bytes(file.read() if file else b""), found
        path = info.name.removeprefix(ROOT)
        check_path(path)
        if path in found or not (info.isreg() or info.issym()):
            raise BackupUnusable(f"{source} holds {path!r} twice, or as no file.")
        if info.issym():
            found[path] = (0, "", info.linkname)
        else:
            found[path] = (info.size, _digest(tar.extractfile(info)), None)
    return None, found


def _digest(file: IO[bytes] | None) -> str:
    digest = hashlib.sha256()
    while file is not None and (block := file.read(_BLOCK)):
        digest.update(block)
    return digest.hexdigest()


def _refuse_used(layout: Layout) -> None:
    """Locks tell who is at work there: a gateway, or workers of the queue."""
    locks = [layout.gateway_lock]
    with contextlib.suppress(FileNotFoundError):
        locks += (layout.queue_state / "workers").glob("*.lock")
    for path in locks:
        with contextlib.suppress(FileNotFoundError):
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BackupUnusable(
                    f"{layout.repo_path} is in use ({path.name} is locked): stop Hermes and the"
                    " gateway first."
                ) from None
            finally:
                os.close(fd)


def _what_is_there(layout: Layout, tops: set[str], manifest: Manifest) -> list[Path]:
    """What would stand in the way, as whole folders where they are ours alone."""
    found: list[Path] = []
    with contextlib.suppress(FileNotFoundError):
        ours = ("galaxy-", ".galaxy-state")
        found += [p for p in layout.notepads.iterdir() if p.name.startswith(ours)]
    if "logs" in tops or found:
        with contextlib.suppress(FileNotFoundError):
            found += [p for p in layout.logs.iterdir() if p.name.startswith("galaxy-")]
    settings = layout.settings_folder
    found += [
        settings / path.partition("/")[2]
        for path in manifest.entries
        if path.startswith(".galaxy/") and os.path.lexists(layout.repo_path / path)
    ]
    return [path for path in sorted(found) if not _is_empty_folder(path)]


def _is_empty_folder(path: Path) -> bool:
    return (
        path.is_dir()
        and not path.is_symlink()
        and not any(not each.is_dir() for each in path.rglob("*"))
    )


def _unpack(source: Path, staging: Path, manifest: Manifest) -> None:
    folders: set[Path] = set()
    with tarfile.open(source, "r:gz") as tar:
        for info in tar:
            if info.name == NAME:
                break
            path = info.name.removeprefix(ROOT)
            place, entry = staging / path, manifest.entries[path]
            place.parent.mkdir(parents=True, exist_ok=True)
            folders.add(place.parent)
            if entry.target is not None:
                place.symlink_to(entry.target)
            else:
                _write(tar.extractfile(info), place, entry, source)
    for folder in folders:
        sync_directory(folder)


def _write(file: IO[bytes] | None, place: Path, entry: Entry, source: Path) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    digest = hashlib.sha256()
    with os.fdopen(os.open(place, flags, entry.mode & 0o777), "wb") as sink:
        while file is not None and (block := file.read(_BLOCK)):
            digest.update(block)
            sink.write(block)
        sink.flush()
        # The queue knows a file again by its time, to the nanosecond.
        os.utime(sink.fileno(), ns=(entry.modified_ns, entry.modified_ns))
        sync_file(sink.fileno())
    if digest.hexdigest() != entry.sha256:
        raise BackupUnusable(f"{source} changed while it was read.")


def _move_aside(there: list[Path], folder: Path, now: datetime) -> None:
    aside = folder / f".galaxy-before-{now:%Y%m%dT%H%M%SZ}"
    for path in there:
        target = aside / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
        sync_directory(target.parent)


def _move_in(staging: Path, folder: Path) -> None:
    """The trail comes last: where it is, all is."""
    for path in sorted(_pieces(staging), key=lambda p: p.relative_to(staging).parts[0] == "logs"):
        target = folder / path.relative_to(staging)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)  # of folders alone, or it would have been refused
        path.rename(target)
        sync_directory(target.parent)


def _pieces(staging: Path) -> Iterator[Path]:
    for name in ("logs", ".galaxy", ".sisyphus/notepads"):
        with contextlib.suppress(FileNotFoundError):
            yield from list((staging / name).iterdir())
