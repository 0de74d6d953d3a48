"""Methods that write: texts, edits, deletions, actions, drafts, reactions."""

from __future__ import annotations

from datetime import timedelta

from galaxy_core.testing.bot_api.arguments import Arguments
from galaxy_core.testing.bot_api.errors import bad_request
from galaxy_core.testing.bot_api.keyboards import checked_markup
from galaxy_core.testing.bot_api.markup import parsed
from galaxy_core.testing.bot_api.state import Chat, Json, Stored
from galaxy_core.testing.bot_api.texts import LONGEST_CAPTION, LONGEST_TEXT, visible_text
from galaxy_core.testing.bot_api.world import World

_ACTIONS = frozenset(
    {
        *("typing", "upload_photo", "record_video", "upload_video", "record_voice"),
        *("upload_voice", "upload_document", "choose_sticker", "find_location"),
        *("record_video_note", "upload_video_note"),
    }
)
_DELETABLE_FOR = timedelta(hours=48)


def send_message(world: World, a: Arguments) -> Json:
    """Write a text."""
    content = body(a, "text")  # looked at before the chat is
    chat = world.writable(a.text("chat_id"))
    placed = placement(world, chat, a)
    return world.add(chat, author(world, chat), placed | content, is_outgoing=True)


def author(world: World, chat: Chat) -> Json | None:
    """Who stands as the sender of the bot's messages: nobody in channels."""
    return None if chat.kind == "channel" else world.bot_user()


def placement(world: World, chat: Chat, a: Arguments) -> Json:
    """Where a message belongs, and its buttons."""
    content = world.check_thread(chat, a.integer("message_thread_id"))
    reply = a.structure("reply_parameters", "reply parameters")
    if reply is None and a.has("reply_to_message_id"):
        reply = {
            "message_id": a.integer("reply_to_message_id"),
            "allow_sending_without_reply": a.flag("allow_sending_without_reply"),
        }
    if reply is not None:
        if not isinstance(reply, dict) or not isinstance(reply.get("message_id"), int):
            raise bad_request('Can\'t find field "message_id"')
        quoted = world.quoted(chat, reply["message_id"])
        if quoted is not None:
            content["reply_to_message"] = quoted
        elif not reply.get("allow_sending_without_reply"):
            raise bad_request("message to be replied not found")
    if markup := checked_markup(a.structure("reply_markup", "reply keyboard markup")):
        content["reply_markup"] = markup
    if a.flag("protect_content"):
        content["has_protected_content"] = True
    return content


def body(a: Arguments, kind: str) -> Json:
    """Text or caption with its entities; raises `ApiError`."""
    name = "entities" if kind == "text" else "caption_entities"
    text = a.text(kind)
    if kind == "text" and not text:
        raise bad_request("message text is empty")
    mode = a.text("parse_mode")
    if mode:
        text, entities = parsed(text, mode)
    else:
        entities = a.objects(name, name)
    longest, what = (
        (LONGEST_TEXT, "message") if kind == "text" else (LONGEST_CAPTION, "message caption")
    )
    text, entities = visible_text(text, entities, longest, what)
    if kind == "text" and not text:
        raise bad_request("text must be non-empty")
    content: Json = {kind: text} if text else {}
    if entities:
        content[name] = entities
    return content


# ---- edits


def edit_message_text(world: World, a: Arguments) -> Json:
    """Give a text another one; without buttons in the call it has none afterwards."""
    stored = _editable(world, a)
    if "text" not in stored.content:
        raise bad_request("there is no text in the message to edit")
    return _edit(world, a, stored, body(a, "text"), ("text", "entities"))


def edit_message_caption(world: World, a: Arguments) -> Json:
    """Give a file another caption."""
    stored = _editable(world, a)
    if not stored.files:
        raise bad_request("there is no caption in the message to edit")
    return _edit(world, a, stored, body(a, "caption"), ("caption", "caption_entities"))


def edit_message_reply_markup(world: World, a: Arguments) -> Json:
    """Give a message other buttons, or none."""
    return _edit(world, a, _editable(world, a), {}, ())


def _editable(world: World, a: Arguments) -> Stored:
    chat = world.writable(a.text("chat_id"))
    stored = world.message(chat, a.integer("message_id"))
    if stored is None:
        raise bad_request("message to edit not found")
    if not stored.is_outgoing:
        raise bad_request("message can't be edited")
    return stored


def _edit(world: World, a: Arguments, stored: Stored, new: Json, replaced: tuple[str, ...]) -> Json:
    markup = checked_markup(a.structure("reply_markup", "reply keyboard markup"))
    if markup:
        new = new | {"reply_markup": markup}
    gone = {*replaced, "reply_markup"}
    old = {key: value for key, value in stored.content.items() if key in gone}
    if old == new:
        raise bad_request(
            "message is not modified: specified new message content and reply markup are exactly"
            " the same as a current content and reply markup of the message"
        )
    kept = {key: value for key, value in stored.content.items() if key not in gone}
    stored.content = kept | new
    if replaced:
        stored.content["edit_date"] = world.seconds()
    stored.edits += 1
    return stored.content


def delete_message(world: World, a: Arguments) -> bool:
    """Delete a message: the bot's own, and in private chats people's, of the last 48 hours."""
    chat = world.writable(a.text("chat_id"))
    stored = world.message(chat, a.integer("message_id"))
    if stored is None:
        raise bad_request("message to delete not found")
    age = timedelta(seconds=world.seconds() - stored.content["date"])
    is_allowed = (
        stored.is_outgoing
        or chat.kind == "private"
        or chat.members.get(world.bot_id) == "administrator"
    )
    if not is_allowed or age > _DELETABLE_FOR:
        raise bad_request("message can't be deleted")
    stored.is_deleted = True
    return True


# ---- the rest


def send_chat_action(world: World, a: Arguments) -> bool:
    """Show that the bot is typing."""
    chat = world.writable(a.text("chat_id"))
    action = a.text("action")
    if action not in _ACTIONS:
        raise bad_request("wrong parameter action in request")
    thread = a.integer("message_thread_id")
    if not (thread == 1 and chat.is_forum):  # here the general topic may be named
        world.check_thread(chat, thread)
    chat.actions.append(action)
    return True


def send_message_draft(world: World, a: Arguments) -> bool:
    """Show a part of an answer in a private chat; an empty text shows "Thinking..."."""
    chat = world.writable(a.text("chat_id"))
    if chat.kind != "private":
        raise bad_request("PEER_ID_INVALID")
    draft_id = a.integer("draft_id")
    if not draft_id:
        raise bad_request("DRAFT_ID_INVALID")
    world.check_thread(chat, a.integer("message_thread_id"))
    text = a.text("text")
    chat.drafts[draft_id] = body(a, "text") if text else {"text": ""}
    return True


def set_message_reaction(world: World, a: Arguments) -> bool:
    """Put an emoji under a message."""
    chat = world.writable(a.text("chat_id"))
    stored = world.message(chat, a.integer("message_id"))
    if stored is None:
        raise bad_request("message to react not found")
    reactions = a.objects("reaction", "reaction")
    if len(reactions) > 1:
        raise bad_request("REACTIONS_TOO_MANY")
    for reaction in reactions:
        if not isinstance(reaction, dict) or reaction.get("type") not in {"emoji", "custom_emoji"}:
            raise bad_request("REACTION_INVALID")
    chat.actions.append(f"reaction {stored.content['message_id']} {reactions}")
    return True
