"""Methods about the bot itself, chats, members, topics, commands, presses and files."""

from __future__ import annotations

import re
from datetime import timedelta

from galaxy_core.testing.bot_api.arguments import Arguments
from galaxy_core.testing.bot_api.errors import ApiError, bad_request
from galaxy_core.testing.bot_api.state import Chat, Json
from galaxy_core.testing.bot_api.world import World

_LARGEST_DOWNLOAD = 20 << 20
_MOST_COMMANDS = 100
_LONGEST_DESCRIPTION = 256
_LONGEST_ANSWER = 200
_LONGEST_TOPIC = 128
_CHAT_SCOPES = {"chat", "chat_administrators", "chat_member"}
_SCOPES = {
    *("default", "all_private_chats", "all_group_chats", "all_chat_administrators"),
    *_CHAT_SCOPES,
}


def get_me(world: World, a: Arguments) -> Json:
    """Who the bot is."""
    del a
    return world.state.bot


def log_out(world: World, a: Arguments) -> bool:
    """Leave this server."""
    del a
    world.state.is_logged_out = True
    return True


def get_chat(world: World, a: Arguments) -> Json:
    """A chat with its details."""
    chat = world.chat(a.text("chat_id"))
    return world.chat_json(chat) | {"accent_color_id": 0, "max_reaction_count": 11}


def get_chat_member(world: World, a: Arguments) -> Json:
    """How somebody stands to a chat."""
    chat = world.writable(a.text("chat_id"))
    user_id = a.integer("user_id")
    if user_id == world.bot_id:
        user = world.bot_user()
    elif user_id in world.state.users:
        user = world.state.users[user_id]
    else:
        raise bad_request("PARTICIPANT_ID_INVALID")
    return member_json(user, chat.members.get(user_id, "left"))


def member_json(user: Json, status: str) -> Json:
    """A member as the API writes it."""
    content: Json = {"user": user, "status": status}
    match status:
        case "creator":
            content["is_anonymous"] = False
        case "administrator":
            rights = (
                *("can_manage_chat", "can_delete_messages", "can_manage_video_chats"),
                *("can_restrict_members", "can_promote_members", "can_change_info"),
                *("can_invite_users", "can_post_stories", "can_edit_stories"),
                *("can_delete_stories", "can_manage_topics"),
            )
            content |= {"can_be_edited": False, "is_anonymous": False}
            content |= dict.fromkeys(rights, True)
        case "kicked":
            content["until_date"] = 0
        case _:
            pass
    return content


def leave_chat(world: World, a: Arguments) -> bool:
    """Leave a group or channel."""
    chat = world.writable(a.text("chat_id"))
    if chat.kind == "private":
        raise bad_request("chat member status can't be changed in private chats")
    chat.members[world.bot_id] = "left"
    chat.refusal = f"left_{chat.kind}"
    return True


def create_forum_topic(world: World, a: Arguments) -> Json:
    """Open a topic."""
    chat = world.writable(a.text("chat_id"))
    name = a.text("name")
    if not 1 <= len(name) <= _LONGEST_TOPIC:
        raise bad_request("TOPIC_TITLE_EMPTY" if not name else "TOPIC_TITLE_TOO_LONG")
    if chat.kind == "private":
        is_allowed = bool(world.state.bot.get("has_topics_enabled"))
    else:
        is_allowed = chat.is_forum
        if is_allowed and chat.members.get(world.bot_id) != "administrator":
            raise bad_request("not enough rights to create a topic")
    if not is_allowed:
        raise bad_request("the chat is not a forum")
    return add_topic(world, chat, name, world.bot_user(), is_outgoing=True)


def add_topic(world: World, chat: Chat, name: str, by: Json, *, is_outgoing: bool = False) -> Json:
    """Open a topic; its number is that of the service message that says so."""
    look: Json = {"name": name, "icon_color": 7322096}
    message = world.add(chat, by, {"forum_topic_created": look}, is_outgoing=is_outgoing)
    thread = message["message_id"]
    message |= {"message_thread_id": thread, "is_topic_message": True}
    chat.topics[thread] = look
    return {"message_thread_id": thread, **look}


# ---- commands


def set_my_commands(world: World, a: Arguments) -> bool:
    """Set the menu of a scope."""
    key = _scope_key(world, a)
    commands = a.objects("commands", "commands")
    if len(commands) > _MOST_COMMANDS:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    for command in commands:
        if not isinstance(command, dict):
            raise bad_request("expected an Array of BotCommand")
        if not re.fullmatch(r"[a-z0-9_]{1,32}", str(command.get("command", "")).lstrip("/")):
            raise bad_request("BOT_COMMAND_INVALID")
        if not 1 <= len(str(command.get("description", ""))) <= _LONGEST_DESCRIPTION:
            raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    world.state.commands[key] = [
        {"command": one["command"].lstrip("/"), "description": one["description"]}
        for one in commands
    ]
    return True


def get_my_commands(world: World, a: Arguments) -> list[Json]:
    """The menu of a scope."""
    return world.state.commands.get(_scope_key(world, a), [])


def delete_my_commands(world: World, a: Arguments) -> bool:
    """Forget the menu of a scope."""
    world.state.commands.pop(_scope_key(world, a), None)
    return True


def _scope_key(world: World, a: Arguments) -> str:
    scope = a.structure("scope", "BotCommandScope") or {"type": "default"}
    kind = scope.get("type") if isinstance(scope, dict) else None
    if kind not in _SCOPES:
        raise bad_request("can't parse BotCommandScope: Unsupported type specified")
    key = [kind]
    if kind in _CHAT_SCOPES:
        if "chat_id" not in scope:
            raise bad_request("can't parse BotCommandScope: Can't find field \"chat_id\"")
        key.append(str(world.chat(str(scope["chat_id"])).id))
    if kind == "chat_member":
        if not isinstance(scope.get("user_id"), int):
            raise bad_request("can't parse BotCommandScope: Can't find field \"user_id\"")
        key.append(str(scope["user_id"]))
    return " ".join([*key, a.text("language_code")]).rstrip()


# ---- presses and files


def answer_callback_query(world: World, a: Arguments) -> bool:
    """Answer a press, once and soon."""
    press = world.state.presses.get(a.text("callback_query_id"))
    lives = timedelta(seconds=world.state.press_lives_seconds)
    if len(a.text("text")) > _LONGEST_ANSWER:
        raise bad_request("MESSAGE_TOO_LONG")
    if press is None or press.is_answered or world.now() - press.at > lives:
        raise bad_request("query is too old and response timeout expired or query ID is invalid")
    press.is_answered = True
    press.answer = {"text": a.text("text"), "show_alert": a.flag("show_alert")}
    return True


def get_file(world: World, a: Arguments) -> Json:
    """Where a file can be fetched."""
    file = world.state.files.get(a.text("file_id"))
    if file is None:
        raise bad_request("invalid file_id")
    if file.size > _LARGEST_DOWNLOAD:
        raise bad_request("file is too big")
    file.is_link_given = True
    return world.file_json(file) | {"file_path": file.path}


def download(world: World, path: str) -> bytes:
    """The content of a file; raises `ApiError`."""
    for file in world.state.files.values():
        if file.path == path and file.is_link_given:
            return file.content
    raise ApiError(404, "Not Found")
