"""All conversations in one file, which the original system's readers still understand.

Writers take turns by a lock beside it, read the file as it is now, and replace it whole and
synced; readers need no lock.  A process that dies in the middle leaves the old file.

A file that cannot be read (an editor's slip, a torn copy) is waited for a moment, then set aside
under another name, reported, and begun anew: a lost conversation costs its context, a daemon that
dies at each start costs everything.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from anyio import to_thread
from anyio.lowlevel import checkpoint_if_cancelled
from attrs import define, evolve, field

from galaxy_adapters._files import (
    exclusive_lock,
    make_durable_folder,
    read_plain_file,
    rename_exclusively,
    storage_errors,
    sync_directory,
    write_durably,
)
from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.domain.ids import ConversationKey
from galaxy_core.domain.incident import Incident, IncidentSeverity
from galaxy_core.domain.session import Session
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.incident_sink import IncidentSink
from galaxy_core.ports.session_store import SessionStore
from galaxy_core.wire.layout import Layout
from galaxy_core.wire.session import SessionBook, decode_sessions, encode_sessions

__all__ = ["JsonSessionStore"]

PATIENCE = timedelta(seconds=1)
"""How long a file that cannot be read is taken for one that is being written by hand."""
MAX_BYTES = 64 << 20
"""Some 200,000 conversations."""
_PAUSE_S = 0.05
_OF_MACHINES = "machine:"
_NEVER = datetime.min.replace(tzinfo=UTC)

_Stamp = tuple[int, int, int]


@define(eq=False)
class JsonSessionStore(SessionStore):
    """Sessions of one machine; `default` is its own conversation, the one the original knew."""

    _layout: Layout
    _clock: Clock
    _incidents: IncidentSink
    _default: ConversationKey
    _patience: timedelta = field(default=PATIENCE, kw_only=True)
    _known: tuple[_Stamp, SessionBook] | None = field(default=None, init=False)
    """The file as it was read last."""

    async def get(self, conversation: ConversationKey) -> Session | None:
        book = self._fresh()
        if book is None:
            book = await to_thread.run_sync(self._read)
        else:
            await checkpoint_if_cancelled()
        return book.sessions.get(conversation)

    async def put(self, session: Session) -> None:
        await to_thread.run_sync(self._put, session)

    async def list(self) -> Sequence[Session]:
        book = await to_thread.run_sync(self._read)
        return sorted(book.sessions.values(), key=lambda s: s.updated_at or _NEVER, reverse=True)

    async def reset(self, conversation: ConversationKey) -> bool:
        return await to_thread.run_sync(self._reset, conversation)

    # ---- tidying

    def old(self, before: datetime, needed: AbstractSet[ConversationKey]) -> int:
        """How many were last used before then; not those that are needed, or with a choice in them.

        Nor any machine's own: several may share the file.  Blocks.  Raises `StorageUnavailable`.
        """
        return len(_old(self._read(), before, needed))

    def drop_old(self, before: datetime, needed: AbstractSet[ConversationKey]) -> int:
        """Forget them; how many there were.  Blocks.  Raises `StorageUnavailable`.  Safe twice."""
        if not self.old(before, needed):
            return 0
        with storage_errors("write", self._layout.sessions), exclusive_lock(self._lock):
            book = self._read_settled()
            found = _old(book, before, needed)
            if found:
                data = encode_sessions(book.without(frozenset(found)), default=self._default)
                write_durably(self._layout.sessions, data)
            return len(found)

    # ---- in threads

    def _put(self, session: Session) -> None:
        with storage_errors("write", self._layout.sessions):
            make_durable_folder(self._layout.settings_folder)
            with exclusive_lock(self._lock):
                self._replace(self._read_settled(), session)

    def _reset(self, conversation: ConversationKey) -> bool:
        known = self._read().sessions.get(conversation)
        if known is None or known.session_id is None:
            return False
        with storage_errors("write", self._layout.sessions), exclusive_lock(self._lock):
            book = self._read_settled()
            known = book.sessions.get(conversation)
            if known is None or known.session_id is None:
                return False
            self._replace(book, evolve(known, session_id=None, dispatcher=None))
            return True

    def _replace(self, book: SessionBook, session: Session) -> None:
        known = book.sessions.get(session.conversation)
        if known is not None and not session.wire:
            # Made here, not read from the file: what others wrote there stays.
            session = evolve(session, wire=known.wire)
        data = encode_sessions(book.put(session), default=self._default)
        write_durably(self._layout.sessions, data)
        with suppress(OSError, UnreadableFile):
            self._read_once()  # so that the next `get` need not

    def _read(self) -> SessionBook:
        """The file as it stands; one that cannot be read is set aside under the lock."""
        with storage_errors("read", self._layout.sessions):
            try:
                return self._read_once()
            except UnreadableFile:
                with exclusive_lock(self._lock):
                    return self._read_settled()

    def _read_settled(self) -> SessionBook:
        deadline = time.monotonic() + self._patience.total_seconds()
        while True:
            try:
                return self._read_once()
            except UnreadableFile as error:
                if time.monotonic() >= deadline:
                    self._set_aside(error)
                    return SessionBook()
            time.sleep(_PAUSE_S)

    def _fresh(self) -> SessionBook | None:
        """What the file says, if it is the one that was read last; costs microseconds."""
        known = self._known
        with suppress(OSError):
            if known is not None and known[0] == _stamp(os.lstat(self._layout.sessions)):
                return known[1]
        return None

    def _read_once(self) -> SessionBook:
        book = self._fresh()
        if book is not None:
            return book
        try:
            data, found = read_plain_file(self._layout.sessions, limit=MAX_BYTES)
        except FileNotFoundError:
            return SessionBook()
        book = decode_sessions(data, default=self._default)
        self._known = (_stamp(found), book)
        return book

    def _set_aside(self, error: UnreadableFile) -> None:
        path = self._layout.sessions
        now = self._clock.now()
        stem = f"{path.name}.corrupt-{now:%Y%m%dT%H%M%SZ}"
        names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, 1_000))
        kept = next(
            name
            for name in names
            if rename_exclusively(os.fspath(path), os.fspath(path.with_name(name)))
        )
        sync_directory(path.parent)
        self._incidents.report(
            Incident(
                kind="sessions_set_aside",
                message=(
                    f"The file of sessions could not be read ({error}) and was kept as {kept}:"
                    " every conversation begins a new session. To have the old ones back, mend"
                    f" the file and rename it to {path.name} while Hermes is stopped."
                ),
                key=f"sessions_set_aside:{kept}",
                severity=IncidentSeverity.ERROR,
                is_for_people=True,
                data={"file": kept},
            )
        )

    @property
    def _lock(self) -> Path:
        return self._layout.settings_folder / ".hermes-session.lock"


def _old(
    book: SessionBook, before: datetime, needed: AbstractSet[ConversationKey]
) -> Sequence[ConversationKey]:
    return [
        session.conversation
        for session in book.sessions.values()
        if session.updated_at is not None
        and session.updated_at < before
        and session.conversation not in needed
        and not session.conversation.startswith(_OF_MACHINES)
        and session.agent is None
        and session.model is None
    ]


def _stamp(stat: os.stat_result) -> _Stamp:
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
