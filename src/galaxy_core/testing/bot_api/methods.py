"""The methods by name; names are compared without case, as in the real server."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from galaxy_core.testing.bot_api import chats, media, sending
from galaxy_core.testing.bot_api.arguments import Arguments
from galaxy_core.testing.bot_api.world import World

Method = Callable[[World, Arguments], object]

METHODS: dict[str, Method] = {
    "getMe": chats.get_me,
    "logOut": chats.log_out,
    "getChat": chats.get_chat,
    "getChatMember": chats.get_chat_member,
    "leaveChat": chats.leave_chat,
    "createForumTopic": chats.create_forum_topic,
    "setMyCommands": chats.set_my_commands,
    "getMyCommands": chats.get_my_commands,
    "deleteMyCommands": chats.delete_my_commands,
    "answerCallbackQuery": chats.answer_callback_query,
    "getFile": chats.get_file,
    "sendMessage": sending.send_message,
    "editMessageText": sending.edit_message_text,
    "editMessageCaption": sending.edit_message_caption,
    "editMessageReplyMarkup": sending.edit_message_reply_markup,
    "deleteMessage": sending.delete_message,
    "sendChatAction": sending.send_chat_action,
    "sendMessageDraft": sending.send_message_draft,
    "setMessageReaction": sending.set_message_reaction,
    "sendMediaGroup": media.send_media_group,
    **{f"send{kind.capitalize()}": partial(media.send_file, kind=kind) for kind in media.KINDS},
}

BY_NAME = {name.lower(): method for name, method in METHODS.items()}

PACED = frozenset(
    name
    for name in BY_NAME
    if name.startswith(("send", "edit")) and name not in {"sendchataction", "sendmessagedraft"}
)
"""Flood control counts these."""
