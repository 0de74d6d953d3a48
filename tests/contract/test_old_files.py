"""What is left in a folder under the suite of its port."""

# ruff: noqa: D102 - the suites' harnesses say what each method is for

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest

from galaxy_adapters.old_filesystem import FilesystemOldFiles
from galaxy_adapters.outbox_filesystem import FilesystemOutbox
from galaxy_adapters.queue_filesystem import FilesystemOrderQueue
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.response import Outcome
from galaxy_core.domain.tidying import OldKind
from galaxy_core.ports.inventory import LetterPlace
from galaxy_core.ports.old_files import OldFiles
from galaxy_core.testing.contracts import OldFilesContract, OldFilesHarness
from galaxy_core.testing.factories import make_ending, make_letter, make_order
from tests.contract.files_harness import FilesHarness
from tests.contract.posting import bring


class FilesystemOldFilesHarness(FilesHarness[OldFiles], OldFilesHarness):
    """A folder, with orders and letters written as in life; of the rest only names count."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, lambda its: FilesystemOldFiles(its.layout))

    async def leave(
        self,
        kind: OldKind,
        name: str,
        age: timedelta,
        *,
        outcome: Outcome | None = Outcome.SUCCEEDED,
    ) -> None:
        path = self._path(kind, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind is not OldKind.ORDERS:
            path.write_text("content")
        elif outcome is None:
            path.write_text(json.dumps({"id": name, "payload": "x", "acknowledged": False}))
        else:
            await self._end(name, outcome)
        changed = (self.now() - age).timestamp()
        folders = [path.parent, path.parent.parent] if kind is OldKind.FILES else []
        for each in (path, *folders):
            os.utime(each, (changed, changed))

    def _path(self, kind: OldKind, name: str) -> Path:
        layout = self.layout
        paths = {
            OldKind.ORDERS: layout.archive / f"{name}.json",
            OldKind.RESPONSES: layout.response(name),
            OldKind.LETTERS: layout.outbox_archive / f"{name}.json",
            OldKind.FILES: layout.inbound_files(name) / "a.txt",
            OldKind.LEFTOVERS: layout.progress / f"{name}.jsonl",
        }
        return paths[kind]

    def _queue(self) -> FilesystemOrderQueue:
        return FilesystemOrderQueue(
            self.layout, machine="test", clock=self.clock, incidents=self.incidents
        )

    async def _end(self, name: str, outcome: Outcome) -> None:
        async with self._queue() as queue:
            await queue.enqueue(make_order(id=OrderId(name)))
            delivery = await queue.claim(only=OrderId(name))
            assert delivery is not None
            ending = make_ending(outcome=outcome)
            settle = queue.dead_letter if outcome is Outcome.DEAD else queue.ack
            await settle(delivery, ending)

    async def wait_order(self, order_id: str, mentioned: str) -> None:
        text = f"Go on with {self.layout.inbound_files(mentioned) / 'a.txt'}"
        async with self._queue() as queue:
            await queue.enqueue(make_order(id=OrderId(order_id), payload=text))

    async def wait_letter(self, name: str, mentioned: str, *, is_undeliverable: bool) -> None:
        file = self.layout.outbound_files(mentioned) / "a.txt"
        place = LetterPlace.UNDELIVERABLE if is_undeliverable else LetterPlace.WAITING
        outbox = FilesystemOutbox(self.layout, self.clock, self.incidents)
        await bring(outbox, make_letter(name=name, files=(str(file),)), place)
        outbox.close()


class TestFilesystemOldFiles(OldFilesContract):
    """The folder."""

    @pytest.fixture
    def harness(self, tmp_path: Path) -> FilesystemOldFilesHarness:
        """Give an empty folder."""
        return FilesystemOldFilesHarness(tmp_path)
