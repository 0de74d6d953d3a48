"""Fetching files that people sent."""

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import anyio
import pytest
from attrs import evolve

from galaxy_adapters.channel_telegram import _files
from galaxy_adapters.channel_telegram._errors import CallRefused
from galaxy_adapters.channel_telegram._files import Fetcher
from galaxy_core.domain.errors import PermanentError, StorageUnavailable, TransientError
from galaxy_core.domain.message import FileKind, RemoteFile

FILE = RemoteFile(id="f", kind=FileKind.DOCUMENT, name="a.txt", size=6)


class Connection:
    """A server with one file."""

    def __init__(self, path: str = "documents/file_0.txt") -> None:
        self.path: object = path
        self.pieces: list[bytes | Exception] = [b"abc", b"def"]
        self.refusal: CallRefused | None = None
        self.downloads = 0

    async def call(
        self,
        method: str,
        parameters: dict[str, object] | None = None,
        *,
        patience: timedelta | None = None,
    ) -> object:
        """Answer getFile."""
        assert (method, parameters) == ("getFile", {"file_id": "f"})
        if self.refusal is not None:
            raise self.refusal
        return {"file_id": "f", "file_path": self.path}

    @asynccontextmanager
    async def download(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The content."""
        self.downloads += 1

        async def content() -> AsyncIterator[bytes]:
            for piece in self.pieces:
                if isinstance(piece, Exception):
                    raise piece
                yield piece

        yield content()


@pytest.fixture
def server() -> Connection:
    """A fresh one."""
    return Connection()


async def test_whole(server: Connection, tmp_path: Path) -> None:
    """The file is there whole, alone in its folder; a second time nothing is asked."""
    target = tmp_path / "in" / "a.txt"
    fetcher = Fetcher(server, is_local=False)
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(fetcher.fetch, FILE, target)
    assert target.read_bytes() == b"abcdef"
    assert [path.name for path in target.parent.iterdir()] == ["a.txt"]
    assert server.downloads == 1


async def test_cut(server: Connection, tmp_path: Path) -> None:
    """A download that breaks leaves nothing under the name, and the next try is whole."""
    target = tmp_path / "a.txt"
    server.pieces = [b"abc", TransientError("cut")]
    fetcher = Fetcher(server, is_local=False)
    with pytest.raises(TransientError):
        await fetcher.fetch(FILE, target)
    assert not target.exists()
    server.pieces = [b"x"]
    await fetcher.fetch(FILE, target)
    assert target.read_bytes() == b"x"
    assert len(list(tmp_path.iterdir())) == 1


async def test_full_disk(
    server: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full is an outage, not a broken file."""

    def full(sink: BinaryIO) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(_files, "_flush", full)
    with pytest.raises(StorageUnavailable, match="space"):
        await Fetcher(server, is_local=False).fetch(FILE, tmp_path / "a.txt")
    assert not (tmp_path / "a.txt").exists()


async def test_longest_name(server: Connection, tmp_path: Path) -> None:
    """A name as long as the file system allows can be fetched to."""
    target = tmp_path / ("ä" * 125 + ".txt")
    await Fetcher(server, is_local=False).fetch(FILE, target)
    assert target.exists()


async def test_local_server(tmp_path: Path) -> None:
    """A Bot API server of one's own gives paths on its disk; the file is copied from there."""
    original = tmp_path / "server" / "file"
    original.parent.mkdir()
    original.write_bytes(b"abcdef")
    server = Connection(str(original))
    target = tmp_path / "in" / "a.txt"
    await Fetcher(server, is_local=True).fetch(FILE, target)
    assert (target.read_bytes(), original.exists()) == (b"abcdef", True)
    assert server.downloads == 0


async def test_local_file_out_of_reach(tmp_path: Path) -> None:
    """A path that cannot be read here says what to set up; one that nobody expected too."""
    server = Connection(str(tmp_path / "nowhere"))
    with pytest.raises(PermanentError, match="same folder"):
        await Fetcher(server, is_local=True).fetch(FILE, tmp_path / "a.txt")
    with pytest.raises(PermanentError, match="is_local"):
        await Fetcher(server, is_local=False).fetch(FILE, tmp_path / "a.txt")


@pytest.mark.parametrize(
    "words, error",
    [
        ("file is too big", PermanentError),
        ("wrong file_id or the file is temporarily unavailable", TransientError),
        ("invalid file_id", PermanentError),
    ],
)
async def test_refused(
    server: Connection, tmp_path: Path, words: str, error: type[Exception]
) -> None:
    """What Telegram says decides whether trying again can help."""
    server.refusal = CallRefused(words)
    with pytest.raises(error):
        await Fetcher(server, is_local=False).fetch(FILE, tmp_path / "a.txt")


async def test_no_path(server: Connection, tmp_path: Path) -> None:
    """An answer without a path may be better next time."""
    server.path = None
    with pytest.raises(TransientError):
        await Fetcher(server, is_local=False).fetch(evolve(FILE, size=None), tmp_path / "a.txt")
