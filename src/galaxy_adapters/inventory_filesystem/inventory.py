"""Names of orders that ended, of responses, and where letters are; nothing is changed.

Folders are listed in pieces, in threads, and their files are not opened: only a letter that was
sent is read, to see whether it has its receipt.
"""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from anyio import to_thread

from galaxy_adapters._files import read_plain_file, storage_errors
from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.domain.ids import OrderId
from galaxy_core.ports.inventory import Inventory, LetterPlace, LetterTrace
from galaxy_core.wire.layout import Layout
from galaxy_core.wire.letter import decode_letter

__all__ = ["FilesystemInventory"]

_PIECE = 5_000
_ENDING = ".json"
_PROBE = "@"
_LARGEST_LETTER = 16 << 20


class FilesystemInventory(Inventory):
    """One machine's folder."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    async def ended(self) -> AsyncIterator[OrderId]:
        async for name in _names(self._layout.archive, "", _ENDING):
            yield OrderId(name)

    async def answered(self) -> AsyncIterator[OrderId]:
        begin, _, end = self._layout.response(_PROBE).name.rpartition(_PROBE)
        async for name in _names(self._layout.notepads, begin, end):
            yield OrderId(name)

    async def letters(self, names: Sequence[str]) -> Sequence[LetterTrace | None]:
        return await to_thread.run_sync(lambda: [self._letter(name) for name in names])

    def _letter(self, name: str) -> LetterTrace | None:
        if "/" in name or "\0" in name:
            return None
        # In the order in which it moves: one that moves meanwhile is met at its next place.
        layout, file = self._layout, name + _ENDING
        if _is_there(layout.outbox / file):
            return LetterTrace(place=LetterPlace.WAITING, has_receipt=False)
        sent = layout.outbox_archive / file
        if _is_there(sent):
            return LetterTrace(place=LetterPlace.SENT, has_receipt=_has_receipt(sent, name))
        if _is_there(layout.outbox_undeliverable / file):
            return LetterTrace(place=LetterPlace.UNDELIVERABLE, has_receipt=False)
        return None


def _is_there(path: Path) -> bool:
    # Not `os.path.lexists`, which calls missing whatever it cannot look at.
    with storage_errors("look at", path):
        try:
            os.lstat(path)
        except (FileNotFoundError, ValueError):
            return False
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return False
            raise
    return True


def _has_receipt(path: Path, name: str) -> bool:
    with storage_errors("read", path):
        try:
            data, _ = read_plain_file(path, limit=_LARGEST_LETTER)
            letter = decode_letter(data, name=name)
        except (UnreadableFile, FileNotFoundError, PermissionError):
            return False
    return any(receipt.is_last for receipt in letter.receipts)


async def _names(folder: Path, begin: str, end: str) -> AsyncIterator[str]:
    """What is between the beginning and the end that names of plain files there have."""
    opened = await to_thread.run_sync(_open, folder)
    if opened is None:
        return
    with opened as entries:
        while piece := await to_thread.run_sync(_take, folder, entries, begin, end):
            for name in piece:
                yield name


def _open(folder: Path) -> AbstractContextManager[Iterator[os.DirEntry[str]]] | None:
    with storage_errors("list", folder):
        try:
            return os.scandir(folder)
        except FileNotFoundError:
            return None


def _take(folder: Path, entries: Iterator[os.DirEntry[str]], begin: str, end: str) -> list[str]:
    """The next names, as many as make a piece; none when there are no more."""
    found: list[str] = []
    with storage_errors("list", folder):
        for entry in entries:
            name = entry.name
            if name.startswith(begin) and name.endswith(end) and not name.startswith("."):
                found.append(name[len(begin) : len(name) - len(end)])
                if len(found) == _PIECE:
                    break
    return found
