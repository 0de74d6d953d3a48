"""What is left of things that are over, in memory, under the suites of its ports."""

# ruff: noqa: D102 - the suites' harnesses say what each method is for

from datetime import timedelta

import pytest
from attrs import evolve

from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.response import Outcome
from galaxy_core.domain.tidying import OldKind, Remnant
from galaxy_core.ports.old_files import OldFiles, OldRecords
from galaxy_core.testing.contracts import (
    OldFilesContract,
    OldFilesHarness,
    OldRecordsContract,
    OldRecordsHarness,
)
from galaxy_core.testing.memory import MemoryOldFiles, MemoryOldRecords, OldRecord
from tests.contract.memory_harness import MemoryHarness


class MemoryOldFilesHarness(MemoryHarness[OldFiles], OldFilesHarness):
    """What a test puts there."""

    def __init__(self) -> None:
        super().__init__(lambda _: self.files)
        self.files = MemoryOldFiles(faults=self.faults)

    async def leave(
        self,
        kind: OldKind,
        name: str,
        age: timedelta,
        *,
        outcome: Outcome | None = Outcome.SUCCEEDED,
    ) -> None:
        is_letter = kind is OldKind.LETTERS
        order = self.files.remnants.get((OldKind.ORDERS, name))
        is_given_up = kind is OldKind.FILES and order is not None and order[0].is_undecided
        remnant = Remnant(
            kind=kind,
            name=name,
            order_id=None if is_letter else OrderId(name),
            letter=name if is_letter else None,
            size=7,
            is_unanswered=outcome is None,
            is_undecided=outcome is Outcome.DEAD or is_given_up,
        )
        self.files.put(remnant, self.now() - age)

    async def wait_letter(self, name: str, mentioned: str, *, is_undeliverable: bool) -> None:
        ties = self.files.ties
        self.files.ties = evolve(
            ties,
            waiting_letters=ties.waiting_letters | {name},
            mentioned=ties.mentioned | {mentioned},
        )

    async def wait_order(self, order_id: str, mentioned: str) -> None:
        ties = self.files.ties
        self.files.ties = evolve(ties, mentioned=ties.mentioned | {mentioned})


class TestMemoryOldFiles(OldFilesContract):
    """Memory."""

    @pytest.fixture
    def harness(self) -> MemoryOldFilesHarness:
        """Give an empty folder."""
        return MemoryOldFilesHarness()


class MemoryOldRecordsHarness(MemoryHarness[OldRecords], OldRecordsHarness):
    """Records that all processes share."""

    def __init__(self) -> None:
        super().__init__(lambda its: MemoryOldRecords(self.records, faults=its.faults))
        self.records: list[OldRecord] = []

    async def add(self, age: timedelta, *, is_over: bool = True) -> None:
        self.records.append(OldRecord(at=self.now() - age, is_over=is_over))


class TestMemoryOldRecords(OldRecordsContract):
    """Memory."""

    @pytest.fixture
    def harness(self) -> MemoryOldRecordsHarness:
        """Give no records."""
        return MemoryOldRecordsHarness()
