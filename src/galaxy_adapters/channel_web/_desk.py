"""What pages do and see: the other side of the channel.

A message is answered for when it is in the database; its key, made by the page, makes it one
message however often it is sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from sqlite3 import Connection

import anyio
from anyio import to_thread
from attrs import define, field

from galaxy_adapters._web import EventHub, Problem, ServerEvent, Upload
from galaxy_adapters.channel_web import _history
from galaxy_adapters.channel_web._bodies import IMAGES, person_body
from galaxy_adapters.channel_web._database import Database
from galaxy_adapters.channel_web._files import ID, FileBox
from galaxy_adapters.channel_web._history import FIRST, INBOX, Change, StoredFile
from galaxy_adapters.channel_web.config import WebChannelConfig
from galaxy_core.domain.message import ButtonPressed, FileKind, InboundMessage, RemoteFile
from galaxy_core.domain.order import JSONObject
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.command_menu import MenuEntry
from galaxy_core.wire.structure import to_json

_KEY = re.compile(r"[0-9A-Za-z-]{8,64}")
_LONGEST_TITLE = 100
_MOST_MISSED = 500
"""Changes a page is told one by one; after more it loads anew."""
_MOST_MESSAGES = 200
_MOST_DRAFTS = 50


@define(eq=False)
class ChatDesk:
    """Conversations of everybody who may log in; every method names the person who asks."""

    _database: Database
    _box: FileBox
    hub: EventHub
    _clock: Clock
    config: WebChannelConfig
    arrived: anyio.Event = field(factory=anyio.Event, init=False)
    """Set, and replaced, when there is something for the gateway."""
    _drafts: dict[tuple[str, str], ServerEvent] = field(factory=dict, init=False)
    """Live text by person and order, for pages that are opened in the middle of it."""
    _commands: tuple[Sequence[MenuEntry], Mapping[str, Sequence[MenuEntry]]] = ((), {})
    """For everyone, and by person; the gateway tells them anew at each start."""

    @property
    def upload_folder(self) -> Path:
        """Where uploads are streamed to."""
        return self._box.folder

    # ---- doing

    async def say(
        self,
        person: str,
        conversation: str,
        text: str,
        *,
        key: str,
        uploads: Sequence[Upload] = (),
        reply_to: str | None = None,
    ) -> tuple[JSONObject, bool]:
        """Take a message; it and whether it is new.  Durable.  Raises `Problem`."""
        full_key = _full_key(person, key)
        if not text.strip() and not uploads:
            raise Problem(422, "There is nothing to send: write something, or add a file.")
        if len(text) > self.config.text_characters:
            most = self.config.text_characters
            raise Problem(413, f"This is too long: a message has at most {most:,} characters.")
        if (known := await self._known(person, conversation, full_key)) is not None:
            return known, False
        files = await to_thread.run_sync(self._take_in, uploads)
        now = self._clock.now()
        reply_to = reply_to if reply_to and reply_to.isascii() and reply_to.isdigit() else None
        body = person_body(text, files, reply_to=reply_to, name=person)

        def add(db: Connection) -> tuple[list[Change], JSONObject]:
            known = _history.message_of_key(db, person, full_key)
            if known is not None:  # sent twice at the same time
                return [], known
            for file in files:
                _history.add_file(db, person, file)
            changes = _history.add_message(db, person, conversation, now, body, full_key)
            view = changes[-1].data
            said = InboundMessage(
                key=full_key,
                channel="web",
                chat_id=chat_id(person, conversation),
                sender_id=person,
                sender_name=person,
                text=text,
                sent_at=now,
                message_id=str(view["id"]),
                reply_to=reply_to,
                files=tuple(map(_remote, files)),
            )
            _history.add_inbound(db, full_key, now, to_json(said))
            return changes, view

        is_taken = False
        try:
            changes, view = await self._database.write(add)
            is_taken = bool(changes)
        finally:
            if not is_taken:
                self._box.discard(files)
        if changes:
            self._ring()
            self.publish(person, changes)
        return view, is_taken

    async def press(self, person: str, message_id: str, data: str, *, key: str) -> str:
        """Take a press of a button that is there; the id that its answer will name.

        Durable.  Raises `Problem`.
        """
        full_key = _full_key(person, key)
        number = int(message_id) if re.fullmatch(r"[0-9]{1,18}", message_id) else -1
        now = self._clock.now()

        def add(db: Connection) -> None:
            shown = _history.message(db, person, number)
            if shown is None:
                raise Problem(404, "There is no such message.")
            if data not in _data(shown):
                raise Problem(409, "This button is not there any more.")
            pressed = ButtonPressed(
                key=full_key,
                channel="web",
                chat_id=_history.chat_of(db, person, number) or person,
                sender_id=person,
                sender_name=person,
                sent_at=now,
                data=data,
                press_id=full_key,
                message_id=message_id,
            )
            _history.add_inbound(db, full_key, now, to_json(pressed))

        await self._database.write(add)
        self._ring()
        return full_key

    async def create(self, person: str, title: str) -> JSONObject:
        """Make a conversation.  Raises `Problem`."""
        title, most = _title(title), self.config.conversations
        now = self._clock.now()
        change = await self._database.write(
            partial(_history.create_conversation, person=person, title=title, at=now, most=most)
        )
        if change is None:
            raise Problem(409, f"There are {most} conversations already: use one of them again.")
        self.publish(person, [change])
        return change.data

    async def rename(self, person: str, conversation: str, title: str) -> JSONObject:
        """Give a conversation another title.  Raises `Problem`."""
        title = _title(title)
        change = await self._database.write(
            partial(_history.rename_conversation, person=person, slug=conversation, title=title)
        )
        if change is None:
            raise _no_conversation()
        self.publish(person, [change])
        return change.data

    # ---- seeing

    async def conversations(self, person: str) -> tuple[Sequence[JSONObject], int]:
        """All conversations, and the number as of which they are so.

        A person who has none gets a first one and the inbox.
        """

        def read(db: Connection) -> tuple[list[JSONObject], int]:
            return _history.conversations(db, person), _history.last_number(db)

        found, number = await self._database.read(read)
        if {FIRST, INBOX} <= {view["id"] for view in found}:
            return found, number
        now = self._clock.now()

        def make(db: Connection) -> None:
            for slug in (INBOX, FIRST):
                _history.ensure_conversation(db, person, slug, now)

        await self._database.write(make)
        return await self._database.read(read)

    async def history(
        self, person: str, conversation: str, *, before: int | None = None, limit: int = 50
    ) -> JSONObject:
        """Messages, oldest first.  Raises `Problem`."""
        limit = max(1, min(limit, _MOST_MESSAGES))

        def read(db: Connection) -> JSONObject | None:
            if _history.conversation(db, person, conversation) is None:
                return None
            found, has_more = _history.messages(db, person, conversation, before, limit)
            views = [dict(view) for view in found]
            number = _history.last_number(db)
            return {"messages": list(views), "has_more": has_more, "number": number}

        found = await self._database.read(read)
        if found is None:
            raise _no_conversation()
        return found

    async def missed(self, person: str, after: int) -> list[ServerEvent]:
        """What a page has missed since, and the live text of now."""
        find = partial(_history.changes, person=person, after=after, limit=_MOST_MISSED)
        found = await self._database.read(find) if after else []
        if found is None:
            number = await self._database.read(_history.last_number)
            events = [ServerEvent.of("reset", {}, number)]
        else:
            events = [ServerEvent.of(c.name, c.data, c.number) for c in found]
        return events + [event for (who, _), event in self._drafts.items() if who == person]

    async def file(self, person: str, file_id: str) -> tuple[StoredFile, Path]:
        """A file of that person's, and where it lies.  Raises `Problem`."""
        found = None
        if ID.fullmatch(file_id):
            look = partial(_history.file, file_id=file_id, person=person)
            found = await self._database.read(look)
        if found is None:
            raise Problem(404, "There is no such file.")
        return found, self._box.path(found)

    # ---- telling pages

    def publish(self, person: str, changes: Sequence[Change]) -> None:
        """Tell the person's open pages."""
        if self.hub.pages(person):
            for change in changes:
                self.hub.publish(person, ServerEvent.of(change.name, change.data, change.number))

    def set_commands(
        self, everyone: Sequence[MenuEntry], people: Mapping[str, Sequence[MenuEntry]]
    ) -> None:
        """Remember what people may say with a slash in front."""
        self._commands = everyone, people

    def commands(self, person: str) -> Sequence[MenuEntry]:
        """What that person may say; empty before the gateway has told it."""
        everyone, people = self._commands
        return people.get(person, everyone)

    def keep_draft(self, person: str, order_id: str, event: ServerEvent) -> None:
        """Remember live text until its answer comes."""
        self._drafts.pop((person, order_id), None)
        self._drafts[person, order_id] = event
        if len(self._drafts) > _MOST_DRAFTS:
            del self._drafts[next(iter(self._drafts))]

    def forget_draft(self, person: str, order_id: str) -> None:
        """The answer is there."""
        self._drafts.pop((person, order_id), None)

    # ---- parts

    async def _known(self, person: str, conversation: str, key: str) -> JSONObject | None:
        def read(db: Connection) -> JSONObject | None:
            if _history.conversation(db, person, conversation) is None:
                raise _no_conversation()
            return _history.message_of_key(db, person, key)

        return await self._database.read(read)

    def _take_in(self, uploads: Sequence[Upload]) -> list[StoredFile]:
        return [self._box.take_in(upload.path, upload.name) for upload in uploads]

    def _ring(self) -> None:
        rung, self.arrived = self.arrived, anyio.Event()
        rung.set()


def chat_id(person: str, conversation: str) -> str:
    """The chat of a conversation; the inbox is the chat that has the person's own name."""
    return person if conversation == INBOX else f"{person}/{conversation}"


def _full_key(person: str, key: str) -> str:
    if not _KEY.fullmatch(key):
        raise Problem(422, "`key` has to be 8 to 64 letters, digits and hyphens, as a UUID has.")
    return f"web:{person}:{key}"


def _title(given: str) -> str:
    title = " ".join("".join(c if c.isprintable() else " " for c in given).split())
    if not 0 < len(title) <= _LONGEST_TITLE:
        raise Problem(422, f"A title has 1 to {_LONGEST_TITLE} characters.")
    return title


def _data(view: JSONObject) -> set[str]:
    rows = view.get("buttons")
    found = set()
    for row in rows if isinstance(rows, list) else []:
        for button in row if isinstance(row, list) else []:
            if isinstance(button, dict):
                found.add(str(button.get("data")))
    return found


def _remote(file: StoredFile) -> RemoteFile:
    kind = FileKind.PHOTO if file.mime in IMAGES else FileKind.DOCUMENT
    return RemoteFile(id=file.id, kind=kind, name=file.name, mime=file.mime, size=file.size)


def _no_conversation() -> Problem:
    return Problem(404, "There is no such conversation.")
