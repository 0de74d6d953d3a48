"""The contract of `AgentCare`: a dispatcher that can bring its agent round."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import anyio
import pytest
from attrs import frozen

from galaxy_core.domain.errors import DispatcherUnavailable
from galaxy_core.domain.run import Verdict
from galaxy_core.ports.agent_care import AgentCare
from galaxy_core.testing.contracts.contract import Contract
from galaxy_core.testing.contracts.dispatcher_harness import DispatcherHarness

SECONDS = 10
"""Within which a look answers."""
MINUTE = 60
"""Within which a revival is over."""


@frozen(kw_only=True)
class AgentCareFeatures:
    """Care has no choices."""


class AgentCareHarness(DispatcherHarness):
    """A dispatcher whose agent nobody has needed yet, and which can be made to hang."""

    @property
    def care(self) -> AgentCare:
        """The dispatcher, as whoever looks after its agent sees it."""
        dispatcher = self.dispatcher
        assert isinstance(dispatcher, AgentCare)
        return dispatcher

    @abstractmethod
    async def hang_agent(self) -> None:
        """Have the agent go on living, and not answer any more."""

    @abstractmethod
    async def incarnation(self) -> object:
        """What tells one agent from the one that replaced it; None while there is none."""

    async def need(self) -> None:
        """Have the agent do something."""
        _, run = await self.run_new(self.echoes())
        assert run.ended.verdict is Verdict.SUCCEEDED

    async def until_well(self) -> None:
        """Wait until the agent answers again."""
        with anyio.fail_after(self.patience.total_seconds()):
            while not await self._is_well():
                await self.pause()

    async def _is_well(self) -> bool:
        health = await self.care.look()
        return health is not None and health.is_ready


class AgentCareContract(Contract):
    """Everything that `AgentCare` owes the watcher that uses it."""

    features: ClassVar[AgentCareFeatures] = AgentCareFeatures()

    async def test_hung_agent_is_told_and_replaced(self, harness: AgentCareHarness) -> None:
        """A look says what is wrong rather than raising; revived, it is another agent."""
        await harness.need()
        before = await harness.incarnation()
        await harness.hang_agent()
        with anyio.fail_after(SECONDS):
            health = await harness.care.look()
        assert health is not None
        assert not health.is_ready
        assert health.name == harness.dispatcher.name
        assert health.problem
        with anyio.fail_after(MINUTE):
            await harness.care.revive()
        await harness.until_well()
        assert await harness.incarnation() not in (None, before)
        await harness.need()

    async def test_run_under_way_comes_to_an_end(self, harness: AgentCareHarness) -> None:
        """Whoever follows a run of the agent that hung hears of it, and may go on."""
        request = harness.request(harness.hangs())
        ticket = await harness.prepare(request)
        run = harness.watch(request, ticket)
        ends: list[Verdict | None] = []

        async def follow() -> None:
            try:
                await run.follow()
            except DispatcherUnavailable:
                ends.append(None)
            else:
                ends.append(run.ended.verdict)

        async with anyio.create_task_group() as group:
            group.start_soon(follow, name="follow")
            await harness.reached(request.prompt)
            await harness.hang_agent()
            await harness.care.revive()
        assert ends in ([None], [Verdict.BROKEN_OFF])
        await harness.until_well()
        await harness.need()

    async def test_several_revivals_at_once_are_one(self, harness: AgentCareHarness) -> None:
        """Those who come together do not end what another has just started."""
        await harness.need()
        before = await harness.incarnation()
        await harness.hang_agent()
        with anyio.fail_after(MINUTE):
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(harness.care.revive, name="revive")
        await harness.until_well()
        after = await harness.incarnation()
        assert after not in (None, before)
        await harness.care.revive()
        await harness.until_well()
        assert await harness.incarnation() == after

    async def test_well_agent_is_left_alone(self, harness: AgentCareHarness) -> None:
        """Suspicion makes sure first: what answers goes on, with all that runs in it."""
        await harness.need()
        before = await harness.incarnation()
        assert before is not None
        await harness.care.revive()
        await harness.until_well()
        assert await harness.incarnation() == before

    @pytest.mark.parametrize("is_revived", [False, True])
    async def test_nothing_is_started_for_a_look(
        self, harness: AgentCareHarness, *, is_revived: bool
    ) -> None:
        """Where nobody needed an agent there is none, and that is no trouble."""
        if is_revived:
            await harness.care.revive()
        assert await harness.care.look() is None
        assert await harness.incarnation() is None
