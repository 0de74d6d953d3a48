"""The server's event stream, read once and handed out by conversation.

One reader for the whole server.  What a sub-agent's session does goes to the session that it works
for.  Events are not repeated after a break, so whoever listens is told of every break and reads
the session instead; the same goes for a listener that was too slow to take all events.
"""

from __future__ import annotations

import math
from collections import deque
from datetime import datetime, timedelta

import anyio
import structlog
from attrs import field, frozen

from galaxy_adapters.dispatch_opencode_server.client import Json, OpencodeClient
from galaxy_adapters.dispatch_opencode_server.servers import Servers
from galaxy_core.domain.errors import DispatcherUnavailable, GalaxyError

_log = structlog.get_logger(__name__)

_MOST_SIGHTINGS = 10_000
_INTRODUCTIONS = frozenset({"session.created", "session.updated"})
_LONGEST_QUEUE = 20_000
"""Events a listener may be behind; a fast model writes some hundred a second."""


@frozen(kw_only=True)
class BusEvent:
    """One event of the conversation that is listened to."""

    kind: str
    properties: Json
    session: str
    """The session that it happened in: the conversation's own, or a sub-agent's."""


@frozen
class Resync:
    """Events were missed: read the session."""


@frozen(kw_only=True)
class Failed:
    """A call made on behalf of the listener failed."""

    error: GalaxyError


Notice = BusEvent | Resync | Failed


class Listener:
    """The events of one conversation, in order."""

    def __init__(self) -> None:
        self._queue: deque[Notice] = deque()
        self._arrived = anyio.Event()

    def put(self, notice: Notice) -> None:
        """Add a notice; never blocks.  A listener that is far behind is told to read instead."""
        if len(self._queue) >= _LONGEST_QUEUE:
            self._queue.clear()
            notice = Resync()
        self._queue.append(notice)
        self._arrived.set()

    async def next(self, patience_seconds: float = math.inf) -> Notice | None:
        """Wait for the next notice; None when there was none in time."""
        if not self._queue:
            self._arrived = anyio.Event()
            with anyio.move_on_after(patience_seconds):
                await self._arrived.wait()
        return self._queue.popleft() if self._queue else None

    def is_empty(self) -> bool:
        """Whether everything that arrived was taken."""
        return not self._queue


@frozen(kw_only=True)
class Sighting:
    """A session that was there a moment ago; since then nothing was heard to the contrary."""

    directory: str
    at: datetime
    """No message in it is younger."""


@frozen
class _Backoff:
    first: float = 0.1
    longest: float = 5.0
    factor: float = 2.0


@frozen
class _Family:
    """Which session works for which, as far as it was heard."""

    parents: dict[str, str] = field(factory=dict)

    def root(self, session: str) -> str:
        seen = {session}
        while (parent := self.parents.get(session)) and parent not in seen:
            session = parent
            seen.add(session)
        return session


class EventHub:
    """Reads the stream as long as its task runs, and starts again whenever it breaks."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._listeners: dict[str, Listener] = {}
        self._family = _Family()
        self._sightings: dict[str, Sighting] = {}
        self._tried = anyio.Event()
        """Set, and replaced, whenever a try to connect has ended, well or not."""
        self._failure: DispatcherUnavailable | None = None
        self._has_connected = False
        self._down_since: float | None = None

    # ---- for listeners

    def listen(self, session: str) -> Listener:
        """Begin to listen to a conversation (one listener each: a new one takes over)."""
        listener = self._listeners[session] = Listener()
        return listener

    def stop(self, session: str, listener: Listener) -> None:
        """End it."""
        if self._listeners.get(session) is listener:
            del self._listeners[session]
            # Nobody asks for these any more; a server lives for weeks.
            for member in self.family(session) - {session}:
                self._family.parents.pop(member, None)

    def resync(self, session: str) -> None:
        """Have the run that follows this conversation read it."""
        if (listener := self._listeners.get(session)) is not None:
            listener.put(Resync())

    def remember(self, session: str, sighting: Sighting) -> None:
        """Take note that a session is there; saves asking for as long as the stream holds."""
        if self._down_since is not None:
            return
        if len(self._sightings) >= _MOST_SIGHTINGS:
            self._sightings.clear()
        self._sightings[session] = sighting

    def sighting(self, session: str) -> Sighting | None:
        """What is known of a session without asking."""
        return self._sightings.get(session)

    def forget(self, session: str) -> None:
        """Take note that a session is not there."""
        self._sightings.pop(session, None)

    def adopt(self, child: str, parent: str) -> None:
        """Take note that one session works for another."""
        self._family.parents[child] = parent

    def _introduce(self, child: str, parent: str) -> None:
        if self._family.root(parent) in self._listeners:
            self.adopt(child, parent)

    def family(self, root: str) -> frozenset[str]:
        """List a session and those that work for it."""
        return frozenset(
            {root, *(child for child in self._family.parents if self._family.root(child) == root)}
        )

    async def connected(self) -> None:
        """Wait until events come in.

        Raises the `DispatcherUnavailable` of the first try that fails meanwhile.
        """
        if self._down_since is not None or not self._has_connected:
            await self._tried.wait()
            if self._failure is not None:
                raise DispatcherUnavailable(str(self._failure)) from self._failure

    @property
    def is_coming_up(self) -> bool:
        """Whether the first try to get events in is still under way."""
        return not self._has_connected and self._failure is None

    @property
    def down_for(self) -> timedelta:
        """How long no event could come in; zero while connected."""
        if self._down_since is None:
            return timedelta(0)
        return timedelta(seconds=anyio.current_time() - self._down_since)

    # ---- the reader

    async def run(self) -> None:
        """Read until cancelled."""
        backoff = _Backoff()
        wait = backoff.first
        while True:
            try:
                await self._read(await self._servers.connect())
            except DispatcherUnavailable as error:
                _log.info("opencode.events_broken", error=str(error))
                self._failure = error
            self._sightings.clear()  # from here on, a session may be deleted unheard
            if self._down_since is None and self._has_connected:
                wait = backoff.first  # it was up until now
            else:
                self._announce()
            self._down_since = self._down_since or anyio.current_time()
            await anyio.sleep(wait)
            if wait > backoff.first:
                await self._servers.suspect()
            wait = min(wait * backoff.factor, backoff.longest)

    async def _read(self, client: OpencodeClient) -> None:
        async with client.events() as events:
            async for event in events:
                payload = event.get("payload")
                if not isinstance(payload, dict):
                    continue
                kind = payload.get("type")
                if kind == "server.connected":
                    self._greet()
                elif isinstance(kind, str) and isinstance(payload.get("properties"), dict):
                    self._hand_out(kind, payload["properties"])
        raise DispatcherUnavailable("The event stream of opencode ended.")

    def _greet(self) -> None:
        self._down_since = None
        self._failure = None
        self._has_connected = True
        self._announce()
        for listener in self._listeners.values():
            listener.put(Resync())

    def _announce(self) -> None:
        self._tried.set()
        self._tried = anyio.Event()

    def _hand_out(self, kind: str, properties: Json) -> None:
        info = properties.get("info")
        # Not only when it is created: an agent can have an earlier sub-agent go on.
        if kind in _INTRODUCTIONS and isinstance(info, dict) and info.get("parentID"):
            self._introduce(str(info.get("id")), str(info["parentID"]))
        session = _session_of(properties)
        if session is None:
            return
        if kind == "session.deleted":
            self.forget(session)
        listener = self._listeners.get(self._family.root(session))
        if listener is not None:
            listener.put(BusEvent(kind=kind, properties=properties, session=session))


def _session_of(properties: Json) -> str | None:
    for holder in (properties, properties.get("info"), properties.get("part")):
        if isinstance(holder, dict) and isinstance(holder.get("sessionID"), str):
            return str(holder["sessionID"])
    return None
