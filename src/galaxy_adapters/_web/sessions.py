"""How people get in: a printed one-time key, or name and password; then a cookie.

Notes hold hashes only: who reads the store cannot come in with what is there.

| kind | key | value |
|---|---|---|
| `web-key` | SHA-256 of a key that was printed | until when |
| `web-key-used` | the same | nothing: adding it is what uses the key up, once |
| `web-session` | SHA-256 of a cookie | who, until when, and a proof of the password |
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from hashlib import sha256

from anyio import CapacityLimiter, to_thread
from attrs import define, field, frozen

from galaxy_adapters._web.access import OWNER, WebAccess
from galaxy_adapters._web.passwords import decoy, matches
from galaxy_adapters._web.pauses import Pauses
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.note_store import Note, NoteStore

KEY, KEY_USED, SESSION = "web-key", "web-key-used", "web-session"
_LONGEST_SECRET = 200
"""Characters of a key or cookie that is looked at; ours are far shorter."""
_MOST_WAITING = 16
"""Passwords that may wait to be checked: each takes 32 MB and all of a processor."""
_KEPT = timedelta(days=2)


@frozen
class LoginRefused(Exception):
    """Wrong name or password, or too many tries."""

    wait: timedelta = timedelta(0)


@frozen(kw_only=True)
class Session:
    """A browser that is known."""

    person: str
    expires_at: datetime


@define(eq=False)
class SessionDesk:
    """Sessions and keys, in the note store."""

    _access: WebAccess
    _notes: NoteStore
    _clock: Clock
    _pauses: Pauses = field(init=False)
    _checking: CapacityLimiter = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._pauses = Pauses(self._clock)
        self._checking = CapacityLimiter(1)

    # ---- keys

    async def first_key(self) -> str:
        """A key for the address that is printed at the start; those of earlier starts end."""
        await self._tidy_up()
        await self._notes.close(KEY, [note.key for note in await self._notes.list(KEY)])
        return await self.new_key()

    async def new_key(self) -> str:
        """One more key, on demand.  Durable; good once, in any process on the same store."""
        key = secrets.token_urlsafe(32)
        until = self._clock.now() + self._access.key_life
        note = Note(kind=KEY, key=_hashed(key), value={"expires_at": until.isoformat()})
        await self._notes.put([note])
        return key

    async def redeem(self, key: str) -> str | None:
        """Use a key up; the new session's cookie, or None when it is not good (any more)."""
        hashed = _hashed(key)
        note = await self._notes.get(KEY, hashed)
        until = None if note is None else _time(note.value.get("expires_at"))
        if until is None or until <= self._clock.now():
            return None
        # Of two that come at once, one adds the note.
        if hashed not in await self._notes.add([Note(kind=KEY_USED, key=hashed)]):
            return None
        cookie = await self._begin(OWNER, proof="")
        await self._notes.close(KEY, [hashed])
        await self._notes.close(KEY_USED, [hashed])
        return cookie

    # ---- passwords

    async def log_in(self, name: str, password: str, address: str) -> str:
        """A new session's cookie for a name and its password.  Raises `LoginRefused`."""
        if (wait := self._pauses.left(address)) > timedelta(0):
            raise LoginRefused(wait)
        if self._checking.statistics().tasks_waiting >= _MOST_WAITING:
            raise LoginRefused(timedelta(seconds=5))
        hashed = self._access.users.get(name)
        # Counted before it is checked: many tries at once are many tries.
        self._pauses.failed(address)
        is_right = await to_thread.run_sync(
            lambda: matches(password, hashed or decoy()), limiter=self._checking
        )
        if hashed is None or not is_right:
            raise LoginRefused
        self._pauses.succeeded(address)
        return await self._begin(name, proof=_proof(hashed))

    # ---- sessions

    async def find(self, cookie: str) -> Session | None:
        """The session of a cookie; one in use lasts on.  None: unknown, over, or taken away."""
        if not cookie or len(cookie) > _LONGEST_SECRET:
            return None
        note = await self._notes.get(SESSION, _hashed(cookie))
        session = None if note is None else self._read(note)
        if session is None or note is None:
            return None
        life, now = self._access.session_life, self._clock.now()
        if session.expires_at - now < life - min(life / 10, timedelta(days=1)):
            session = Session(person=session.person, expires_at=now + life)
            value = {**note.value, "expires_at": session.expires_at.isoformat()}
            await self._notes.put([Note(kind=SESSION, key=note.key, value=value)])
        return session

    async def end(self, cookie: str) -> None:
        """Log out.  Safe twice."""
        if await self._notes.get(SESSION, _hashed(cookie)) is not None:
            await self._notes.close(SESSION, [_hashed(cookie)])

    async def _begin(self, person: str, *, proof: str) -> str:
        cookie = secrets.token_urlsafe(32)
        now = self._clock.now()
        value = {
            "person": person,
            "proof": proof,
            "began_at": now.isoformat(),
            "expires_at": (now + self._access.session_life).isoformat(),
        }
        await self._notes.put([Note(kind=SESSION, key=_hashed(cookie), value=dict(value))])
        return cookie

    def _read(self, note: Note) -> Session | None:
        person, proof = note.value.get("person"), note.value.get("proof")
        until = _time(note.value.get("expires_at"))
        if not isinstance(person, str) or until is None or until <= self._clock.now():
            return None
        if proof:
            # A new password, or a user who is taken off the list, ends the sessions of the old.
            hashed = self._access.users.get(person)
            if hashed is None or proof != _proof(hashed):
                return None
        elif person != OWNER:
            return None
        return Session(person=person, expires_at=until)

    async def _tidy_up(self) -> None:
        over = [note.key for note in await self._notes.list(SESSION) if self._read(note) is None]
        await self._notes.close(SESSION, over)
        for kind in (KEY, KEY_USED, SESSION):
            await self._notes.prune(kind, self._clock.now() - _KEPT)


def _hashed(secret: str) -> str:
    return sha256(secret[:_LONGEST_SECRET].encode("utf-8", "surrogatepass")).hexdigest()


def _proof(hashed: str) -> str:
    return sha256(hashed.encode()).hexdigest()[:16]


def _time(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
