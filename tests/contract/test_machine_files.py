"""The smaller adapters over files, each under the suite of its port."""

# ruff: noqa: D102 - the suites' harnesses say what each method is for

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import pytest

from galaxy_adapters.audit_jsonl import JsonlAuditSink, JsonlAuditTrail
from galaxy_adapters.clock_system import SystemClock
from galaxy_adapters.control_filesystem import FilesystemControl
from galaxy_adapters.order_files_filesystem import FilesystemOrderFiles
from galaxy_adapters.presence_json import JsonPresence
from galaxy_adapters.progress_filesystem import FilesystemProgressFeed
from galaxy_adapters.sessions_json import JsonSessionStore
from galaxy_core.domain.ids import ConversationKey
from galaxy_core.ports.audit_sink import AuditSink
from galaxy_core.ports.audit_trail import AuditTrail
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.order_files import OrderFiles
from galaxy_core.testing.contracts import (
    AuditContract,
    AuditHarness,
    ClockContract,
    ControlContract,
    Harness,
    OrderFilesContract,
    OrderFilesHarness,
    PresenceContract,
    ProgressFeedContract,
    SessionStoreContract,
)
from tests.contract.files_harness import FilesHarness


class TestJsonSessionStore(SessionStoreContract):
    """Sessions."""

    @pytest.fixture
    def harness(self, tmp_path: Path) -> FilesHarness[JsonSessionStore]:
        """Give a machine without conversations."""
        return FilesHarness(
            tmp_path,
            lambda its: JsonSessionStore(
                its.layout, its.clock, its.incidents, ConversationKey("machine:test")
            ),
        )


class TestJsonPresence(PresenceContract):
    """Heartbeats."""

    @pytest.fixture
    def harness(self, tmp_path: Path) -> FilesHarness[JsonPresence]:
        """Give a machine on which nothing ran yet."""
        return FilesHarness(tmp_path, lambda its: JsonPresence(its.layout))


@pytest.mark.parametrize("watching", ["told", "polling"])
class TestFilesystemControl(ControlContract):
    """Commands."""

    @pytest.fixture
    async def harness(
        self, tmp_path: Path, watching: str
    ) -> AsyncIterator[FilesHarness[FilesystemControl]]:
        """Give a machine without commands."""
        harness = FilesHarness(
            tmp_path,
            lambda its: FilesystemControl(
                its.layout, its.clock, its.incidents, is_polling=watching == "polling"
            ),
        )
        yield harness
        await harness.close()


@pytest.mark.parametrize("watching", ["told", "polling"])
class TestFilesystemProgressFeed(ProgressFeedContract):
    """Progress."""

    @pytest.fixture
    async def harness(
        self, tmp_path: Path, watching: str
    ) -> AsyncIterator[FilesHarness[FilesystemProgressFeed]]:
        """Give a machine without running orders."""
        harness = FilesHarness(
            tmp_path,
            lambda its: FilesystemProgressFeed(
                its.layout, its.clock, is_polling=watching == "polling"
            ),
        )
        yield harness
        await harness.close()


class FilesystemOrderFilesHarness(FilesHarness[OrderFiles], OrderFilesHarness):
    """Real files."""

    def put(self, folder: Path, name: str) -> None:
        (folder / name).write_text("content")


class TestFilesystemOrderFiles(OrderFilesContract):
    """Orders' files."""

    @pytest.fixture
    def harness(self, tmp_path: Path) -> FilesystemOrderFilesHarness:
        """Give a machine without files."""
        return FilesystemOrderFilesHarness(tmp_path, lambda its: FilesystemOrderFiles(its.layout))


class SystemClockHarness(Harness[Clock]):
    """The machine's clock, which a suite cannot move: it waits, a few milliseconds at a time."""

    tick = timedelta(milliseconds=5)

    async def open(self) -> Clock:
        return SystemClock()

    def now(self) -> datetime:
        return SystemClock().now()

    async def elapse(self, duration: timedelta) -> None:
        await anyio.sleep(duration.total_seconds())


class TestSystemClock(ClockContract):
    """The machine's own clock."""

    @pytest.fixture
    def harness(self) -> SystemClockHarness:
        """Give the clock."""
        return SystemClockHarness()


class JsonlAuditHarness(FilesHarness[AuditSink], AuditHarness):
    """A file that several writers add to, and that somebody tampers with."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, lambda its: JsonlAuditSink(its.layout.audit_log))

    async def trail(self) -> AuditTrail:
        return JsonlAuditTrail(self.layout.audit_log)

    async def change_line(self, number: int) -> None:
        lines = self._lines()
        lines[number - 1] = lines[number - 1].replace(b'"severity":"info"', b'"severity":"none"')
        self._put(lines)

    async def remove_line(self, number: int) -> None:
        lines = self._lines()
        del lines[number - 1]
        self._put(lines)

    async def swap_lines(self, first: int, second: int) -> None:
        lines = self._lines()
        lines[first - 1], lines[second - 1] = lines[second - 1], lines[first - 1]
        self._put(lines)

    def _lines(self) -> list[bytes]:
        return self.layout.audit_log.read_bytes().splitlines(keepends=True)

    def _put(self, lines: list[bytes]) -> None:
        self.layout.audit_log.write_bytes(b"".join(lines))


class TestJsonlAudit(AuditContract):
    """The audit trail, both ends."""

    @pytest.fixture
    async def harness(self, tmp_path: Path) -> AsyncIterator[JsonlAuditHarness]:
        """Give an empty trail."""
        harness = JsonlAuditHarness(tmp_path)
        yield harness
        await harness.close()
