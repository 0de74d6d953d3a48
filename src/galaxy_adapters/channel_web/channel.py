"""`Channel` for the page: what people say comes from its routes, what they read lies in a history.

Everything that was said or sent is in one database, so a delivery is never in doubt: a letter that
may have come before is looked up instead of being shown twice.  Live text and typing are told to
the pages that are open, and forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from types import TracebackType
from typing import Self

import anyio
from anyio import to_thread
from anyio.lowlevel import checkpoint

from galaxy_adapters._web import EventHub, ServerEvent, render
from galaxy_adapters.channel_web import _history
from galaxy_adapters.channel_web._bodies import LONGEST_SHOWN, card_body, letter_body
from galaxy_adapters.channel_web._database import Database
from galaxy_adapters.channel_web._desk import ChatDesk
from galaxy_adapters.channel_web._files import FileBox, Refused
from galaxy_adapters.channel_web._history import INBOX, Change, StoredFile
from galaxy_adapters.channel_web.config import WebChannelConfig
from galaxy_core.domain.errors import ChatUnreachable, PermanentError
from galaxy_core.domain.letter import Letter, Receipt
from galaxy_core.domain.message import Address, ButtonPressed, Inbound, InboundMessage, RemoteFile
from galaxy_core.domain.order import JSONObject
from galaxy_core.domain.status import Card, Draft, Hint, OrderStatus, PressAnswered, Rates, Typing
from galaxy_core.ports.channel import Channel
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.command_menu import CommandMenu, MenuEntry
from galaxy_core.ports.incident_sink import IncidentSink
from galaxy_core.wire.structure import from_json

_RATES = Rates(edit_every=timedelta(milliseconds=300))
_PRESSES_KEPT = timedelta(days=30)
"""How long a page may go on sending the same press."""
_LONGEST_DRAFT = 60_000
"""Characters of live text; of more its end is shown."""
HISTORY, FILES = "history.sqlite", "files"


class WebChannel(Channel, CommandMenu):
    """Conversations of the page, kept in `folder`, which is made when it is missing.

    Open it as a context; it belongs to one event loop of one process.  `desk` is what the page's
    routes use.
    """

    name = "web"

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        incidents: IncidentSink,
        config: WebChannelConfig | None = None,
    ) -> None:
        self._config = config or WebChannelConfig()
        self._clock = clock
        self._database = Database(folder / HISTORY, clock, incidents)
        self._box = FileBox(folder / FILES, self._config.file_bytes)
        self._hub = EventHub()
        self.desk = ChatDesk(self._database, self._box, self._hub, clock, self._config)
        self._heard = 0

    async def __aenter__(self) -> Self:
        await self._database.open()
        await self._database.write(
            partial(_history.prune_inbound, before=self._clock.now() - _PRESSES_KEPT)
        )
        known = await self._database.read(_history.file_ids)
        await to_thread.run_sync(self._box.sweep, known)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._hub.close()
        with anyio.CancelScope(shield=True):  # one transaction at most
            await self._database.close()

    def rates(self) -> Rates:
        return _RATES

    async def publish(
        self, everyone: Sequence[MenuEntry], people: Mapping[str, Sequence[MenuEntry]]
    ) -> None:
        await checkpoint()
        self.desk.set_commands(everyone, people)

    # ---- in

    async def receive(self) -> Inbound:
        while True:
            arrived = self.desk.arrived
            found = await self._database.read(partial(_history.open_inbound, after=self._heard))
            if found:
                self._heard, value = found[0]
                return _inbound(value)
            await arrived.wait()

    async def confirm(self, inbound: Inbound) -> None:
        await self._database.write(partial(_history.confirm, key=inbound.key))

    async def fetch(self, file: RemoteFile, target: Path) -> None:
        found = await self._database.read(partial(_history.file, file_id=file.id))
        if found is None:
            raise PermanentError(f"“{file.name or 'The file'}” is not there any more.")
        await to_thread.run_sync(self._box.copy_out, found, target)

    # ---- out

    async def send(
        self, letter: Letter, address: Address, *, part: int = 1, is_repeat: bool = False
    ) -> Receipt:
        person, slug = self._place(address)
        if part != 1:
            raise PermanentError(f"letter {letter.name} has one part here, not {part}")
        shown = None
        if is_repeat:
            # It may have come before a crash: then it is there, and is not shown twice.
            look = partial(_history.letter_message, person=person, slug=slug, name=letter.name)
            shown = await self._database.read(look)
        if shown is None:
            shown = await self._deliver(letter, address, person, slug)
        return Receipt(
            channel=self.name,
            chat_id=address.chat_id,
            message_ids=(str(shown),),
            at=self._clock.now(),
        )

    async def _deliver(self, letter: Letter, address: Address, person: str, slug: str) -> int:
        files, missing = await to_thread.run_sync(self._take_files, letter)
        body = await letter_body(letter, files, missing=missing, is_demo=self._config.is_demo)
        body["chat_id"] = address.chat_id
        now = self._clock.now()

        def add(db: Connection) -> list[Change]:
            for file in files:
                _history.add_file(db, person, file)
            return _history.add_message(db, person, slug, now, body)

        changes = await self._database.write(add)
        if letter.order_id is not None:
            self.desk.forget_draft(person, letter.order_id)
        self.desk.publish(person, changes)
        return int(str(changes[-1].data["id"]))

    def _take_files(self, letter: Letter) -> tuple[list[StoredFile], list[str]]:
        files, missing = [], []
        if len(letter.message) > LONGEST_SHOWN:
            content = letter.message.encode("utf-8", "replace")
            files.append(self._box.write_in(f"{letter.order_id or 'letter'}.md", content))
        for path in letter.files:
            try:
                files.append(self._box.copy_in(Path(path)))
            except Refused as refused:
                missing.append(str(refused))
        return files, missing

    async def show(self, card: Card, address: Address, message_id: str | None = None) -> str | None:
        person, slug = self._place(address)
        body = await card_body(card, is_demo=self._config.is_demo)
        body["chat_id"] = address.chat_id
        now = self._clock.now()
        shown = int(message_id) if message_id and message_id.isdigit() else None

        def put(db: Connection) -> list[Change]:
            changed = None
            if shown is not None:
                changed = _history.change_message(db, person, shown, body)
            return [changed] if changed else _history.add_message(db, person, slug, now, body)

        # A state that is lost in a power cut is shown anew with the next one; a message is not.
        changes = await self._database.write(put, is_synced=shown is None)
        if isinstance(card, OrderStatus) and card.state.is_final:
            self.desk.forget_draft(person, card.order_id)
        self.desk.publish(person, changes)
        return str(changes[-1].data["id"])

    async def hint(self, hint: Hint, address: Address) -> None:
        await checkpoint()
        try:
            person, slug = self._place(address)
        except ChatUnreachable:
            return
        if isinstance(hint, Draft):
            text = hint.text
            if len(text) > _LONGEST_DRAFT:
                text = f"…{text[-_LONGEST_DRAFT:]}"
            data: JSONObject = {
                "conversation": slug,
                "order_id": hint.order_id,
                "html": await render(text),
            }
            event = ServerEvent.of("draft", data)
            self.desk.keep_draft(person, hint.order_id, event)
        elif isinstance(hint, Typing):
            event = ServerEvent.of("typing", {"conversation": slug})
        elif isinstance(hint, PressAnswered):
            answer: JSONObject = {
                "press_id": hint.press_id,
                "text": hint.text,
                "is_alert": hint.is_alert,
            }
            event = ServerEvent.of("press_answered", answer)
        self._hub.publish(person, event)

    def _place(self, address: Address) -> tuple[str, str]:
        """Person and conversation of a chat id: `person/conversation`; `person`: the inbox."""
        person, _, slug = address.chat_id.partition("/")
        if not self._config.is_person(person):
            raise ChatUnreachable(f"there is no {person or 'nobody'} on the web channel")
        return person, slug or INBOX


def _inbound(value: JSONObject) -> Inbound:
    if "press_id" in value:
        return from_json(value, ButtonPressed, name="A press on the page")
    return from_json(value, InboundMessage, name="A message from the page")
