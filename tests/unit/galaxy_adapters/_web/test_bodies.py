"""What requests may bring, and how much of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from galaxy_adapters._web.bodies import SMALL_BODY
from tests.unit.galaxy_adapters._web.place import TOKEN, Place

pytestmark = pytest.mark.anyio

BEARER = {"authorization": f"Bearer {TOKEN}"}
MEGABYTE = 1 << 20
HALF = b'--b\r\ncontent-disposition: form-data; name="x"\r\n\r\nhalf'


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A server that stores uploads in a folder."""
    return Place(folder=tmp_path / "uploads")


class Sender:
    """A body that is sent piece by piece; knows how much was taken."""

    def __init__(self, size: int, head: bytes = b"") -> None:
        self.size = size
        self.head = head
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.head
        while self.taken < self.size:
            self.taken += 1 << 16
            yield b"x" * (1 << 16)


@pytest.mark.parametrize("announced", [True, False])
async def test_too_large_body_is_not_read_to_its_end(place: Place, *, announced: bool) -> None:
    """Two gigabytes are refused at the limit, at once where the size was announced."""
    sender = Sender(2 << 30)
    headers = BEARER | {"content-type": "application/json"}
    if announced:
        headers["content-length"] = str(2 << 30)
    answer = await place.browser().post("/api/objects", content=sender, headers=headers)
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"
    assert sender.taken <= (1 << 16 if announced else SMALL_BODY + (1 << 16))


async def test_too_large_upload_leaves_nothing(place: Place) -> None:
    """A file beyond the limit is refused while it comes, and what came is removed."""
    head = (
        b'--b\r\ncontent-disposition: form-data; name="f"; filename="big.bin"\r\n'
        b"content-type: application/octet-stream\r\n\r\n"
    )
    sender = Sender(2 << 30, head)
    headers = BEARER | {"content-type": "multipart/form-data; boundary=b"}
    answer = await place.browser().post("/api/forms", content=sender, headers=headers)
    assert answer.status_code == 413
    assert "big.bin" in answer.json()["detail"]
    assert sender.taken <= 2 * MEGABYTE
    assert place.folder is not None
    assert list(place.folder.iterdir()) == []


async def test_upload_comes_whole_under_a_safe_name(place: Place) -> None:
    """Fields and files of a form; names are for people and never paths."""
    content = bytes(range(256)) * 1000
    files = [
        ("a", ("../../etc/pass\nwd", content, "text/x; charset=utf-8")),
        ("b", ("C:\\dir\\ä.txt", b"", "text/plain")),
    ]
    answer = await place.browser().post(
        "/api/forms", data={"x": "1", "ü": "ö\n"}, files=files, headers=BEARER
    )
    found = answer.json()
    assert found["fields"] == {"x": "1", "ü": "ö\n"}
    assert found["files"] == [["pass%0Awd", "text/x", 256_000], ["ä.txt", "text/plain", 0]]
    assert found["contents"][0].encode("latin-1") == content
    assert place.folder is not None
    assert list(place.folder.iterdir()) == []


@pytest.mark.parametrize(
    "kind,body,status",
    [
        ("multipart/form-data", b"", 415),
        ("multipart/form-data; boundary=b", b"no form", 400),
        ("multipart/form-data; boundary=b", HALF, 400),
        ("multipart/form-data; boundary=b", b"--b\r\n" + b"x: y\r\n" * 5000, 400),
        ("application/x-www-form-urlencoded", b"a=1&" * 100, 400),
        ("application/x-www-form-urlencoded", b"a=" + b"1" * 200_000, 413),
        ("text/plain", b"a=1", 415),
    ],
)  # fmt: skip
async def test_broken_forms_are_refused(place: Place, kind: str, body: bytes, status: int) -> None:
    """Each with a status that says whose fault it is, and nothing left on the disk."""
    headers = BEARER | {"content-type": kind}
    answer = await place.browser().post("/api/forms", content=body, headers=headers)
    assert answer.status_code == status
    assert place.folder is not None
    assert not place.folder.exists() or list(place.folder.iterdir()) == []


async def test_more_files_than_allowed_are_refused(place: Place) -> None:
    """Three where two may come."""
    files = [("f", (f"{number}.txt", b"x")) for number in range(3)]
    answer = await place.browser().post("/api/forms", files=files, headers=BEARER)
    assert answer.status_code == 413
    assert place.folder is not None
    assert list(place.folder.iterdir()) == []


@pytest.mark.parametrize(
    "kind,body,status",
    [
        ("application/json", b'{"a": 1}', 200),
        ("application/json; charset=utf-8", b"{}", 200),
        ("text/plain", b'{"a": 1}', 415),
        ("", b'{"a": 1}', 415),
        ("application/json", b"{", 400),
        ("application/json", b"\xff", 400),
        ("application/json", b"[1]", 400),
        ("application/json", b"[" * 200_000, 400),
    ],
)
async def test_objects(place: Place, kind: str, body: bytes, status: int) -> None:
    """JSON says that it is JSON, which no form of another site can."""
    headers = BEARER | {"content-type": kind}
    answer = await place.browser().post("/api/objects", content=body, headers=headers)
    assert answer.status_code == status


@pytest.mark.parametrize(
    "path,status", [("/api/missing", 404), ("/api/away", 503), ("/api/bug", 500), ("/api/no", 404)]
)
async def test_failures_are_answered(place: Place, path: str, status: int) -> None:
    """Errors of the core have their status and sentence; a defect tells nothing of itself."""
    answer = await place.browser().get(path, headers=BEARER)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text
    if status == 503:
        assert answer.headers["retry-after"] == "5"
