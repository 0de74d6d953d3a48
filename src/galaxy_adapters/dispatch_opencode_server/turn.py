"""What one turn of the agent looks like: bus events in, the domain's events out.

No I/O.  The same rules serve the live stream and what is read from the session after a break:
parts have ids, and each is told once.  After a break the text of a part that is being written is
told when the part ends, because its middle is nowhere to be read before that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import structlog
from attrs import define, field

from galaxy_adapters._opencode import parts
from galaxy_adapters._opencode.verdict import Aftermath
from galaxy_adapters.dispatch_opencode_server.client import Json
from galaxy_adapters.dispatch_opencode_server.events import BusEvent
from galaxy_core.domain.ids import RequestId
from galaxy_core.domain.response import Usage
from galaxy_core.domain.run import (
    FilesChanged,
    Noticed,
    ProviderRetrying,
    ReasoningAppended,
    RequestResolved,
    RunEvent,
    StepFinished,
    TextAppended,
    Todo,
    TodosChanged,
    ToolChanged,
    UsageReported,
)

_log = structlog.get_logger(__name__)

UNKNOWN_FINISH = "unknown"
_MISFITS = (AttributeError, KeyError, TypeError, ValueError, OverflowError)
"""What rules meet in an event that is not as opencode 1.18 makes it."""


@define
class _Writing:
    """A text that is being written."""

    told: int = 0
    is_torn: bool = False
    """Whether some of it may have been missed: no more deltas are taken for it."""


@define
class Turn:
    """One message and all that comes of it, in one session and those that work for it."""

    session: str
    message_id: str

    steps: int = 0
    unknown_finishes: int = 0
    """Steps in a row that ended for no known reason."""
    answers: int = 0
    """Messages of the agent so far."""
    has_been_busy: bool = False
    is_idle: bool = False
    """Whether it stopped working after it had begun."""
    error: Json | None = None
    """The first error, which is the one that people can read; later ones hold stack traces."""
    retrying: ProviderRetrying | None = None
    """The provider's last failure, while it is waited for."""
    waiting: dict[str, RunEvent] = field(factory=dict)
    """Requests that nobody has answered, by id."""
    resolved: set[str] = field(factory=set)
    todos: tuple[Todo, ...] = ()
    strays: set[str] = field(factory=set)
    """Answers that are dated before earlier messages: the clock was set back between them."""
    is_astray: bool = False
    """Whether such a message is whole: what opencode would do now is wrong (1.18)."""
    usage: Usage = field(factory=Usage)

    _is_torn: bool = False
    _dates: dict[str, datetime] = field(factory=dict)
    """The newest date in each session."""
    _infos: dict[str, Json] = field(factory=dict)
    _said: dict[str, dict[str, Json]] = field(factory=dict)
    """For each of the agent's messages, its texts and costs as they are stored."""
    _roles: dict[str, str] = field(factory=dict)
    _texts: dict[str, _Writing] = field(factory=dict)
    _kinds: dict[str, str] = field(factory=dict)
    _tools: dict[str, ToolChanged] = field(factory=dict)
    _finished: set[str] = field(factory=set)
    _files: set[tuple[str, str]] = field(factory=set)

    def feed(self, event: BusEvent) -> list[RunEvent]:
        """Take one event of the bus; returns what it means."""
        rule = _RULES.get(event.kind)
        if rule is None:
            return []
        try:
            return list(rule(self, event))
        except _MISFITS as error:
            # Of a form that this version does not know: what it told is read from the session.
            _log.warning("opencode.event_unknown", kind=event.kind, error=repr(error))
            self.tear()
            return []

    def read(self, session: str, messages: Sequence[object]) -> list[RunEvent]:
        """Take messages as they were read from a session; returns what is new in them."""
        told: list[RunEvent] = []
        for message in messages:
            if not isinstance(message, dict):
                continue
            info = message.get("info") or {}
            told += self.feed(
                BusEvent(kind="message.updated", properties={"info": info}, session=session)
            )
            parts_of = message.get("parts")
            for part in parts_of if isinstance(parts_of, list) else ():
                properties = {"part": part}
                told += self.feed(
                    BusEvent(kind="message.part.updated", properties=properties, session=session)
                )
        # Of a text first met here the deltas so far were missed, and some that are on their way
        # may be in it already.
        self.tear()
        return told

    def tear(self) -> None:
        """Take note that events were missed."""
        self._is_torn = True
        for writing in self._texts.values():
            writing.is_torn = True

    def success(self) -> Aftermath | None:
        """What the session holds by now, if that is certain without reading it.

        Only for a turn that was heard from the beginning without a break and ended well: then
        the stream has told every message and every part as they are stored.
        """
        messages: list[Json] = [
            {"info": info, "parts": list(self._said.get(message, {}).values())}
            for message, info in sorted(self._infos.items())
        ]
        aftermath = Aftermath(messages=tuple(messages))
        if self._is_torn or self.error or self.strays or not aftermath.is_finished:
            return None
        if len(aftermath.answers) < len(messages):
            return None  # others wrote here, too: the stream does not tell what is ours
        last = messages[-1]["info"]
        return aftermath if last.get("finish") == "stop" and not last.get("error") else None

    @property
    def newest(self) -> str:
        """Id of the newest message, ours if there is none after it."""
        return max(self.message_id, *self._infos, key=str)

    def set_todos(self, items: list[Json]) -> list[RunEvent]:
        """Take the agent's list as it is now."""
        todos = tuple(parts.todo(item) for item in items)
        if todos == self.todos:
            return []
        self.todos = todos
        return [TodosChanged(todos=todos)]

    def set_requests(self, permissions: list[Json], questions: list[Json]) -> list[RunEvent]:
        """Take the requests that wait now; those no longer among them were answered elsewhere."""
        told: list[RunEvent] = []
        for item in permissions:
            told += self._ask(parts.permission(item))
        for item in questions:
            told += self._ask(parts.question(item))
        now = {str(item.get("id")) for item in (*permissions, *questions)}
        for request in [known for known in self.waiting if known not in now]:
            told += self.resolve(request, "withdrawn")
        return told

    def resolve(self, request: str, how: str) -> list[RunEvent]:
        """Take note that a request was answered."""
        self.resolved.add(request)
        if self.waiting.pop(request, None) is None:
            return []
        return [RequestResolved(request_id=RequestId(request), how=how)]

    # ---- rules, one for each kind of event

    def _message(self, event: BusEvent) -> Iterator[RunEvent]:
        info = event.properties.get("info") or {}
        message, role = str(info.get("id")), str(info.get("role"))
        is_ours = message >= self.message_id or info.get("parentID") == self.message_id
        if event.session != self.session or is_ours:
            self._date(event.session, message, info)
        elif role == "assistant" and self.has_been_busy and not parts.is_complete(info):
            # An answer to an earlier message, begun now: ours is not seen.
            self.is_astray = True
        if event.session == self.session:
            if not is_ours or message == self.message_id:
                return  # of turns before this one, or the message itself
            if role == "assistant" and message not in self._roles:
                self.answers += 1
            self._infos[message] = info
        # The summary that a compaction writes is not said to anybody.
        self._roles[message] = "summary" if info.get("summary") else role
        yield from ()

    def _date(self, session: str, message: str, info: Json) -> None:
        """Compare a message's date with those of the messages before it."""
        made = parts.made_at(info)
        if made is None:
            return
        newest = self._dates.get(session, made)
        if made < newest and message not in self._roles and info.get("role") == "assistant":
            self.strays.add(message)
        self._dates[session] = max(made, newest)
        if message in self.strays and parts.is_complete(info):
            self.is_astray = True

    def _part(self, event: BusEvent) -> Iterator[RunEvent]:
        part = event.properties.get("part") or {}
        message = str(part.get("messageID"))
        # The prompt comes back as a part of the user's message; opencode's own words to the model
        # are marked synthetic.
        if self._roles.get(message) not in ("assistant", "summary") or part.get("synthetic"):
            return
        is_child = event.session != self.session
        kind = part.get("type")
        if kind in ("text", "reasoning"):
            if not is_child and self._roles[message] == "assistant":
                self._keep(part, message, is_child=is_child)
                yield from self._text(part, str(kind))
        elif kind == "tool":
            yield from self._tool(part, message, is_child=is_child)
        elif kind == "step-finish":
            self._keep(part, message, is_child=is_child)
            yield from self._step(part, is_child=is_child)
        elif kind == "patch":
            yield from self._changed(message, [str(name) for name in part.get("files") or []])

    def _keep(self, part: Json, message: str, *, is_child: bool) -> None:
        if not is_child:
            self._said.setdefault(message, {})[str(part.get("id"))] = part

    def _text(self, part: Json, kind: str) -> Iterator[RunEvent]:
        identity, text = str(part.get("id")), str(part.get("text") or "")
        is_whole = bool((part.get("time") or {}).get("end"))
        self._kinds[identity] = kind
        writing = self._texts.setdefault(identity, _Writing())
        # Before it ends, the stored text lags behind the deltas.
        new = text[writing.told :] if is_whole or not writing.is_torn else ""
        writing.told = max(writing.told, len(text)) if new else writing.told
        if new:
            yield _appended(kind, new, identity)

    def _delta(self, event: BusEvent) -> Iterator[RunEvent]:
        properties = event.properties
        identity = str(properties.get("partID"))
        writing = self._texts.get(identity)
        # A part whose beginning was not seen is told whole when it ends.
        if properties.get("field") != "text" or writing is None or writing.is_torn:
            return
        delta = str(properties.get("delta") or "")
        writing.told += len(delta)
        if delta:
            yield _appended(self._kinds[identity], delta, identity)

    def _tool(self, part: Json, message: str, *, is_child: bool) -> Iterator[RunEvent]:
        self.retrying = None
        changed = parts.tool(part, is_child=is_child)
        identity = str(part.get("id"))
        if changed is None or self._tools.get(identity) == changed:
            return
        self._tools[identity] = changed
        yield changed
        yield from self._changed(message, parts.written_files(part))

    def _changed(self, message: str, files: list[str]) -> Iterator[RunEvent]:
        new = [name for name in files if (message, name) not in self._files]
        self._files.update((message, name) for name in new)
        if new:
            yield FilesChanged(files=tuple(new))

    def _step(self, part: Json, *, is_child: bool) -> Iterator[RunEvent]:
        identity = str(part.get("id"))
        if identity in self._finished:
            return
        self._finished.add(identity)
        self.retrying = None
        self.usage += parts.usage(part)
        if not is_child:
            self.steps += 1
            reason = str(part.get("reason") or UNKNOWN_FINISH)
            is_unknown = reason == UNKNOWN_FINISH
            self.unknown_finishes = self.unknown_finishes + 1 if is_unknown else 0
            yield StepFinished(reason=reason, number=self.steps)
        yield UsageReported(usage=self.usage)

    def _status(self, event: BusEvent) -> Iterator[RunEvent]:
        status = event.properties.get("status") or {}
        kind = status.get("type")
        if kind == "retry":
            self.retrying = parts.retrying(status)
            yield self.retrying
        if event.session != self.session:
            return
        if kind == "idle":
            self.is_idle = self.has_been_busy
        else:
            self.has_been_busy, self.is_idle = True, False

    def _idle(self, event: BusEvent) -> Iterator[RunEvent]:
        # One that comes before our own `busy` belongs to the turn before (after an abort there
        # are two).
        if event.session == self.session and self.has_been_busy:
            self.is_idle = True
        yield from ()

    def _error(self, event: BusEvent) -> Iterator[RunEvent]:
        error = event.properties.get("error")
        if event.session == self.session and self.error is None and isinstance(error, dict):
            # An abort before our own work has begun was that of the turn before.
            is_ours = self.has_been_busy or error.get("name") != "MessageAbortedError"
            self.error = error if is_ours else None
        yield from ()

    def _asked_permission(self, event: BusEvent) -> Iterator[RunEvent]:
        yield from self._ask(parts.permission(event.properties))

    def _asked_question(self, event: BusEvent) -> Iterator[RunEvent]:
        yield from self._ask(parts.question(event.properties))

    def _ask(self, request: parts.Request) -> Iterator[RunEvent]:
        identity = str(request.request_id)
        if identity not in self.waiting and identity not in self.resolved:
            self.waiting[identity] = request
            yield request

    def _replied(self, event: BusEvent) -> Iterator[RunEvent]:
        how = {"question.replied": "answered", "question.rejected": "rejected"}.get(
            event.kind, str(event.properties.get("reply") or "answered")
        )
        yield from self.resolve(str(event.properties.get("requestID")), how)

    def _todos(self, event: BusEvent) -> Iterator[RunEvent]:
        if event.session == self.session:
            yield from self.set_todos(event.properties.get("todos") or [])

    def _compacted(self, event: BusEvent) -> Iterator[RunEvent]:
        if event.session == self.session:
            yield Noticed(message="The conversation was summarised, to make room for more.")


def _appended(kind: str, text: str, part: str) -> RunEvent:
    if kind == "reasoning":
        return ReasoningAppended(text=text, part=part)
    return TextAppended(text=text, part=part)


_RULES: dict[str, Callable[[Turn, BusEvent], Iterator[RunEvent]]] = {
    "message.updated": Turn._message,  # noqa: SLF001
    "message.part.updated": Turn._part,  # noqa: SLF001
    "message.part.delta": Turn._delta,  # noqa: SLF001
    "session.status": Turn._status,  # noqa: SLF001
    "session.idle": Turn._idle,  # noqa: SLF001
    "session.error": Turn._error,  # noqa: SLF001
    "session.compacted": Turn._compacted,  # noqa: SLF001
    "permission.asked": Turn._asked_permission,  # noqa: SLF001
    "permission.replied": Turn._replied,  # noqa: SLF001
    "question.asked": Turn._asked_question,  # noqa: SLF001
    "question.replied": Turn._replied,  # noqa: SLF001
    "question.rejected": Turn._replied,  # noqa: SLF001
    "todo.updated": Turn._todos,  # noqa: SLF001
}
