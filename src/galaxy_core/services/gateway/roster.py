"""Who is on the list: people named by the settings, and people let in by pairing."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field

from galaxy_core.domain.message import Address
from galaxy_core.domain.people import Person, Role
from galaxy_core.ports.note_store import Note, NoteStore
from galaxy_core.services.gateway.records import read, read_all
from galaxy_core.wire.structure import to_json

PERSON = "person"


@define
class Roster:
    """The list; read anew each time, so that whoever was let in elsewhere is known at once."""

    _notes: NoteStore
    _named: tuple[Person, ...] = ()
    """By the settings; they count before those who were let in."""
    _known: tuple[Person, ...] = field(init=False)
    """Everybody, as of the last look."""

    def __attrs_post_init__(self) -> None:
        self._known = self._named

    async def find(self, channel: str, person_id: str) -> Person | None:
        """The person; None for a stranger.  Raises `StorageUnavailable`."""
        for person in self._named:
            if (person.channel, person.id) == (channel, person_id):
                return person
        return read(await self._notes.get(PERSON, _key(channel, person_id)), Person)

    async def role_of(self, channel: str, person_id: str) -> Role | None:
        """The person's role; None for a stranger."""
        person = await self.find(channel, person_id)
        return person.role if person else None

    async def people(self) -> Sequence[Person]:
        """Everybody, those of the settings first."""
        named = {(person.channel, person.id) for person in self._named}
        admitted = read_all(await self._notes.list(PERSON), Person)
        others = (p for p in admitted if (p.channel, p.id) not in named)
        self._known = (*self._named, *others)
        return self._known

    async def owners(self) -> Sequence[Person]:
        """Those who decide."""
        return [person for person in await self.people() if person.role is Role.OWNER]

    @property
    def known(self) -> tuple[Person, ...]:
        """Everybody, as of the last call of `people`; before it, those of the settings."""
        return self._known

    async def admit(self, person: Person) -> None:
        """Put a person on the list, or give them another role.  Durable; safe twice."""
        key = _key(person.channel, person.id)
        await self._notes.put([Note(kind=PERSON, key=key, value=to_json(person))])

    async def remove(self, channel: str, person_id: str) -> bool:
        """Take a person off the list; False when pairing has let in no such person."""
        if await self._notes.get(PERSON, _key(channel, person_id)) is None:
            return False
        await self._notes.close(PERSON, [_key(channel, person_id)])
        return True


def own_chat(person: Person) -> Address:
    """Where the person reads alone: a chat that has the person's id."""
    return Address(channel=person.channel, chat_id=person.id)


def _key(channel: str, person_id: str) -> str:
    return f"{channel}:{person_id}"
