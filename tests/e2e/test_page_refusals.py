"""What the served page refuses, byte by byte: no client tidies these requests up."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil
import pytest

from galaxy_apps.exit_codes import ExitCode
from tests.e2e.up import Up, bare_environment

UPLOAD = "/chat/api/messages"
TWO_GIGABYTES = 2 << 30
PIECE = b"x" * (1 << 20)
MOST_TAKEN = 200 << 20
MOST_GROWN = 60 << 20


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A page that somebody has opened."""
    folder = tmp_path_factory.mktemp("refusing")
    settings = folder / ".galaxy" / "config.json"
    settings.parent.mkdir(mode=0o700)
    settings.write_text(json.dumps({"machines": {"lab": {}}, "dispatcher": "scripted"}))
    settings.chmod(0o600)
    running = Up(folder, bare_environment(folder))
    try:
        running.start("up", "--no-browser", "--port", "0")
        running.open()
        yield running
        assert running.stop() == ExitCode.OK
        assert running.left() == []
    finally:
        running.end()


def ask(up: Up, head: str, body: Iterable[bytes] = ()) -> tuple[int, int]:
    """Send this; the status of the answer, and how many bytes of the body went out."""
    sent = 0
    with socket.create_connection(("127.0.0.1", int(up.base.rpartition(":")[2])), 30) as line:
        line.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        try:
            for piece in body:
                line.sendall(piece)
                sent += len(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # hung up on: what it said is read below, if it is still there
        answer = b""
        try:
            while b"\r\n" not in answer and (more := line.recv(4096)):
                answer += more
        except ConnectionResetError:
            pass
    return int(answer.split(b" ")[1]) if answer else 0, sent


def cookie(up: Up) -> str:
    """What the browser sends that has opened the page."""
    return "; ".join(f"{each.name}={each.value}" for each in up._cookies)


def here(up: Up) -> str:
    """Host and port."""
    return up.base.removeprefix("http://")


@pytest.mark.parametrize(
    "method, path, more, status",
    [
        ("GET", "/api/status", "Host: evil.example", 421),
        ("GET", "/", "Host: evil.example\nCookie: {cookie}", 421),
        ("GET", "/api/orders", "Host: {here}", 401),
        ("GET", "/api/orders", "Host: {here}\nAuthorization: Bearer {token}x", 401),
        ("GET", "/orders", "Host: {here}", 401),
        ("POST", "/api/orders", "Host: {here}\nCookie: {cookie}\nOrigin: http://evil.example", 403),
        (
            "POST",
            "/api/orders",
            "Host: {here}\nAuthorization: Bearer {token}\nOrigin: http://evil.example",
            403,
        ),
        ("POST", UPLOAD, "Host: {here}\nCookie: {cookie}\nOrigin: http://evil.example", 403),
        ("POST", UPLOAD, "Host: {here}\nCookie: {cookie}", 403),
        ("GET", "/static/../../../../etc/passwd", "Host: {here}\nCookie: {cookie}", 400),
        ("GET", "/static/%2e%2e/%2e%2e/etc/passwd", "Host: {here}\nCookie: {cookie}", 400),
        ("GET", "/orders/..%5c..%5cconfig.json", "Host: {here}\nCookie: {cookie}", 400),
    ],
)
def test_refused_at_the_door(up: Up, method: str, path: str, more: str, status: int) -> None:
    """A foreign name, a foreign site, no token, a wrong one, a path that climbs."""
    token = up.token(up.folder)
    more = more.format(here=here(up), cookie=cookie(up), token=token)
    assert ask(up, f"{method} {path} HTTP/1.1\n{more}\nContent-Length: 0")[0] == status
    assert up.page("/")[0] == 200, "who is known gets in all the same"


@pytest.mark.parametrize("is_announced", [True, False])
@pytest.mark.parametrize("is_known", [True, False])
def test_two_gigabytes_are_not_taken_in(up: Up, *, is_announced: bool, is_known: bool) -> None:
    """Announced they are refused unread; else soon, with nothing kept in memory or on the disk."""
    head = f"POST {UPLOAD} HTTP/1.1\nHost: {here(up)}\nOrigin: {up.base}\n"
    head += "Content-Type: multipart/form-data; boundary=edge\n"
    head += f"Cookie: {cookie(up)}\n" if is_known else ""
    head += f"Content-Length: {TWO_GIGABYTES}" if is_announced else "Transfer-Encoding: chunked"
    server = psutil.Process(up.worker)
    before, kept = server.memory_info().rss, _bytes_below(up.folder)

    def body() -> Iterator[bytes]:
        first = (
            b"--edge\r\nContent-Disposition: form-data; name=file; filename=a.bin\r\n"
            b"Content-Type: application/octet-stream\r\n\r\n"
        )
        for number in range(TWO_GIGABYTES // len(PIECE)):
            piece = first + PIECE if not number else PIECE
            yield piece if is_announced else b"%x\r\n%s\r\n" % (len(piece), piece)

    status, sent = ask(up, head, body())
    assert status in {0, 401 if not is_known else 413}
    assert sent < MOST_TAKEN
    assert server.memory_info().rss - before < MOST_GROWN
    assert _bytes_below(up.folder) - kept < len(PIECE)
    assert up.page("/")[0] == 200


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
