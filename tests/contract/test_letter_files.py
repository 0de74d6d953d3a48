"""Responses, letters and run journals in files, each under the suite of its port."""

# ruff: noqa: D102 - the suites' harnesses say what each method is for

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from galaxy_adapters.journal_filesystem import FilesystemRunJournal
from galaxy_adapters.outbox_filesystem import FilesystemOutbox
from galaxy_adapters.responses_filesystem import FilesystemResponseStore
from galaxy_core.domain.ids import OrderId
from galaxy_core.ports.outbox import Outbox
from galaxy_core.ports.run_journal import RunJournal
from galaxy_core.testing.contracts import (
    JournalFeatures,
    JournalHarness,
    OutboxContract,
    OutboxHarness,
    ResponseStoreContract,
    RunJournalContract,
)
from tests.contract.files_harness import FilesHarness


class TestFilesystemResponseStore(ResponseStoreContract):
    """Responses."""

    @pytest.fixture
    def harness(self, tmp_path: Path) -> FilesHarness[FilesystemResponseStore]:
        """Give a machine that has answered nothing."""
        return FilesHarness(tmp_path, lambda its: FilesystemResponseStore(its.layout))


class FilesystemOutboxHarness(FilesHarness[Outbox], OutboxHarness):
    """The folders of the outbox."""

    def __init__(self, folder: Path, *, is_polling: bool) -> None:
        super().__init__(
            folder,
            lambda its: FilesystemOutbox(
                its.layout, its.clock, its.incidents, is_polling=is_polling
            ),
        )

    async def sent(self) -> Sequence[str]:
        return sorted(path.stem for path in self.layout.outbox_archive.glob("*.json"))

    async def undeliverable(self) -> dict[str, str]:
        folder = self.layout.outbox_undeliverable
        return {
            path.stem: path.with_name(f"{path.name}.reason").read_text()
            for path in folder.glob("*.json")
        }


@pytest.mark.parametrize("watching", ["told", "polling"])
class TestFilesystemOutbox(OutboxContract):
    """Letters."""

    @pytest.fixture
    async def harness(
        self, tmp_path: Path, watching: str
    ) -> AsyncIterator[FilesystemOutboxHarness]:
        """Give an empty outbox."""
        harness = FilesystemOutboxHarness(tmp_path, is_polling=watching == "polling")
        yield harness
        await harness.close()


class FilesystemJournalHarness(FilesHarness[RunJournal], JournalHarness):
    """Journals whose last line can be cut in two."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, lambda its: FilesystemRunJournal(its.layout))

    async def tear(self, order_id: OrderId) -> None:
        path = self.layout.run_journal(order_id)
        data = path.read_bytes()
        text = data.rstrip(b"\n")
        last = text.rfind(b"\n") + 1
        # What a line was to be written over is still there behind its first half.
        path.write_bytes(text[: last + (len(text) - last) // 2].ljust(len(data), b"\n"))


class TestFilesystemRunJournal(RunJournalContract):
    """Run journals."""

    features = JournalFeatures(can_be_torn=True)

    @pytest.fixture
    def harness(self, tmp_path: Path) -> FilesystemJournalHarness:
        """Give a machine that has run nothing."""
        return FilesystemJournalHarness(tmp_path)
