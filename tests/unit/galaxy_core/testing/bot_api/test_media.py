"""Files in both directions."""

import struct
from typing import Any

import pytest

from galaxy_core.testing.bot_api import Person
from tests.unit.galaxy_core.testing.bot_api.caller import Caller

KINDS = ["document", "audio", "voice", "video"]


def png(width: int = 4, height: int = 3) -> bytes:
    """The head of a picture."""
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height) + b"\x08\x02\0\0\0"


async def upload(call: Caller, method: str, files: dict[str, Any], **data: object) -> Any:  # noqa: ANN401 - JSON
    """Call with multipart."""
    values = {name: str(value) for name, value in data.items()}
    return (await call.client.post(call.url(method), data=values, files=files)).json()


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_is_sent(call: Caller, ann: Person, kind: str) -> None:
    """Name, type and content arrive; the file can be sent again by its id."""
    name = f"send{kind.capitalize()}"
    files = {kind: ("a file.bin", b"\0content\r\n--", "application/x-thing")}
    sent = (await upload(call, name, files, chat_id=ann.id, caption="c"))["result"]
    file_id = sent[kind]["file_id"]
    await call.result(name, **{"chat_id": ann.id, kind: file_id})
    first, second = call.server.sent(ann)
    [file] = first.files
    assert (file.kind, file.content, first.text) == (kind, b"\0content\r\n--", "c")
    assert (file.name, file.mime) == ("a file.bin", "application/x-thing")
    assert second.files == first.files


async def test_pictures_are_pictures(call: Caller, ann: Person) -> None:
    """Sizes are given; what is no picture, too steep or too large is refused."""
    sent = await upload(call, "sendPhoto", {"photo": ("a.png", png(800, 600))}, chat_id=ann.id)
    assert [size["width"] for size in sent["result"]["photo"]] == [90, 800]
    for content, refusal in (
        (b"text", "IMAGE_PROCESS_FAILED"),
        (png(2100, 100), "PHOTO_INVALID_DIMENSIONS"),
        (png(9000, 1001), "PHOTO_INVALID_DIMENSIONS"),
        (png() + bytes(10 << 20), "file is too big for a photo"),
        (b"", "file must be non-empty"),
    ):
        answer = await upload(call, "sendPhoto", {"photo": ("a.png", content)}, chat_id=ann.id)
        assert answer["description"] == f"Bad Request: {refusal}"


async def test_references_that_are_refused(call: Caller, ann: Person) -> None:
    """Unknown ids, other kinds, addresses, nothing at all."""
    photo = ann.sends_photo(png())["photo"][-1]["file_id"]
    for given, refusal in (
        ("AgADnothing", "wrong file identifier/HTTP URL specified"),
        (photo, "can't use file of type Photo as Document"),
        ("https://example.org/a", "failed to get HTTP URL content"),
        ("attach://missing", "there is no document in the request"),
    ):
        found = await call.refusal("sendDocument", chat_id=ann.id, document=given)
        assert found == refusal
    assert await call.refusal("sendDocument", chat_id=ann.id) == (
        "there is no document in the request"
    )


async def test_fifty_megabytes_are_the_end(call: Caller, ann: Person) -> None:
    """More is refused with 413."""
    files = {"document": ("big.bin", bytes((50 << 20) + 1))}
    answer = await upload(call, "sendDocument", files, chat_id=ann.id)
    assert (answer["error_code"], answer["description"]) == (413, "Request Entity Too Large")


def album(*kinds: str) -> list[dict[str, str]]:
    """An album of uploads."""
    return [{"type": kind, "media": "attach://one", "caption": kind} for kind in kinds]


@pytest.mark.parametrize(
    "kinds,refusal",
    [
        ([], "there are no messages to send"),
        (["document"], "media group must include 2-10 items"),
        (["document"] * 11, "too many messages to send as an album"),
        (["document", "video"], "document can't be mixed with other media types"),
        (["audio", "video"], "audio can't be mixed with other media types"),
        (["voice", "voice"], "can't use the media of the specified type in the album"),
        (["sticker", "video"], "can't parse InputMedia: Unsupported type specified"),
    ],
)
async def test_albums_that_are_refused(
    call: Caller, ann: Person, kinds: list[str], refusal: str
) -> None:
    """Two to ten, documents and music only among themselves; all or nothing."""
    import json  # noqa: PLC0415 - the only use

    files = {"one": ("a.bin", b"content")}
    media = json.dumps(album(*kinds))
    answer = await upload(call, "sendMediaGroup", files, chat_id=ann.id, media=media)
    assert answer["description"] == f"Bad Request: {refusal}"
    assert call.server.sent(ann) == ()


async def test_an_album(call: Caller, ann: Person) -> None:
    """Its messages share a group and follow each other."""
    ids = [ann.sends_document(f"{n}.txt", b"x")["document"]["file_id"] for n in range(10)]
    media = [{"type": "document", "media": file_id} for file_id in ids]
    media[0]["caption"] = "all"
    sent = await call.result("sendMediaGroup", chat_id=ann.id, media=media)
    assert len({message["media_group_id"] for message in sent}) == 1
    seen = call.server.sent(ann)
    assert [message.files[0].name for message in seen] == [f"{n}.txt" for n in range(10)]
    assert (seen[0].text, seen[1].text) == ("all", "")


async def test_downloads(call: Caller, ann: Person) -> None:
    """First the path, then the content; 20 MiB and no more."""
    document = ann.sends_document("a.txt", b"content")["document"]
    path = call.server.state.files[document["file_id"]].path
    url = f"{call.server.base_file_url}{call.server.token}/{path}"
    assert (await call.client.get(url)).status_code == 404  # not asked for yet
    found = await call.result("getFile", file_id=document["file_id"])
    assert found["file_path"] == path
    assert (await call.client.get(url)).content == b"content"
    exact = ann.sends("document", "b", b"", size=20 << 20)["document"]["file_id"]
    assert (await call.result("getFile", file_id=exact))["file_size"] == 20 << 20
    larger = ann.sends("document", "b", b"", size=(20 << 20) + 1)["document"]["file_id"]
    assert await call.refusal("getFile", file_id=larger) == "file is too big"
    assert await call.refusal("getFile", file_id="nothing") == "invalid file_id"
