"""What a person sees in a chat: plain values for assertions."""

from __future__ import annotations

from attrs import Factory, frozen

from galaxy_core.testing.bot_api.state import Chat, Json, State, Stored
from galaxy_core.testing.bot_api.texts import cut_utf16


@frozen
class SeenButton:
    """A button under a message."""

    text: str
    data: str | None = None
    url: str | None = None
    style: str | None = None


@frozen
class SeenFile:
    """A file in a message."""

    kind: str
    name: str
    mime: str
    content: bytes


@frozen
class Seen:
    """A message as it is read now."""

    chat_id: int
    message_id: int
    text: str
    """Text or caption."""
    entities: tuple[Json, ...] = ()
    buttons: tuple[tuple[SeenButton, ...], ...] = ()
    """In rows."""
    files: tuple[SeenFile, ...] = ()
    thread: int | None = None
    reply_to: int | None = None
    edits: int = 0
    date: int = 0
    group: str | None = None
    """What the messages of an album share."""
    content: Json = Factory(dict)
    """Telegram's own JSON."""

    def button(self, label: str) -> SeenButton:
        """The button with that label or data."""
        for row in self.buttons:
            for button in row:
                if label in (button.text, button.data):
                    return button
        raise LookupError(f"no button {label!r} under message {self.message_id}")

    def marked(self, kind: str) -> list[str]:
        """The parts of the text that carry such an entity."""
        return [
            cut_utf16(self.text, entity["offset"], entity["length"])
            for entity in self.entities
            if entity["type"] == kind
        ]


def sent(state: State, chat_id: int | None = None) -> tuple[Seen, ...]:
    """What the bot wrote and did not delete, oldest first; in one chat or in all."""
    chats = state.chats.values() if chat_id is None else [state.chats[chat_id]]
    return tuple(
        _seen(state, chat, stored)
        for chat in chats
        for stored in chat.messages.values()
        if stored.is_outgoing and not stored.is_deleted
    )


def _seen(state: State, chat: Chat, stored: Stored) -> Seen:
    content = stored.content
    rows = content.get("reply_markup", {}).get("inline_keyboard", [])
    kept = [state.files[file_id] for file_id in stored.files]
    return Seen(
        chat_id=chat.id,
        message_id=content["message_id"],
        text=str(content.get("text") or content.get("caption") or ""),
        entities=tuple(content.get("entities") or content.get("caption_entities") or ()),
        buttons=tuple(tuple(_button(button) for button in row) for row in rows),
        files=tuple(SeenFile(one.kind, one.name, one.mime, one.content) for one in kept),
        thread=content.get("message_thread_id"),
        reply_to=content.get("reply_to_message", {}).get("message_id"),
        edits=stored.edits,
        date=content["date"],
        group=content.get("media_group_id"),
        content=content,
    )


def _button(button: Json) -> SeenButton:
    return SeenButton(
        button["text"], button.get("callback_data"), button.get("url"), button.get("style")
    )
