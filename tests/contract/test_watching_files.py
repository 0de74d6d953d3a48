"""What watchers say and remember, each adapter under the suite of its port."""

# ruff: noqa: D102 - the suites' harnesses say what each method is for

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import pytest

from galaxy_adapters.alerts_json import JsonAlertBook
from galaxy_adapters.anchors_file import FileAnchorLog
from galaxy_core.ports.anchor_log import Anchor, AnchorLog
from galaxy_core.testing.contracts import AlertBookContract, AnchorLogContract, AnchorLogHarness
from tests.contract.files_harness import FilesHarness


class TestJsonAlertBook(AlertBookContract):
    """A file."""

    @pytest.fixture
    def harness(self, tmp_path: Path) -> FilesHarness[JsonAlertBook]:
        """Give a watcher that never said anything."""
        return FilesHarness(tmp_path, lambda its: JsonAlertBook(its.layout.alerts("gateway")))


class FileAnchorHarness(FilesHarness[AnchorLog], AnchorLogHarness):
    """A file on another disk, as a person reads it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, lambda _: FileAnchorLog(self.path))
        self.path = folder / "other disk" / "heads.txt"

    async def anchors(self) -> Sequence[Anchor]:
        if not self.path.exists():
            return []
        lines = self.path.read_text("utf-8").splitlines()
        return [_anchor(*line.split(" ", 3)) for line in lines]

    @asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        away = self.path.rename(self.path.with_name("away"))
        self.path.mkdir()
        yield
        self.path.rmdir()
        away.rename(self.path)


def _anchor(at: str, sequence: str, digest: str, trail: str) -> Anchor:
    time = datetime.fromisoformat(at)
    return Anchor(trail=trail, sequence=int(sequence), digest=digest, at=time)


class TestFileAnchorLog(AnchorLogContract):
    """A file."""

    @pytest.fixture
    def harness(self, tmp_path: Path) -> FileAnchorHarness:
        """Give a file that is not there yet."""
        return FileAnchorHarness(tmp_path)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"alerts": 1}', b'{"alerts": [7, {}, {"key": "a", "since": "x"}]}'],
)
async def test_a_book_that_cannot_be_read_is_empty(tmp_path: Path, content: bytes) -> None:
    """To say something twice is better than to say nothing."""
    path = tmp_path / "alerts.json"
    path.write_bytes(content)
    assert not await JsonAlertBook(path).read()
