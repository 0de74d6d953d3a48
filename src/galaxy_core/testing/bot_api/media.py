"""Methods that send files, by upload or by the id of a file that the server has."""

from __future__ import annotations

import struct

from galaxy_core.testing.bot_api.arguments import Arguments
from galaxy_core.testing.bot_api.errors import bad_request
from galaxy_core.testing.bot_api.sending import author, body, placement
from galaxy_core.testing.bot_api.state import Json, StoredFile
from galaxy_core.testing.bot_api.world import World

KINDS = ("photo", "document", "audio", "voice", "video")
_LARGEST_PHOTO = 10 * 1024 * 1024
_LONGEST_SIDES = 10_000
_STEEPEST_RATIO = 20
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM")
_LARGEST_GROUP = 10
_ALONE = {"document", "audio"}
"""Kinds that form albums only among themselves."""


def send_file(world: World, a: Arguments, kind: str) -> Json:
    """Send one file."""
    chat = world.writable(a.text("chat_id"))
    content = placement(world, chat, a)
    file = _file(world, a, kind, kind)
    content |= body(a, "caption") | media_json(world, file)
    return world.add(chat, author(world, chat), content, (file.file_id,), is_outgoing=True)


def send_media_group(world: World, a: Arguments) -> list[Json]:
    """Send an album: 2 to 10 files, documents only with documents, music with music."""
    chat = world.writable(a.text("chat_id"))
    placed = placement(world, chat, Arguments({**a.values, "reply_markup": None}))
    media = a.objects("media", "media")
    if not media:
        raise bad_request("there are no messages to send")
    if len(media) > _LARGEST_GROUP:
        raise bad_request("too many messages to send as an album")
    if len(media) == 1:  # the original is kinder than its documentation
        raise bad_request("media group must include 2-10 items")
    if not all(isinstance(item, dict) and item.get("type") in KINDS for item in media):
        raise bad_request("can't parse InputMedia: Unsupported type specified")
    kinds = {item["type"] for item in media}
    if "voice" in kinds:
        raise bad_request("can't use the media of the specified type in the album")
    if len(kinds) > 1 and (mixed := sorted(kinds & _ALONE)):
        raise bad_request(f"{mixed[-1].capitalize()} can't be mixed with other media types")
    prepared = [_item(world, a, item) for item in media]  # all or nothing
    group = str(world.state.number())
    return [
        world.add(
            chat,
            author(world, chat),
            {"media_group_id": group, **placed, **content},
            (file.file_id,),
            is_outgoing=True,
        )
        for file, content in prepared
    ]


def _item(world: World, a: Arguments, item: Json) -> tuple[StoredFile, Json]:
    inner = Arguments(item, a.uploads)
    file = _file(world, inner, "media", item["type"])
    return file, body(inner, "caption") | media_json(world, file)


def _file(world: World, a: Arguments, name: str, kind: str) -> StoredFile:
    reference = a.text(name)
    upload = a.uploads.get(reference.removeprefix("attach://") if reference else name)
    if upload is None:
        if reference.startswith("attach://") or not reference:
            raise bad_request(f"there is no {kind} in the request")
        if reference.startswith(("http://", "https://")):
            raise bad_request("failed to get HTTP URL content")
        known = world.state.files.get(reference)
        if known is None:
            raise bad_request("wrong file identifier/HTTP URL specified")
        if known.kind != kind:
            raise bad_request(
                f"can't use file of type {known.kind.capitalize()} as {kind.capitalize()}"
            )
        return known
    if not upload.content:
        raise bad_request("file must be non-empty")
    if kind == "photo":
        _check_photo(upload.content)
    return world.store_file(kind, upload.name or kind, upload.content, mime=upload.mime)


def _check_photo(content: bytes) -> None:
    if len(content) > _LARGEST_PHOTO:
        raise bad_request("file is too big for a photo")
    if not content.startswith(_IMAGES):
        raise bad_request("IMAGE_PROCESS_FAILED")
    width, height = _size(content)
    if width + height > _LONGEST_SIDES or max(width, height) > _STEEPEST_RATIO * min(width, height):
        raise bad_request("PHOTO_INVALID_DIMENSIONS")


def _size(content: bytes) -> tuple[int, int]:
    """Width and height: read from a PNG's head, else assumed."""
    if content.startswith(b"\x89PNG") and len(content) >= 24:
        width, height = struct.unpack(">II", content[16:24])
        return max(width, 1), max(height, 1)
    return 640, 480


def media_json(world: World, file: StoredFile) -> Json:
    """The members of a message that hold a file."""
    common = world.file_json(file)
    match file.kind:
        case "photo":
            width, height = _size(file.content)
            small = common | {
                "file_id": f"{file.file_id}_s",
                "file_unique_id": f"{file.unique_id}s",
                "file_size": min(file.size, 1200),
            }
            small |= {"width": min(width, 90), "height": min(height, 90)}
            return {"photo": [small, common | {"width": width, "height": height}]}
        case "voice":
            return {"voice": common | {"duration": 3, "mime_type": file.mime}}
        case "audio":
            named = {"file_name": file.name, "mime_type": file.mime}
            return {"audio": common | {"duration": 3} | named}
        case "video":
            named = {"file_name": file.name, "mime_type": file.mime}
            return {"video": common | {"width": 640, "height": 480, "duration": 3} | named}
        case _:
            return {"document": common | {"file_name": file.name, "mime_type": file.mime}}
