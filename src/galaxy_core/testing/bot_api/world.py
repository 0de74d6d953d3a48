"""Chats, messages and files as they are now, and the rules about who may do what where."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable
from datetime import datetime

from galaxy_core.testing.bot_api.errors import ApiError, bad_request
from galaxy_core.testing.bot_api.state import Chat, Json, State, Stored, StoredFile

_FOLDERS = {"photo": "photos", "voice": "voice", "audio": "music", "video": "videos"}
FORBIDDEN = {
    "blocked": "Forbidden: bot was blocked by the user",
    "deactivated": "Forbidden: user is deactivated",
    "kicked_group": "Forbidden: bot was kicked from the group chat",
    "kicked_supergroup": "Forbidden: bot was kicked from the supergroup chat",
    "kicked_channel": "Forbidden: bot was kicked from the channel chat",
    "left_group": "Forbidden: bot is not a member of the group chat",
    "left_supergroup": "Forbidden: bot is not a member of the supergroup chat",
    "left_channel": "Forbidden: bot is not a member of the channel chat",
}


class World:
    """What is true on the server; `push` tells the bot of something."""

    def __init__(
        self, state: State, now: Callable[[], datetime], push: Callable[[str, Json], object]
    ) -> None:
        self.state = state
        self.now = now
        self.push = push

    @property
    def bot_id(self) -> int:
        """The bot's user id."""
        return int(self.state.bot["id"])

    def bot_user(self) -> Json:
        """The bot as it stands in messages."""
        return {key: self.state.bot[key] for key in ("id", "is_bot", "first_name", "username")}

    # ---- chats

    def chat(self, wanted: str) -> Chat:
        """The chat of a call, where the bot may still be refused; raises `ApiError`."""
        if not wanted:
            raise bad_request("chat_id is empty")
        try:
            found = self.state.chats.get(int(wanted))
        except ValueError:
            found = self._named(wanted)
        if found is None:
            raise bad_request("chat not found")
        if found.migrated_to is not None:
            raise ApiError(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
                {"migrate_to_chat_id": found.migrated_to},
            )
        return found

    def writable(self, wanted: str) -> Chat:
        """The chat of a call, which the bot may write to; raises `ApiError`."""
        chat = self.chat(wanted)
        if chat.refusal:
            raise ApiError(403, FORBIDDEN[chat.refusal])
        return chat

    def _named(self, name: str) -> Chat | None:
        if not name.startswith("@"):
            return None
        for chat in self.state.chats.values():
            if chat.kind != "private" and chat.title == name[1:]:
                return chat
        return None

    def chat_json(self, chat: Chat) -> Json:
        """A chat as it stands in messages."""
        content: Json = {"id": chat.id}
        if chat.kind == "private":
            user = self.state.users[chat.id]
            names = ("first_name", "last_name", "username")
            content |= {key: user[key] for key in names if key in user}
        else:
            content["title"] = chat.title
        content["type"] = chat.kind
        if chat.is_forum:
            content["is_forum"] = True
        if chat.kind == "group":
            content["all_members_are_administrators"] = False
        return content

    # ---- messages

    def seconds(self) -> int:
        """The time of day as Telegram writes it."""
        return int(self.now().timestamp())

    def add(
        self,
        chat: Chat,
        sender: Json | None,
        content: Json,
        files: tuple[str, ...] = (),
        *,
        is_outgoing: bool = False,
    ) -> Json:
        """Put a message into a chat; gives it whole."""
        if chat.kind in {"private", "group"}:
            self.state.box_message_id += 1
            chat.last_message_id = self.state.box_message_id
        else:
            chat.last_message_id += 1
        message: Json = {"message_id": chat.last_message_id}
        if sender is not None:
            message["from"] = sender
        message |= {"chat": self.chat_json(chat), "date": self.seconds(), **content}
        chat.messages[chat.last_message_id] = Stored(message, is_outgoing, files)
        return message

    def message(self, chat: Chat, message_id: int) -> Stored | None:
        """A message that is still there."""
        found = chat.messages.get(message_id)
        return None if found is None or found.is_deleted else found

    def quoted(self, chat: Chat, message_id: int) -> Json | None:
        """A message as it stands in the answer to it: without what it answered itself."""
        found = self.message(chat, message_id)
        if found is None:
            return None
        return {key: value for key, value in found.content.items() if key != "reply_to_message"}

    def check_thread(self, chat: Chat, thread: int) -> Json:
        """The members of a message that put it into a topic; raises `ApiError`."""
        if not thread:
            return {}
        # The general topic has the number 1, which is not taken here: leave it out.
        if thread not in chat.topics:
            raise bad_request("message thread not found")
        if chat.topics[thread].get("is_closed"):
            raise bad_request("TOPIC_CLOSED")
        return {"message_thread_id": thread, "is_topic_message": True}

    # ---- files

    def store_file(
        self, kind: str, name: str, content: bytes, *, mime: str = "", size: int | None = None
    ) -> StoredFile:
        """Keep a file; `size` may claim more than there is."""
        number = self.state.number()
        suffix = name.rpartition(".")[2] if "." in name else "bin"
        file = StoredFile(
            file_id=f"BQACAgIAAxkBAAI{number}_{kind}",
            unique_id=f"AgAD{number}",
            kind=kind,
            name=name,
            mime=mime or mimetypes.guess_type(name)[0] or "application/octet-stream",
            content=content,
            size=len(content) if size is None else size,
            path=f"{_FOLDERS.get(kind, 'documents')}/file_{number}.{suffix}",
        )
        self.state.files[file.file_id] = file
        return file

    def file_json(self, file: StoredFile) -> Json:
        """The members that every kind of file has."""
        return {
            "file_id": file.file_id,
            "file_unique_id": file.unique_id,
            "file_size": file.size,
        }
