"""What watchers say and remember, in memory, each adapter under the suite of its port."""

# ruff: noqa: D102 - the suites' harnesses say what each method is for

from collections.abc import Sequence
from pathlib import Path

import pytest

from galaxy_core.domain.errors import PermanentError, TransientError
from galaxy_core.ports.alert_sink import AlertSink
from galaxy_core.ports.anchor_log import Anchor, AnchorLog
from galaxy_core.ports.reporting import Reporting
from galaxy_core.testing.clock import settle
from galaxy_core.testing.contracts import (
    AgentCareContract,
    AgentCareHarness,
    AlertBookContract,
    AlertSinkContract,
    AlertSinkHarness,
    AnchorLogContract,
    AnchorLogHarness,
    ReportingContract,
    ReportingHarness,
)
from galaxy_core.testing.memory import (
    AlertPages,
    ChatService,
    MemoryAlertBook,
    MemoryAlertSink,
    MemoryAnchorLog,
    MemoryChannel,
)
from tests.contract.memory_harness import MemoryHarness
from tests.contract.test_memory_dispatcher import MemoryDispatcherHarness


class TestMemoryAlertBook(AlertBookContract):
    """Memory, which outlives a process here."""

    @pytest.fixture
    def harness(self) -> MemoryHarness[MemoryAlertBook]:
        """Give pages that nobody wrote on."""
        pages = AlertPages()
        return MemoryHarness(lambda its: MemoryAlertBook(pages, faults=its.faults))


class MemoryAlertSinkHarness(MemoryHarness[AlertSink], AlertSinkHarness):
    """Somebody's pocket."""

    def __init__(self) -> None:
        super().__init__(lambda _: self.sink)
        self.sink = MemoryAlertSink(clock=self.clock, faults=self.faults)

    async def heard(self) -> Sequence[str]:
        return [f"{alert.title} {alert.text}" for alert in self.sink.heard]

    async def refuse_once(self) -> None:
        self.faults.fail("sink.send", TransientError("no network"))

    async def refuse_for_good(self) -> None:
        self.faults.fail("sink.send", PermanentError("no such address"), times=None)

    async def fall_silent(self) -> None:
        self.sink.is_silent = True


class TestMemoryAlertSink(AlertSinkContract):
    """Memory."""

    @pytest.fixture
    def harness(self) -> MemoryAlertSinkHarness:
        """Give an empty pocket."""
        return MemoryAlertSinkHarness()


class MemoryAnchorHarness(MemoryHarness[AnchorLog], AnchorLogHarness):
    """A list that all processes share."""

    def __init__(self) -> None:
        super().__init__(lambda _: MemoryAnchorLog(self.log.anchors, faults=self.faults))
        self.log = MemoryAnchorLog()

    async def anchors(self) -> Sequence[Anchor]:
        return self.log.anchors


class TestMemoryAnchorLog(AnchorLogContract):
    """Memory."""

    @pytest.fixture
    def harness(self) -> MemoryAnchorHarness:
        """Give a log in which nothing stands yet."""
        return MemoryAnchorHarness()


class MemoryReportingHarness(MemoryHarness[Reporting], ReportingHarness):
    """A chat service that can be cut off."""

    name = "memory"

    def __init__(self) -> None:
        super().__init__(lambda _: MemoryChannel(self.clock, self.service))
        self.service = ChatService()

    async def break_way(self) -> None:
        self.service.break_way()

    async def mend_way(self) -> None:
        self.service.mend_way()

    async def pause(self) -> None:
        await settle()


class TestMemoryReporting(ReportingContract):
    """A channel whose people are a test."""

    @pytest.fixture
    def harness(self) -> MemoryReportingHarness:
        """Give a service that can be reached."""
        return MemoryReportingHarness()


class MemoryCareHarness(MemoryDispatcherHarness, AgentCareHarness):
    """An agent in memory that stops answering."""

    async def hang_agent(self) -> None:
        self.agent.go_down("the agent does not answer")

    async def incarnation(self) -> object:
        return self.agent.starts or None


class TestMemoryAgentCare(AgentCareContract):
    """An agent in memory."""

    @pytest.fixture
    def harness(self, tmp_path: Path) -> MemoryCareHarness:
        """Give an agent that nobody has needed."""
        return MemoryCareHarness(tmp_path)
