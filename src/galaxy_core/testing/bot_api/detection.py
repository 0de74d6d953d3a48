"""What Telegram finds in people's texts by itself, and which group messages reach a bot."""

from __future__ import annotations

import re

from galaxy_core.testing.bot_api.state import Chat, Json
from galaxy_core.testing.bot_api.texts import utf16_length
from galaxy_core.testing.bot_api.world import World

_PATTERNS = {
    "bot_command": re.compile(r"(?<![\w/])/[a-zA-Z0-9_]{1,64}(?:@\w{3,32})?"),
    "mention": re.compile(r"(?<!\w)@\w{3,32}"),
    "url": re.compile(r"https?://[^\s<>]+"),
    "hashtag": re.compile(r"(?<!\w)#[^\W\d]\w*"),
}
LONGEST = 4096


def entities_in(text: str) -> list[Json]:
    """Commands, mentions, addresses and hashtags."""
    found = [
        {
            "offset": utf16_length(text[: match.start()]),
            "length": utf16_length(match.group()),
            "type": kind,
        }
        for kind, pattern in _PATTERNS.items()
        for match in pattern.finditer(text)
    ]
    return sorted(found, key=lambda entity: entity["offset"])


def pasted(text: str) -> list[str]:
    """A long text as a client sends it: cut after every 4096 characters."""
    return [text[at : at + LONGEST] for at in range(0, len(text), LONGEST)]


def reaches_bot(world: World, chat: Chat, message: Json) -> bool:
    """Whether the bot is told of a group's message: privacy mode, as it is by default."""
    if chat.refusal:
        return False
    if chat.kind in {"private", "channel"} or world.state.bot["can_read_all_group_messages"]:
        return True
    if chat.members.get(world.bot_id) == "administrator":
        return True
    text = message.get("text", message.get("caption"))
    if text is None and not any(key in message for key in ("photo", "document", "voice", "audio")):
        return True  # a service message
    name = str(world.state.bot["username"]).lower()
    lowered = (text or "").lower()
    command = re.match(r"/[a-z0-9_]+(?:@(\w+))?", lowered)
    if command is not None:
        return command.group(1) in {None, name}
    answered = message.get("reply_to_message", {}).get("from", {}).get("id")
    return answered == world.bot_id or re.search(rf"@{name}\b", lowered) is not None
