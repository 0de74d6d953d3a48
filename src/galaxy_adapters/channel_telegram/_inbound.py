"""The way in: raw update -> note -> (Telegram forgets it) -> group -> message -> confirmed.

Written, in this order: the raw update as a note, under its id; after `confirm`, the note is closed
and its key stays for a week, so that a redelivery is noticed.  A process that dies in between
leaves open notes, which are read again at the next start.

Each note names the head of its group (see `_grouping`); a group has the key of its first member,
and confirming it closes the notes of all of them in one write.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Never

import anyio
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from attrs import define, evolve, field, frozen

from galaxy_adapters.channel_telegram._errors import CallFailed, CallRefused
from galaxy_adapters.channel_telegram._grouping import Group, Grouping, Outline, outline, seam
from galaxy_adapters.channel_telegram._json import Object, an_object, number, text
from galaxy_adapters.channel_telegram._poller import Call
from galaxy_adapters.channel_telegram._updates import Me, Reading, UnreadableUpdate, interpret
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.incident import Incident, IncidentSeverity
from galaxy_core.domain.message import Inbound, InboundMessage
from galaxy_core.domain.order import JSONObject
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.incident_sink import IncidentSink
from galaxy_core.ports.note_store import Note, NoteStore

_log = structlog.get_logger(__name__)

KEPT = timedelta(days=7)
"""How long closed keys are known: Telegram repeats updates for a day at most."""
_DAY = timedelta(days=1)
_SHORTEST = timedelta(seconds=1)
_LONGEST = timedelta(minutes=1)


@frozen
class _Stored:
    """An update that is on the disk and has not been given out."""

    update: Object
    at: datetime


@frozen
class _Part:
    """One member of a group, read."""

    id: int
    outline: Outline | None
    inbound: Inbound


@define(eq=False)
class Inbox:
    """What came from Telegram and has not been dealt with."""

    _bot_id: str
    _channel: str
    _notes: NoteStore
    _clock: Clock
    _incidents: IncidentSink
    _grouping: Grouping = field(factory=Grouping, init=False)
    _stored: dict[int, _Stored] = field(factory=dict, init=False)
    _open: set[int] = field(factory=set, init=False)
    """All that is not confirmed, given out or not."""
    _given: dict[str, tuple[int, ...]] = field(factory=dict, init=False)
    """Update ids by the key of what was given out."""
    # Nothing is given out while a batch is being stored: that batch may hold the next part of it.
    _lock: anyio.Lock = field(factory=anyio.Lock, init=False)
    _changed: anyio.Event = field(factory=anyio.Event, init=False)
    _me: Me | None = field(default=None, init=False)
    _is_known: anyio.Event = field(factory=anyio.Event, init=False)
    _sender: MemoryObjectSendStream[Inbound] = field(init=False)
    _receiver: MemoryObjectReceiveStream[Inbound] = field(init=False)

    def __attrs_post_init__(self) -> None:
        # No bound: all of it is on the disk, and Telegram's own limits are narrower than memory.
        self._sender, self._receiver = anyio.create_memory_object_stream[Inbound](math.inf)

    # ---- the channel's side

    async def receive(self) -> Inbound:
        """What comes next; waits for it."""
        return await self._receiver.receive()

    async def confirm(self, inbound: Inbound) -> None:
        """Close its notes.  Raises `StorageUnavailable`."""
        members = self._given.get(inbound.key)
        if members is None:
            return
        await self._notes.close(self._kind("update"), [str(member) for member in members])
        self._given.pop(inbound.key, None)
        self._open.difference_update(members)

    def close(self) -> None:
        """Let go of the memory behind `receive`."""
        self._sender.close()
        self._receiver.close()

    # ---- the poller's side

    @property
    def wants_look(self) -> bool:
        """Whether a text waits only until it is known that nothing was sent with it."""
        return self._grouping.wants_look

    def looked(self) -> None:
        """Nothing more lies at Telegram."""
        self._grouping.looked(self._clock.monotonic())
        self._wake()

    async def store(self, updates: Sequence[object]) -> int | None:
        """Store a batch in one write; the highest id in it.  Raises `StorageUnavailable`.

        What is known is passed over.
        """
        found: dict[int, Object] = {}
        for item in updates:
            update = an_object(item)
            update_id = number(update.get("update_id"))
            if update_id is None:
                await self._set_aside_stray(item)
            else:
                found[update_id] = update
        async with self._lock:
            fresh = [(i, found[i]) for i in sorted(found) if i not in self._open]
            heads = self._grouping.heads(fresh)
            at = self._clock.now()
            notes = [self._note(i, update, heads[i], at) for i, update in fresh]
            new = await self._notes.add(notes) if notes else frozenset()
            for update_id, update in fresh:
                if str(update_id) in new:
                    self._take_in(update_id, heads[update_id], _Stored(update, at))
                else:
                    await self._find_again(update_id)
        self._wake()
        return max(found, default=None)

    async def _find_again(self, update_id: int) -> None:
        """Look at a known key: it is closed, or its note was written by a call that "failed"."""
        note = await self._notes.get(self._kind("update"), str(update_id))
        if note is None:
            return
        stored, head = _opened(note)
        if stored is None:
            await self._set_aside(update_id, "the note cannot be read", note.value.get("raw"))
            return
        if not self._grouping.is_waiting(head) and head != update_id:
            # Its group was given out meanwhile, without it: so it must stay after a restart.
            head = update_id
            await self._notes.put([self._note(update_id, stored.update, head, stored.at)])
        self._take_in(update_id, head, stored)

    def _take_in(self, update_id: int, head: int, stored: _Stored) -> None:
        self._open.add(update_id)
        self._stored[update_id] = stored
        self._grouping.add(update_id, head, stored.update, self._clock.monotonic())

    # ---- tasks

    async def reread(self) -> None:
        """Read what was open when the last process ended.  Raises `StorageUnavailable`."""
        members: dict[int, list[int]] = {}
        for note in await self._notes.list(self._kind("update")):
            update_id = int(note.key)
            stored, head = _opened(note)
            if stored is None:
                await self._set_aside(update_id, "the note cannot be read", note.value.get("raw"))
                continue
            self._open.add(update_id)
            self._stored[update_id] = stored
            members.setdefault(head, []).append(update_id)
        self._grouping.restore(members, self._clock.monotonic())
        self._wake()

    async def give_out(self) -> Never:
        """Give out what need wait no more, until cancelled."""
        while True:
            changed = self._changed
            async with self._lock:
                groups = self._grouping.take(self._clock.monotonic())
            if groups:
                await self._is_known.wait()
            for group in groups:
                await self._give(group)
            if not groups:
                await self._wait(changed)

    async def _wait(self, changed: anyio.Event) -> None:
        due = self._grouping.next_due
        async with anyio.create_task_group() as tasks:

            async def sleep(seconds: float) -> None:
                await self._clock.sleep(timedelta(seconds=seconds))
                tasks.cancel_scope.cancel()

            if due is not None:
                left = math.ceil((due - self._clock.monotonic()) * 1e6) / 1e6
                tasks.start_soon(sleep, left, name="window")
            await changed.wait()
            tasks.cancel_scope.cancel()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def introduce(self, call: Call) -> None:
        """Find out the bot's own name, from the store and from Telegram, whichever comes first."""
        kind, known = self._kind("me"), None
        try:
            note = await self._notes.get(kind, "me")
            known = None if note is None else text(note.value.get("username"))
        except StorageUnavailable:  # then Telegram tells it
            _log.warning("telegram.name_not_read")
        if known:
            self._meet(known)
        pause = _SHORTEST
        while True:
            try:
                username = text(an_object(await call("getMe")).get("username"))
                if username and username != known:
                    self._meet(username)
                    await self._notes.put([Note(kind=kind, key="me", value={"username": username})])
                if username:
                    return
            except StorageUnavailable:  # known for now; asked for again at the next start
                return
            except (CallFailed, CallRefused) as error:  # the poller reports: it has the same
                _log.debug("telegram.name_not_told", error=type(error).__name__)
                pause = error.retry_after or pause if isinstance(error, CallFailed) else pause
            await self._clock.sleep(pause)
            pause = min(_LONGEST, 2 * pause)

    def _meet(self, username: str) -> None:
        self._me = Me(id=int(self._bot_id), username=username)
        self._is_known.set()

    async def prune(self) -> Never:
        """Forget old keys once a day."""
        while True:
            try:
                await self._notes.prune(self._kind("update"), self._clock.now() - KEPT)
            except StorageUnavailable:  # tomorrow, then
                _log.warning("telegram.keys_not_pruned")
            await self._clock.sleep(_DAY)

    # ---- giving out

    async def _give(self, group: Group) -> None:
        parts: list[_Part] = []
        silent: list[int] = []
        for update_id in group.members:
            stored = self._stored.pop(update_id)
            try:
                inbound = self._interpret(update_id, stored)
            except UnreadableUpdate as error:
                await self._set_aside(update_id, str(error), _raw(stored.update))
            except Exception:  # noqa: BLE001 - one update that trips a defect must not hold up the others
                _log.exception("telegram.update_broken", update_id=update_id)
                reason = "a defect in this program; its log has the details"
                await self._set_aside(update_id, reason, _raw(stored.update))
            else:
                if inbound is None:
                    silent.append(update_id)
                else:
                    parts.append(_Part(update_id, outline(stored.update), inbound))
        if parts:
            whole = _merged(parts)
            self._given[whole.key] = (*(part.id for part in parts), *silent)
            self._sender.send_nowait(whole)
        elif silent:
            await self._forget(silent)

    def _interpret(self, update_id: int, stored: _Stored) -> Inbound | None:
        if self._me is None:
            raise RuntimeError("give_out() waits until the bot's name is known")
        reading = Reading(
            me=self._me,
            channel=self._channel,
            key=f"telegram:{self._bot_id}:{update_id}",
            received_at=stored.at,
        )
        return interpret(stored.update, reading)

    async def _forget(self, update_ids: Sequence[int]) -> None:
        """Close notes that tell the gateway nothing."""
        try:
            await self._notes.close(self._kind("update"), [str(i) for i in update_ids])
        except StorageUnavailable:  # they are looked at again after the next start
            _log.warning("telegram.note_not_closed", updates=len(update_ids))
        else:
            self._open.difference_update(update_ids)

    async def _set_aside(self, update_id: int, reason: str, raw: object) -> None:
        """Move an update that cannot be read out of the way, and tell people."""
        kept = Note(
            kind=self._kind("bad"),
            key=str(update_id),
            value={"raw": text(raw), "reason": reason, "at": self._clock.now().isoformat()},
        )
        try:
            await self._notes.put([kept])  # dies here: the same again, to the same place
            await self._notes.close(self._kind("update"), [str(update_id)])
        except StorageUnavailable:  # it is tried again after the next start
            _log.warning("telegram.update_not_set_aside", update_id=update_id)
        self._open.discard(update_id)
        self._report_bad(str(update_id), reason)

    async def _set_aside_stray(self, item: object) -> None:
        raw = _raw(item)
        key = sha256(raw.encode()).hexdigest()[:32]
        kept = Note(
            kind=self._kind("bad"), key=key, value={"raw": raw, "reason": "the update has no id"}
        )
        if await self._notes.add([kept]):
            self._report_bad(key, "the update has no id")

    def _report_bad(self, key: str, reason: str) -> None:
        self._incidents.report(
            Incident(
                kind="update_set_aside",
                message=f"A message from Telegram could not be read ({reason}) and was set aside"
                f" as number {key}. Ask whoever wrote to the bot to send it again.",
                key=f"update_set_aside:telegram:{self._bot_id}:{key}",
                severity=IncidentSeverity.ERROR,
                is_for_people=True,
                data={"channel": "telegram", "update": key, "reason": reason},
            )
        )

    # ---- notes

    def _kind(self, what: str) -> str:
        return f"telegram:{self._bot_id}:{what}"

    def _note(self, update_id: int, update: Object, head: int, at: datetime) -> Note:
        value: JSONObject = {"raw": _raw(update), "head": head, "at": at.isoformat()}
        return Note(kind=self._kind("update"), key=str(update_id), value=value)


def _raw(update: object) -> str:
    # ASCII: half a surrogate pair, which JSON may hold, is no valid text for a store.
    return json.dumps(update, separators=(",", ":"))


def _opened(note: Note) -> tuple[_Stored | None, int]:
    head = number(note.value.get("head"))
    try:
        update = json.loads(text(note.value.get("raw")))
        at = datetime.fromisoformat(text(note.value.get("at"))).astimezone(UTC)
    except (ValueError, RecursionError):
        return None, 0
    if head is None or not isinstance(update, dict):
        return None, 0
    return _Stored(update, at), head


def _merged(parts: Sequence[_Part]) -> Inbound:
    """One message of all parts, under the key of the first."""
    first = parts[0].inbound
    if not isinstance(first, InboundMessage):
        return first
    whole, before = first, parts[0].outline
    for part in parts[1:]:
        more = part.inbound
        if not isinstance(more, InboundMessage):
            continue
        between = seam(before, part.outline) if whole.text and more.text else ""
        whole = evolve(
            whole,
            text=whole.text + between + more.text,
            files=whole.files + more.files,
            quotes=whole.quotes + more.quotes,
            reply_to=whole.reply_to or more.reply_to,
            is_addressed=whole.is_addressed or more.is_addressed,
        )
        before = part.outline
    return whole
