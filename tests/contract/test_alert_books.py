"""Books of alerts under the suite of their port."""

from pathlib import Path

import pytest

from galaxy_adapters.alerts_json import JsonAlertBook
from galaxy_core.testing.contracts import AlertBookContract
from galaxy_core.testing.memory import AlertPages, MemoryAlertBook
from tests.contract.files_harness import FilesHarness


class TestJsonAlertBook(AlertBookContract):
    """A file."""

    @pytest.fixture
    def harness(self, tmp_path: Path) -> FilesHarness[JsonAlertBook]:
        """Give a watcher that never said anything."""
        return FilesHarness(tmp_path, lambda its: JsonAlertBook(its.layout.alerts("gateway")))


class TestMemoryAlertBook(AlertBookContract):
    """Memory, which outlives a process here."""

    @pytest.fixture
    def harness(self, tmp_path: Path) -> FilesHarness[MemoryAlertBook]:
        """Give pages that nobody wrote on."""
        pages = AlertPages()
        return FilesHarness(tmp_path, lambda _: MemoryAlertBook(pages))


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
