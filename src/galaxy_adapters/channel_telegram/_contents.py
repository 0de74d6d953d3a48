"""What a message holds besides its text: files, and things that are told in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from galaxy_adapters.channel_telegram._json import Object, an_object, number, objects, text
from galaxy_core.domain.message import FileKind, Quote, RemoteFile

_KINDS: Mapping[str, FileKind] = {
    "voice": FileKind.VOICE,
    "audio": FileKind.AUDIO,
    "video": FileKind.VIDEO,
    "video_note": FileKind.VIDEO,
    "animation": FileKind.VIDEO,
    "document": FileKind.DOCUMENT,
}
_MIMES: Mapping[str, str] = {
    "photo": "image/jpeg",
    "voice": "audio/ogg",
    "video": "video/mp4",
    "video_note": "video/mp4",
    "animation": "video/mp4",
}
"""Where Telegram names none."""

_OWN_WORDS = 600
"""Characters of a message of ours that are quoted when somebody answers it."""
_ENVELOPE = frozenset(
    {
        *("message_id", "message_thread_id", "from", "sender_chat", "chat", "date", "edit_date"),
        *("forward_origin", "reply_to_message", "external_reply", "quote", "reply_to_story"),
        *("via_bot", "sender_business_bot", "link_preview_options", "reply_markup", "entities"),
        *("caption_entities", "direct_messages_topic", "suggested_post_info"),
        *("forward_from", "forward_from_chat", "effect_id", "author_signature", "origin"),
    }
)
"""Objects of a message that are not what it says."""
_SERVICE_WORDS = (
    *("new_chat_", "left_chat_", "delete_chat_", "group_chat_created", "supergroup_chat_"),
    *("channel_chat_", "message_auto_delete", "migrate_", "pinned_message", "forum_topic_"),
    *("general_forum_", "video_chat_", "users_shared", "chat_shared", "write_access_allowed"),
    *("boost_added", "chat_background", "giveaway", "proximity_alert", "connected_website"),
    *("successful_payment", "refunded_payment", "passport_data", "paid_message_price"),
    *("direct_message_price", "chat_owner_", "gift", "unique_gift", "suggested_post_"),
    *("checklist_tasks_", "web_app_data", "managed_bot_"),
)


def files_of(message: Object) -> tuple[RemoteFile, ...]:
    """The file of a message, if it has one that can be fetched."""
    photos = [p for p in objects(message.get("photo")) if text(p.get("file_id"))]
    if photos:
        largest = max(photos, key=lambda p: (number(p.get("width")) or 0, _size(p) or 0))
        return (_file("photo", FileKind.PHOTO, largest),)
    for name, kind in _KINDS.items():
        found = an_object(message.get(name))
        # An animation comes with a `document` of its own, for old bots: the same file.
        if text(found.get("file_id")):
            return (_file(name, kind, found),)
    sticker = an_object(message.get("sticker"))
    if text(sticker.get("file_id")):
        return (_sticker_file(sticker),)
    return ()


def _file(name: str, kind: FileKind, found: Object) -> RemoteFile:
    return RemoteFile(
        id=text(found.get("file_id")),
        kind=kind,
        name=text(found.get("file_name")) or None,
        mime=text(found.get("mime_type")) or _MIMES.get(name),
        size=_size(found),
    )


def _sticker_file(sticker: Object) -> RemoteFile:
    kind, mime, name = FileKind.PHOTO, "image/webp", "sticker.webp"
    if sticker.get("is_animated") is True:
        kind, mime, name = FileKind.DOCUMENT, "application/x-tgsticker", "sticker.tgs"
    elif sticker.get("is_video") is True:
        kind, mime, name = FileKind.VIDEO, "video/webm", "sticker.webm"
    return RemoteFile(
        id=text(sticker.get("file_id")), kind=kind, name=name, mime=mime, size=_size(sticker)
    )


def _size(found: Object) -> int | None:
    size = number(found.get("file_size"))
    return size if size is not None and size >= 0 else None


def words_of(message: Object) -> str:
    """What a message without text says, in words; empty for service messages and files."""
    for name, tell in _TELLERS.items():
        content = message.get(name)
        if isinstance(content, dict):
            told = tell(content)
            return f"({told})"
    if files_of(message) or any(key.startswith(_SERVICE_WORDS) for key in message):
        return ""
    unknown = [
        key
        for key, value in message.items()
        if isinstance(value, dict | list) and key not in _ENVELOPE
    ]
    return f"(something that this bot cannot read: {text(unknown[0])[:64]})" if unknown else ""


def _place(content: Object) -> str:
    where = an_object(content.get("location")) or content
    return f"{where.get('latitude', '?')!s:.12}, {where.get('longitude', '?')!s:.12}"


def _contact(content: Object) -> str:
    number_ = text(content.get("phone_number"))
    return f"contact: {name_of(content) or 'no name'}{', ' if number_ else ''}{number_}"


def _poll(content: Object) -> str:
    options = [text(option.get("text")) for option in objects(content.get("options"))]
    return f"poll: {text(content.get('question'))} " + " / ".join(options)


def _checklist(content: Object) -> str:
    tasks = [
        f"[{'x' if 'completion_date' in task else ' '}] {text(task.get('text'))}"
        for task in objects(content.get("tasks"))
    ]
    return "\n".join([f"checklist: {text(content.get('title'))}", *tasks])


_TELLERS: Mapping[str, Callable[[Object], str]] = {
    "sticker": lambda c: " ".join(filter(None, ("sticker", text(c.get("emoji"))))),
    "contact": _contact,
    "venue": lambda c: f"place: {text(c.get('title'))}, {text(c.get('address'))}, at {_place(c)}",
    "location": lambda c: f"location: {_place(c)}",
    "poll": _poll,
    "dice": lambda c: f"dice {text(c.get('emoji'))}: {number(c.get('value'))}",
    "checklist": _checklist,
    "game": lambda c: f"game: {text(c.get('title'))}",
    "invoice": lambda c: f"invoice: {text(c.get('title'))}",
    "story": lambda c: f"story of {name_of(an_object(c.get('chat'))) or 'somebody'}",
    "paid_media": lambda _: "media that have to be paid for",
}
"""In this order: a venue comes with its location."""


def name_of(who: Object) -> str:
    """A person or a chat, for people."""
    parts = (text(who.get("first_name")), text(who.get("last_name")))
    name = " ".join(filter(None, (part.strip() for part in parts))) or text(who.get("title"))
    if name:
        return name
    username = text(who.get("username"))
    return f"@{username}" if username else ""


def origin_of(message: Object) -> str:
    """Who wrote what was forwarded, for people."""
    return _author(an_object(message.get("forward_origin"))) or (
        name_of(an_object(message.get("forward_from")))
        or name_of(an_object(message.get("forward_from_chat")))
        or text(message.get("forward_sender_name"))
    )


def _author(origin: Object) -> str:
    for key in ("sender_user", "sender_chat", "chat"):
        if name := name_of(an_object(origin.get(key))):
            return name
    return text(origin.get("sender_user_name"))


def said(message: Object) -> str:
    """What a message says: text, caption, or a description of what it is."""
    written = text(message.get("text")) or text(message.get("caption"))
    if written:
        return written
    if told := words_of(message):
        return told
    files = files_of(message)
    return f"({files[0].name or files[0].kind.value})" if files else ""


def quotes_of(message: Object, bot_id: int) -> tuple[Quote, ...]:
    """Words that the message answers: the part that the person picked, else all of it.

    Of our own only the beginning: an alert, or what was said before a new session began, is
    nothing that the conversation knows; what it knows is recognised by that much.
    """
    answered = an_object(message.get("reply_to_message"))
    elsewhere = an_object(message.get("external_reply"))
    if "forum_topic_created" in answered or not (answered or elsewhere or "quote" in message):
        return ()
    author = name_of(an_object(answered.get("sender_chat")) or an_object(answered.get("from")))
    author = author or _author(an_object(elsewhere.get("origin")))
    picked = text(an_object(message.get("quote")).get("text"))
    if picked:
        return (Quote(text=picked, author=author),)
    whole = said(answered) if answered else said(elsewhere) or "(a message from another chat)"
    is_own = number(an_object(answered.get("from")).get("id")) == bot_id
    if is_own and len(whole) > _OWN_WORDS:
        whole = f"{whole[:_OWN_WORDS]}\u2026"
    return (Quote(text=whole, author=author),) if whole else ()
