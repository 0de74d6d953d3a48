"""The people on the other side, and their chats: what they do becomes updates for the bot."""

from __future__ import annotations

from collections.abc import Sequence

from galaxy_core.testing.bot_api.chats import add_topic, member_json
from galaxy_core.testing.bot_api.detection import entities_in, pasted, reaches_bot
from galaxy_core.testing.bot_api.media import media_json
from galaxy_core.testing.bot_api.seen import Seen
from galaxy_core.testing.bot_api.state import Chat, Json, Press
from galaxy_core.testing.bot_api.texts import LONGEST_TEXT
from galaxy_core.testing.bot_api.world import World

ANONYMOUS_ADMIN: Json = {
    "id": 1087968824,
    "is_bot": True,
    "first_name": "Group",
    "username": "GroupAnonymousBot",
}
CHANNEL_BOT: Json = {
    "id": 136817688,
    "is_bot": True,
    "first_name": "Channel",
    "username": "Channel_Bot",
}
TELEGRAM: Json = {"id": 777000, "is_bot": False, "first_name": "Telegram"}

MessageLike = int | Json | Seen


def id_of(message: MessageLike) -> int:
    """The number of a message, however it was named."""
    if isinstance(message, int):
        return message
    return message.message_id if isinstance(message, Seen) else int(message["message_id"])


class Room:
    """A chat of any kind; what stands in it is looked up anew each time."""

    def __init__(self, world: World, chat_id: int) -> None:
        self._world = world
        self.id = chat_id

    @property
    def chat(self) -> Chat:
        """The chat as it is now."""
        return self._world.state.chats[self.id]

    def _enters(
        self,
        sender: Json | None,
        content: Json,
        files: tuple[str, ...] = (),
        *,
        kind: str = "message",
    ) -> Json:
        message = self._world.add(self.chat, sender, content, files)
        if reaches_bot(self._world, self.chat, message):
            self._world.push(kind, message)
        return message

    def _placed(self, reply_to: MessageLike | None, thread: int | None) -> Json:
        placed: Json = {}
        if thread is not None:
            placed |= {"message_thread_id": thread, "is_topic_message": True}
        if reply_to is not None:
            quoted = self._world.quoted(self.chat, id_of(reply_to))
            if quoted is not None:
                placed["reply_to_message"] = quoted
        return placed

    def _opens_topic(self, name: str, by: Json) -> int:
        thread = int(add_topic(self._world, self.chat, name, by)["message_thread_id"])
        if not self.chat.refusal:
            self._world.push("message", self.chat.messages[thread].content)
        return thread

    def _membership(self, by: Json, old: str, new: str) -> None:
        bot = self._world.bot_user()
        self.chat.members[self._world.bot_id] = new
        self._world.push(
            "my_chat_member",
            {
                "chat": self._world.chat_json(self.chat),
                "from": by,
                "date": self._world.seconds(),
                "old_chat_member": member_json(bot, old),
                "new_chat_member": member_json(bot, new),
            },
        )


class Person(Room):
    """Somebody with a private chat with the bot; `chat=` says where else they do something."""

    @property
    def user(self) -> Json:
        """As they stand in messages."""
        return self._world.state.users[self.id]

    def _room(self, chat: Room | int | None) -> Room:
        if chat is None:
            if self.id not in self._world.state.chats:
                self._world.state.chats[self.id] = Chat(self.id, "private")
            return self
        return Room(self._world, chat if isinstance(chat, int) else chat.id)

    def writes(
        self,
        text: str,
        *,
        chat: Room | int | None = None,
        reply_to: MessageLike | None = None,
        thread: int | None = None,
        extra: Json | None = None,
    ) -> Json:
        """Write a message; `extra` adds members to it (entities, quote, via_bot ...)."""
        if not 1 <= len(text) <= LONGEST_TEXT:
            raise ValueError("no client sends such a text: see pastes")
        room = self._room(chat)
        content: Json = {**room._placed(reply_to, thread), "text": text}  # noqa: SLF001 - a room
        if entities := entities_in(text):
            content["entities"] = entities
        return room._enters(self.user, content | (extra or {}))  # noqa: SLF001 - a room

    def starts(self, payload: str = "") -> Json:
        """Press Start, or follow a link with a payload."""
        return self.writes(f"/start {payload}".rstrip())

    def pastes(self, text: str, *, chat: Room | int | None = None) -> list[Json]:
        """Write a long text, which the client cuts into several messages."""
        return [self.writes(part, chat=chat) for part in pasted(text)]

    def edits(self, message: MessageLike, text: str, *, chat: Room | int | None = None) -> Json:
        """Change a message of theirs."""
        room = self._room(chat)
        stored = room.chat.messages[id_of(message)]
        gone = {"text", "entities"}
        content = {key: value for key, value in stored.content.items() if key not in gone}
        content |= {"edit_date": self._world.seconds(), "text": text}
        if entities := entities_in(text):
            content["entities"] = entities
        stored.content = content
        if reaches_bot(self._world, room.chat, content):
            self._world.push("edited_message", content)
        return content

    def presses(self, message: MessageLike, button: str, *, chat: Room | int | None = None) -> str:
        """Press a button by its label or data; what is no button is sent all the same.

        Clients can send any data.  Gives the id of the press.
        """
        room = self._room(chat)
        stored = room.chat.messages[id_of(message)]
        rows = stored.content.get("reply_markup", {}).get("inline_keyboard", [])
        labels = {one["text"]: one.get("callback_data", "") for row in rows for one in row}
        press = Press(str(4_000_000_000_000 + self._world.state.number()), self._world.now())
        self._world.state.presses[press.id] = press
        shown = stored.content
        if stored.is_deleted:
            shown = {key: shown[key] for key in ("message_id", "chat")} | {"date": 0}
        self._world.push(
            "callback_query",
            {
                "id": press.id,
                "from": self.user,
                "message": shown,
                "chat_instance": str(self.id),
                "data": labels.get(button, button),
            },
        )
        return press.id

    def forwards(
        self,
        text: str,
        *,
        origin: Json | None = None,
        comment: str | None = None,
        chat: Room | int | None = None,
    ) -> Json:
        """Forward somebody's text; a comment is a message of its own just before it."""
        if comment is not None:
            self.writes(comment, chat=chat)
        stranger = {"id": 5550001, "is_bot": False, "first_name": "Somebody"}
        shown = origin or {"type": "user", "sender_user": stranger}
        return self.writes(
            text, chat=chat, extra={"forward_origin": {"date": self._world.seconds(), **shown}}
        )

    # ---- files

    def sends(  # noqa: PLR0913 - what a file may come with
        self,
        kind: str,
        name: str,
        content: bytes,
        *,
        caption: str = "",
        mime: str = "",
        size: int | None = None,
        chat: Room | int | None = None,
        thread: int | None = None,
        extra: Json | None = None,
    ) -> Json:
        """Send a photo, document, voice message, audio or video; `size` may claim more."""
        room = self._room(chat)
        file = self._world.store_file(kind, name, content, mime=mime, size=size)
        message = {**room._placed(None, thread), **media_json(self._world, file)}  # noqa: SLF001 - a room
        if caption:
            message["caption"] = caption
            if entities := entities_in(caption):
                message["caption_entities"] = entities
        return room._enters(self.user, message | (extra or {}), (file.file_id,))  # noqa: SLF001 - a room

    def sends_document(self, name: str, content: bytes, caption: str = "") -> Json:
        """Send a file as it is."""
        return self.sends("document", name, content, caption=caption)

    def sends_photo(self, content: bytes, caption: str = "") -> Json:
        """Send a picture."""
        return self.sends("photo", "photo.jpg", content, caption=caption, mime="image/jpeg")

    def sends_voice(self, content: bytes) -> Json:
        """Send a voice message."""
        return self.sends("voice", "voice.oga", content, mime="audio/ogg")

    def sends_album(self, files: Sequence[tuple[str, str, bytes]], caption: str = "") -> list[Json]:
        """Send several files as one: (kind, name, content); the caption stands with the first."""
        extra = {"media_group_id": str(self._world.state.number())}
        return [
            self.sends(kind, name, content, caption="" if number else caption, extra=extra)
            for number, (kind, name, content) in enumerate(files)
        ]

    # ---- standing

    def blocks(self) -> None:
        """Block the bot."""
        self.chat.refusal = "blocked"
        self._membership(self.user, "member", "kicked")

    def unblocks(self) -> None:
        """Let the bot write again."""
        self.chat.refusal = ""
        self._membership(self.user, "kicked", "member")

    def vanishes(self) -> None:
        """Delete the account."""
        self.chat.refusal = "deactivated"

    def reacts(self, message: MessageLike, emoji: str) -> None:
        """Put an emoji under a message; bots are told only if they asked for it."""
        self._world.push(
            "message_reaction",
            {
                "chat": self._world.chat_json(self.chat),
                "message_id": id_of(message),
                "user": self.user,
                "date": self._world.seconds(),
                "old_reaction": [],
                "new_reaction": [{"type": "emoji", "emoji": emoji}],
            },
        )

    def closes_topic(self, thread: int, *, chat: Room | int | None = None) -> None:
        """Close a topic: the bot may not write there."""
        self._room(chat).chat.topics[thread]["is_closed"] = True

    def opens_topic(self, name: str, *, chat: Room | int | None = None) -> int:
        """Open a topic; gives its number."""
        return self._room(chat)._opens_topic(name, self.user)  # noqa: SLF001 - a room


class Group(Room):
    """A group, supergroup or channel, and what happens in it without a visible person."""

    def joins(self, person: Person, status: str = "member") -> None:
        """Add somebody."""
        self.chat.members[person.id] = status

    def adds_bot(self, by: Person, status: str = "member") -> None:
        """Add the bot, or change what it may."""
        old = self.chat.members.get(self._world.bot_id, "left")
        self.chat.refusal = ""
        self._membership(by.user, old, status)

    def kicks_bot(self, by: Person) -> None:
        """Throw the bot out."""
        old = self.chat.members.get(self._world.bot_id, "member")
        self._membership(by.user, old, "kicked")
        self.chat.refusal = f"kicked_{self.chat.kind}"

    def upgrades(self) -> Group:
        """Become a supergroup: another id, the old one is refused with it."""
        new = Chat(
            id=-(1_000_000_000_000 + self._world.state.number()),
            kind="supergroup",
            title=self.chat.title,
            members=dict(self.chat.members),
            last_message_id=1,
        )
        self._world.state.chats[new.id] = new
        self._enters(ANONYMOUS_ADMIN, {"migrate_to_chat_id": new.id})
        self.chat.migrated_to = new.id
        group = Group(self._world, new.id)
        group._enters(ANONYMOUS_ADMIN, {"migrate_from_chat_id": self.id})
        return group

    def writes_anonymously(self, text: str) -> Json:
        """An administrator writes in the name of the group."""
        return self._speaks(ANONYMOUS_ADMIN, self._world.chat_json(self.chat), text)

    def writes_as_channel(self, channel: Group, text: str) -> Json:
        """Somebody writes in the name of a channel."""
        return self._speaks(CHANNEL_BOT, self._world.chat_json(channel.chat), text)

    def copies_post(self, channel: Group, text: str) -> Json:
        """A post of the linked channel comes in by itself."""
        origin = self._world.chat_json(channel.chat)
        return self._speaks(TELEGRAM, origin, text, {"is_automatic_forward": True})

    def posts(self, text: str) -> Json:
        """A post in a channel."""
        content: Json = {"sender_chat": self._world.chat_json(self.chat), "text": text}
        return self._enters(None, content, kind="channel_post")

    def _speaks(self, sender: Json, chat: Json, text: str, extra: Json | None = None) -> Json:
        content: Json = {"sender_chat": chat, "text": text}
        if entities := entities_in(text):
            content["entities"] = entities
        return self._enters(sender, content | (extra or {}))
