"""What is left of things that are over: archive, responses, sent letters, files, feeds, journals.

Folders are listed in pieces, in threads that end soon when whoever waits for them is cancelled.
The age of a file is the time of its last change, which is when its order ended or its letter was
posted.  Only an archived order is opened, and only one that is old enough: how it ended decides
whether it may go.  Nothing is synced: what a power cut brings back is removed the next time.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from anyio import from_thread, to_thread
from attrs import define, field

from galaxy_adapters._files import read_plain_file, storage_errors
from galaxy_core.domain.errors import StorageUnavailable, UnreadableFile
from galaxy_core.domain.ids import OrderId, why_not_an_order_id
from galaxy_core.domain.response import Outcome
from galaxy_core.domain.tidying import OldKind, Remnant, Ties
from galaxy_core.ports.old_files import OldFiles
from galaxy_core.wire.layout import Layout
from galaxy_core.wire.order import decode_archived

__all__ = ["FilesystemOldFiles"]

_PIECE = 1_000
_PROBE = "@"
_LARGEST = 64 << 20
_OURS = 0o700
_HELD_NS = 86_400 * 1_000_000_000
"""Files may have come before their order: for two days it may lie in a question to a person, which
is nowhere in this folder.  Those of no ended order stay a day longer than the shortest age."""
_MENTION = re.compile(rb"galaxy-order-files/+([^/\"\\]+)")


@define(eq=False)
class FilesystemOldFiles(OldFiles):
    """One machine's folder."""

    _layout: Layout
    _makers: dict[OldKind, Callable[[os.DirEntry[str], int], Remnant | None]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._makers = {
            OldKind.ORDERS: self._order,
            OldKind.RESPONSES: self._response,
            OldKind.LETTERS: self._letter,
            OldKind.FILES: self._folder,
            OldKind.LEFTOVERS: self._leftover,
        }

    async def find(self, kind: OldKind, before: datetime) -> AsyncIterator[Sequence[Remnant]]:
        oldest_ns = int(before.timestamp() * 1_000_000_000)
        for folder in self._folders(kind):
            opened = await to_thread.run_sync(_open, folder)
            if opened is None:
                continue
            with opened as entries:
                is_over = False
                while not is_over:
                    found, is_over = await to_thread.run_sync(
                        self._take, kind, folder, entries, oldest_ns
                    )
                    if found:
                        yield found

    async def waiting(self) -> Ties:
        return await to_thread.run_sync(self._waiting)

    async def remove(self, remnants: Sequence[Remnant]) -> int:
        return await to_thread.run_sync(self._remove_all, remnants)

    # ---- finding

    @property
    def _keys(self) -> Path:
        return self._layout.queue_state / "keys"

    @property
    def _successors(self) -> Path:
        return self._layout.queue_state / "successors"

    @property
    def _dismissed(self) -> Path:
        return self._layout.queue_state / "dismissed"

    @property
    def _marks(self) -> tuple[Path, ...]:
        """Folders of names that mean nothing without the archived order."""
        return self._successors, self._dismissed, self._layout.queue_state / "dead"

    def _folders(self, kind: OldKind) -> tuple[Path, ...]:
        layout = self._layout
        folders = {
            OldKind.ORDERS: (layout.archive,),
            OldKind.RESPONSES: (layout.notepads,),
            OldKind.LETTERS: (layout.outbox_archive,),
            OldKind.FILES: (layout.inbound_files(_PROBE).parent.parent,),
            OldKind.LEFTOVERS: (
                layout.progress,
                layout.run_journal(_PROBE).parent,
                self._keys,
                *self._marks,
            ),
        }
        return folders.get(kind, ())

    def _take(
        self, kind: OldKind, folder: Path, entries: Iterator[os.DirEntry[str]], oldest_ns: int
    ) -> tuple[list[Remnant], bool]:
        """The next ones, and whether there are no more."""
        make, found = self._makers[kind], []
        with storage_errors("list", folder):
            for number, entry in enumerate(entries, 1):
                from_thread.check_cancelled()
                if not entry.name.startswith("."):
                    with contextlib.suppress(FileNotFoundError):
                        remnant = make(entry, oldest_ns)
                        if remnant is not None:
                            found.append(remnant)
                if number == _PIECE:
                    return found, False
        return found, True

    def _order(self, entry: os.DirEntry[str], oldest_ns: int) -> Remnant | None:
        size = _old_file(entry, ".json", oldest_ns)
        if size is None:
            return None
        order_id = OrderId(entry.name.removesuffix(".json"))
        is_answered, is_undecided = self._end_of(Path(entry.path), order_id)
        return Remnant(
            kind=OldKind.ORDERS,
            name=entry.name,
            order_id=order_id,
            size=size,
            is_unanswered=not is_answered,
            is_undecided=is_undecided,
        )

    def _response(self, entry: os.DirEntry[str], oldest_ns: int) -> Remnant | None:
        begin, _, end = self._layout.response(_PROBE).name.rpartition(_PROBE)
        if not entry.name.startswith(begin):
            return None
        size = _old_file(entry, end, oldest_ns)
        if size is None:
            return None
        order_id = OrderId(entry.name[len(begin) : len(entry.name) - len(end)])
        # A response with a journal is of an order that is just ending: it is what ends it.
        if os.path.lexists(self._layout.run_journal(order_id)) and not self._is_archived(order_id):
            return None
        return Remnant(kind=OldKind.RESPONSES, name=entry.name, order_id=order_id, size=size)

    def _letter(self, entry: os.DirEntry[str], oldest_ns: int) -> Remnant | None:
        size = _old_file(entry, ".json", oldest_ns)
        if size is None:
            return None
        name = entry.name.removesuffix(".json")
        return Remnant(kind=OldKind.LETTERS, name=entry.name, letter=name, size=size)

    def _folder(self, entry: os.DirEntry[str], oldest_ns: int) -> Remnant | None:
        if not entry.is_dir(follow_symlinks=False):
            return None
        size, changed_ns = _weigh(entry.path)
        if changed_ns >= oldest_ns:
            return None
        order_id = OrderId(entry.name)
        archived = self._layout.archive / f"{order_id}.json"
        if not archived.exists() and changed_ns >= oldest_ns - _HELD_NS:
            return None
        return Remnant(
            kind=OldKind.FILES,
            name=entry.name,
            order_id=order_id,
            size=size,
            is_undecided=archived.exists() and self._end_of(archived, order_id)[1],
        )

    def _leftover(self, entry: os.DirEntry[str], oldest_ns: int) -> Remnant | None:
        folder = Path(entry.path).parent
        if folder == self._keys:
            return self._key(entry, oldest_ns)
        if folder in self._marks:
            return self._mark(entry, oldest_ns)
        size = _old_file(entry, ".jsonl", oldest_ns)
        if size is None:
            return None
        order_id = OrderId(entry.name.removesuffix(".jsonl"))
        # Without its journal an order that comes back, mended, would be begun once more.
        if folder != self._layout.progress and not self._is_archived(order_id):
            return None
        name = f"{folder.name}/{entry.name}"
        return Remnant(kind=OldKind.LEFTOVERS, name=name, order_id=order_id, size=size)

    def _key(self, entry: os.DirEntry[str], oldest_ns: int) -> Remnant | None:
        """The record of a key: as long as its order is known, the key recognises it."""
        size = _old_file(entry, "", oldest_ns)
        if size is None:
            return None
        try:
            order_id = OrderId(read_plain_file(Path(entry.path), limit=_LARGEST)[0].decode())
        except (UnreadableFile, UnicodeDecodeError):
            return None
        if self._is_archived(order_id):
            return None
        name = f"{self._layout.queue_state.name}/{self._keys.name}/{entry.name}"
        return Remnant(kind=OldKind.LEFTOVERS, name=name, order_id=order_id, size=size)

    def _mark(self, entry: os.DirEntry[str], oldest_ns: int) -> Remnant | None:
        """Says of an order that it was given up, was tried again, or needs no decision."""
        is_old = entry.stat(follow_symlinks=False).st_mtime_ns < oldest_ns
        if not is_old or entry.is_dir(follow_symlinks=False) or self._is_archived(entry.name):
            return None
        name = f"{self._layout.queue_state.name}/{Path(entry.path).parent.name}/{entry.name}"
        return Remnant(kind=OldKind.LEFTOVERS, name=name, order_id=OrderId(entry.name))

    def _is_archived(self, order_id: str) -> bool:
        return os.path.lexists(self._layout.archive / f"{order_id}.json")

    def _end_of(self, path: Path, order_id: OrderId) -> tuple[bool, bool]:
        """Whether an archived order was answered, and whether it was given up and left at that."""
        try:
            data, _ = read_plain_file(path, limit=_LARGEST)
            _, ending = decode_archived(data, name=order_id)
        except UnreadableFile:
            return False, True  # nobody knows what it was: it stays
        if ending is None:
            is_marked = re.search(rb'"acknowledged"\s*:\s*true', data) is not None
            is_valid = why_not_an_order_id(order_id) is None
            return is_marked or (is_valid and self._layout.response(order_id).exists()), False
        is_decided = any(
            os.path.lexists(folder / order_id) for folder in (self._successors, self._dismissed)
        )
        return True, ending.outcome is Outcome.DEAD and not is_decided

    # ---- what waits

    def _waiting(self) -> Ties:
        layout = self._layout
        letters, mentioned = set(), set()
        for folder in (layout.outbox, layout.outbox_undeliverable):
            for path in _files_in(folder):
                if path.name.endswith(".json"):
                    letters.add(path.name.removesuffix(".json"))
                    mentioned |= _mentioned(path)
        held = layout.queue_state / "held"
        with storage_errors("list", held):
            lanes = [path for path in _files_in(held) if path.is_dir()]
        for folder in (layout.orders, *lanes, layout.orders, layout.corrupted):
            for path in _files_in(folder):
                mentioned |= _mentioned(path)
        return Ties(waiting_letters=frozenset(letters), mentioned=frozenset(mentioned))

    # ---- removing

    def _remove_all(self, remnants: Sequence[Remnant]) -> int:
        """One that cannot be removed keeps none of the others; its error is raised in the end."""
        count, failure = 0, None
        for remnant in remnants:
            from_thread.check_cancelled()
            try:
                count += self._remove(remnant)
            except StorageUnavailable as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return count

    def _remove(self, remnant: Remnant) -> bool:
        path = self._path(remnant)
        with storage_errors("remove", path):
            try:
                if remnant.kind is OldKind.FILES:
                    _remove_tree(path)
                    self._unlink_dangling()
                else:
                    path.unlink()
                    if remnant.kind is OldKind.ORDERS:
                        self._unlink_marks(remnant)
            except FileNotFoundError:
                return False
        return True

    def _unlink_marks(self, order: Remnant) -> None:
        """Nobody has decided on another order that gets this one's id.

        What a crash leaves of them goes with the leftovers.
        """
        for folder in self._marks:
            (folder / str(order.order_id)).unlink(missing_ok=True)

    def _path(self, remnant: Remnant) -> Path:
        if remnant.kind is OldKind.LEFTOVERS:
            return self._layout.state / remnant.name
        return self._folders(remnant.kind)[0] / remnant.name

    def _unlink_dangling(self) -> None:
        """Remove names under which an agent knew folders that are gone."""
        for link in _files_in(self._layout.outgoing_link("").parent):
            if link.is_symlink() and not link.exists():
                link.unlink(missing_ok=True)


def _open(folder: Path) -> contextlib.AbstractContextManager[Iterator[os.DirEntry[str]]] | None:
    with storage_errors("list", folder):
        try:
            return os.scandir(folder)
        except FileNotFoundError:
            return None


def _old_file(entry: os.DirEntry[str], ending: str, oldest_ns: int) -> int | None:
    """The size of a file that is old enough; None for anything else."""
    if not entry.name.endswith(ending) or not entry.is_file(follow_symlinks=False):
        return None
    found = entry.stat(follow_symlinks=False)
    return found.st_size if found.st_mtime_ns < oldest_ns else None


def _weigh(folder: str) -> tuple[int, int]:
    """Bytes below a folder, and its youngest change."""
    size, changed_ns = 0, os.lstat(folder).st_mtime_ns
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            with contextlib.suppress(FileNotFoundError):
                found = os.lstat(f"{root}/{name}")
                size += found.st_size if name in files else 0
                changed_ns = max(changed_ns, found.st_mtime_ns)
    return size, changed_ns


def _remove_tree(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except PermissionError:
        # Tools write-protect folders of their own (caches of modules): no reason to keep them.
        folder.chmod(_OURS)
        for root, folders, _ in os.walk(folder):
            for path in (Path(root, name) for name in folders):
                if not path.is_symlink():
                    path.chmod(_OURS)
        shutil.rmtree(folder)


def _names(folder: Path) -> list[str]:
    with storage_errors("list", folder):
        try:
            return [path.name for path in folder.iterdir()]
        except FileNotFoundError:
            return []


def _files_in(folder: Path) -> list[Path]:
    return [folder / name for name in _names(folder)]


def _mentioned(path: Path) -> set[str]:
    """Orders whose files a file speaks of."""
    try:
        data, _ = read_plain_file(path, limit=_LARGEST)
    except (FileNotFoundError, UnreadableFile):
        return set()
    except PermissionError:
        return set()
    return {os.fsdecode(word) for word in _MENTION.findall(data.replace(b"\\/", b"/"))}
