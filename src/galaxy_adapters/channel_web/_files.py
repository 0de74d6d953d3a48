"""Files of the chat: in one folder, each under an id of ours, never under a name from outside."""

from __future__ import annotations

import contextlib
import mimetypes
import os
import re
import secrets
import shutil
import stat
import time
from pathlib import Path
from typing import BinaryIO

from attrs import frozen

from galaxy_adapters._files import make_durable_folder, storage_errors, sync_directory, sync_file
from galaxy_adapters.channel_web._history import StoredFile
from galaxy_core.domain.errors import PermanentError, StorageUnavailable

__all__ = ["ID", "FileBox", "Refused"]

ID = re.compile(r"[0-9a-f]{32}")
_SCRATCH = ".tmp-"
_OLD_SECONDS = 3600.0
_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}


class Refused(PermanentError):
    """A file that cannot be taken; the message is a line for people."""


@frozen
class FileBox:
    """The folder.  Everything here blocks: call it in a thread."""

    folder: Path
    limit: int
    """Bytes of one file."""

    def take_in(self, source: Path, name: str) -> StoredFile:
        """Give an upload that lies in the folder its place; durable."""
        with storage_errors("write", self.folder):
            kind, size = _kind(source, name), source.stat().st_size
            found = StoredFile(secrets.token_hex(16), name, kind, size)
            source.rename(self.folder / found.id)
        sync_directory(self.folder)
        return found

    def copy_in(self, source: Path) -> StoredFile:
        """Keep a copy of somebody's file as it is now; durable.

        Raises `Refused` when it is no plain file, too large, or gone.
        """
        name = source.name.encode("utf-8", "replace").decode() or "file"
        try:
            # Not blocked by a pipe that stands there; links of the agent's own are followed.
            fd = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError):
            raise Refused(f"The file {name} cannot be read.") from None
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise Refused(f"{name} is no file that can be sent.")
            if found.st_size > self.limit:
                raise Refused(
                    f"The file {name} is too large to be shown here ({found.st_size >> 20} MB): it"
                    f" lies at {source}."
                )
            with os.fdopen(fd, "rb", closefd=False) as original:
                return self._keep(original, name)
        finally:
            os.close(fd)

    def write_in(self, name: str, content: bytes) -> StoredFile:
        """Keep a file of our own making; durable."""
        scratch = self._scratch()
        with storage_errors("write", self.folder), scratch.open("xb") as sink:
            sink.write(content)
            _flush(sink)
        return self.take_in(scratch, name)

    def copy_out(self, file: StoredFile, target: Path) -> None:
        """Store a copy at `target`, whole or not at all.  Raises `Refused` when it is gone."""
        make_durable_folder(target.parent)
        scratch = target.with_name(f"{_SCRATCH}fetch-{secrets.token_hex(8)}")
        try:
            with storage_errors("read", self.path(file)):
                original = self.path(file).open("rb")
        except StorageUnavailable:
            if self.path(file).exists():
                raise
            raise Refused(f"“{file.name}” is not there any more: send it again.") from None
        try:
            with original, storage_errors("write", target), scratch.open("xb") as sink:
                shutil.copyfileobj(original, sink, 1 << 20)
                _flush(sink)
                scratch.rename(target)
            sync_directory(target.parent)
        finally:
            scratch.unlink(missing_ok=True)

    def path(self, file: StoredFile) -> Path:
        """Where it lies."""
        return self.folder / file.id

    def sweep(self, known: set[str]) -> None:
        """Remove what was left by processes that died before it was part of a message."""
        oldest = time.time() - _OLD_SECONDS
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                is_ours = entry.name.startswith(_SCRATCH) or ID.fullmatch(entry.name)
                if not is_ours or entry.name in known:
                    continue
                with contextlib.suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_mtime < oldest:
                        Path(entry.path).unlink()

    def discard(self, files: list[StoredFile]) -> None:
        """Remove files that became part of no message."""
        for file in files:
            with contextlib.suppress(OSError):
                self.path(file).unlink(missing_ok=True)

    def _keep(self, original: BinaryIO, name: str) -> StoredFile:
        scratch = self._scratch()
        try:
            with storage_errors("write", self.folder), scratch.open("xb") as sink:
                left = self.limit
                while piece := original.read(min(1 << 20, left + 1)):
                    left -= len(piece)
                    if left < 0:
                        raise Refused(f"The file {name} grew while it was read.")
                    sink.write(piece)
                _flush(sink)
            return self.take_in(scratch, name)
        finally:
            scratch.unlink(missing_ok=True)

    def _scratch(self) -> Path:
        make_durable_folder(self.folder, mode=0o700)
        return self.folder / f"{_SCRATCH}{secrets.token_hex(12)}"


def _flush(sink: BinaryIO) -> None:
    sink.flush()
    sync_file(sink.fileno())


def _kind(path: Path, name: str) -> str:
    """What it is: pictures by their content, all else by its name, and never by what it claims."""
    with path.open("rb") as stream:
        head = stream.read(16)
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return "application/octet-stream" if guessed.startswith("image/") else guessed
