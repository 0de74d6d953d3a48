"""Letting people in: a stranger is shown a code, an owner repeats it where they are trusted.

The code says nothing by itself: it only names a request, so whoever reads it over somebody's
shoulder has gained nothing.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from attrs import define, evolve, frozen

from galaxy_core.domain.audit import AuditSeverity, AuditType
from galaxy_core.domain.errors import PermanentError
from galaxy_core.domain.letter import Letter, LetterFormat, Severity
from galaxy_core.domain.message import Address
from galaxy_core.domain.people import Person, Role
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.note_store import Note, NoteStore
from galaxy_core.ports.outbox import Outbox
from galaxy_core.services.gateway.records import read_all
from galaxy_core.services.gateway.roster import Roster
from galaxy_core.services.trail import Trail
from galaxy_core.wire.structure import to_json

PAIRING = "pairing"
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""No letter that looks like a digit."""
CODE_CHARACTERS = 8
MAX_OPEN = 20
"""Requests at a time: strangers must not fill the store."""


class PairingFailed(PermanentError, ValueError):
    """The code lets nobody in; the message says why."""


@frozen(kw_only=True)
class PairingRequest:
    """A stranger who wants in."""

    code: str
    address: Address
    person_id: str
    expires_at: datetime
    name: str = ""
    done_by: str | None = None
    """Key of the message that let them in, or empty: the code is used.  It is remembered until
    the code expires, since that message may be taken twice."""


@define
class PairingDesk:
    """Hands out codes and takes them back."""

    _notes: NoteStore
    _roster: Roster
    _outbox: Outbox
    _trail: Trail
    _clock: Clock
    _good_for: timedelta = timedelta(minutes=10)

    async def request(self, address: Address, person_id: str, name: str) -> PairingRequest | None:
        """The open request of the stranger, or a new one; None when there are too many.

        Safe twice: whoever asks again is shown the same code until it has expired.
        """
        known = await self.open()
        for request in known:
            if (request.address.channel, request.person_id) == (address.channel, person_id):
                return request
        if len(known) >= MAX_OPEN:
            return None
        request = PairingRequest(
            code="".join(secrets.choice(ALPHABET) for _ in range(CODE_CHARACTERS)),
            address=address,
            person_id=person_id,
            expires_at=self._clock.now() + self._good_for,
            name=name,
        )
        note = Note(kind=PAIRING, key=request.code, value=to_json(request))
        await self._notes.add([note])
        await self._trail.record(
            self._trail.event(
                AuditType.PAIRING_REQUESTED,
                severity=AuditSeverity.WARNING,
                channel=address.channel,
                person=person_id,
                name=name or None,
            )
        )
        return request

    async def open(self) -> list[PairingRequest]:
        """Requests of people who wait; those that have expired are forgotten."""
        return [request for request in await self._fresh() if request.done_by is None]

    async def _fresh(self) -> list[PairingRequest]:
        requests = read_all(await self._notes.list(PAIRING), PairingRequest)
        now = self._clock.now()
        if over := [r.code for r in requests if r.expires_at <= now]:
            await self._notes.close(PAIRING, over)
        return [r for r in requests if r.expires_at > now]

    async def confirm(
        self, code: str, *, by: str, role: Role | None = None, key: str | None = None
    ) -> Person:
        """Let in who was shown the code; with no role named the first person becomes the owner.

        A crash in the middle leaves the person on the list and the code open: confirming again
        only says so once more.  `key` names the message that says it: that one is safe twice even
        when the code is used.  Raises `PairingFailed`, `StorageUnavailable`.
        """
        wanted = "".join(c for c in code.upper() if c.isalnum())
        request = next((r for r in await self._fresh() if r.code == wanted), None)
        if request is not None and request.done_by is not None:
            known = await self._roster.find(request.address.channel, request.person_id)
            if known is not None and key and request.done_by == key:
                return known
            request = None
        if request is None:
            raise PairingFailed(
                "Nobody waits for this code: it was mistyped, used or is too old. "
                "The person gets a new one with /start."
            )
        person = Person(
            channel=request.address.channel,
            id=request.person_id,
            role=role or await self._role_for(request),
            name=request.name,
            since=self._clock.now(),
        )
        await self._roster.admit(person)
        await self._trail.record(
            self._trail.event(
                AuditType.PERSON_ADMITTED,
                severity=AuditSeverity.WARNING,
                channel=person.channel,
                person=person.id,
                role=person.role.value,
                by=by,
            )
        )
        await self._outbox.post(_welcome(request, person))
        done = evolve(request, done_by=key or "")
        await self._notes.put([Note(kind=PAIRING, key=request.code, value=to_json(done))])
        return person

    async def _role_for(self, request: PairingRequest) -> Role:
        # On the list already: a confirmation that failed half way, and must not make the first
        # owner, whom it has just let in, somebody else's operator.
        known = await self._roster.role_of(request.address.channel, request.person_id)
        return known or (Role.OPERATOR if await self._roster.owners() else Role.OWNER)


def _welcome(request: PairingRequest, person: Person) -> Letter:
    looks = "look at what goes on" if person.role is Role.VIEWER else "write what is to be done"
    return Letter(
        name=f"pairing-{request.code}",
        message=f"You are in, as **{person.role.value}**. You can {looks}; /help shows the rest.",
        severity=Severity.SUCCESS,
        timestamp=person.since,
        chat_id=request.address.chat_id,
        channel=request.address.channel,
        topic=request.address.topic,
        format=LetterFormat.MARKDOWN,
    )


def shown(code: str) -> str:
    """The code as people read it: in two halves."""
    half = CODE_CHARACTERS // 2
    return f"{code[:half]}-{code[half:]}"
