"""Part of `DispatcherContract`: a message is carried out once, whoever dies."""

from __future__ import annotations

import anyio

from galaxy_core.domain.delivery import Finding, TicketKind
from galaxy_core.domain.errors import DispatcherUnavailable
from galaxy_core.domain.run import RunStarted, Verdict
from galaxy_core.testing.contracts.contract import requires
from galaxy_core.testing.contracts.dispatcher_harness import (
    DispatcherHarness,
    DispatcherSuite,
    Watched,
    quoted,
)


class CrashesSuite(DispatcherSuite):
    """After a crash of either side a message is found again."""

    # ---- once, whatever happens

    @requires("can_be_asked")
    async def test_message_is_carried_out_once(self, harness: DispatcherHarness) -> None:
        """A ticket that is run again gives the same answer; the model is not asked again."""
        prompt = harness.echoes()
        ticket, first = await harness.run_new(prompt)
        again = await harness.run(first.request, ticket)
        assert again.ended.verdict is Verdict.SUCCEEDED
        assert again.ended.text == first.ended.text
        assert await harness.count(prompt) == 1

    @requires("can_be_asked")
    async def test_unsent_message_is_unknown(self, harness: DispatcherHarness) -> None:
        """A ticket that was only prepared can be sent."""
        request = harness.request(harness.echoes())
        ticket = await harness.prepare(request)
        assert await harness.dispatcher.find(ticket) is Finding.UNKNOWN
        run = await harness.run(request, ticket)
        assert run.ended.verdict is Verdict.SUCCEEDED

    @requires("can_be_asked")
    async def test_finished_message_is_found(self, harness: DispatcherHarness) -> None:
        """Its answer can be fetched by a caller that never sent it."""
        prompt = harness.echoes()
        ticket, first = await harness.run_new(prompt)
        fresh = await harness.crash_caller()
        assert await fresh.find(ticket) is Finding.FINISHED
        fetched = await harness.run(first.request, ticket, dispatcher=fresh)
        assert fetched.ended.verdict is Verdict.SUCCEEDED
        assert fetched.ended.text == first.ended.text
        assert await harness.count(prompt) == 1

    @requires("can_be_asked")
    async def test_earlier_message_of_the_session_is_another(
        self, harness: DispatcherHarness
    ) -> None:
        """The same words sent twice are two messages."""
        prompt = harness.echoes()
        first, run = await harness.run_new(prompt)
        second = await harness.prepare(run.request, first)
        assert await harness.dispatcher.find(second) is Finding.UNKNOWN
        await harness.run(run.request, second)
        assert await harness.count(prompt) == 2

    async def test_caller_that_dies_leaves_a_run_behind(self, harness: DispatcherHarness) -> None:
        """Its successor finds the message: still running, or broken off; never unknown."""
        prompt = harness.hangs()
        request = harness.request(prompt)
        ticket = await harness.prepare(request)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(harness.watch(request, ticket).follow)
            await harness.reached(prompt)
            fresh = await harness.crash_caller()
            tasks.cancel_scope.cancel()
        finding = await fresh.find(ticket)
        if not self.features.can_be_asked:
            assert finding is Finding.CANNOT_TELL
            return
        outlives = self.features.outlives_caller
        assert finding is (Finding.RUNNING if outlives else Finding.BROKEN_OFF)
        if outlives:
            await fresh.cancel(ticket)
        assert await harness.count(prompt) == 1

    @requires("outlives_caller", "runs_tools")
    async def test_run_that_outlives_its_caller_is_followed_to_its_end(
        self, harness: DispatcherHarness
    ) -> None:
        """The successor gets the whole answer; the model was asked once."""
        begun, go_on = harness.directory / "begun", harness.directory / "go on"
        waits = f"touch {quoted(begun)}; until test -e {quoted(go_on)}; do sleep 0.05; done"
        prompt = harness.runs(waits)
        request = harness.request(prompt)
        ticket = await harness.prepare(request)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(harness.watch(request, ticket).follow)
            await harness.until(begun.exists)
            fresh = await harness.crash_caller()
            tasks.cancel_scope.cancel()
        assert await fresh.find(ticket) is Finding.RUNNING
        run = Watched(fresh, request, ticket, harness.patience)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run.follow)
            await run.seen(RunStarted)
            go_on.touch()
        assert run.ended.verdict is Verdict.SUCCEEDED
        assert run.ended.text.endswith("all done")
        assert await harness.count(prompt) == 1

    @requires("lives_apart")
    async def test_run_of_an_agent_that_dies_is_broken_off(
        self, harness: DispatcherHarness
    ) -> None:
        """The watcher is told, the message is not unknown, and the session can go on."""
        prompt = harness.hangs()
        request = harness.request(prompt)
        ticket = await harness.prepare(request)
        run = harness.watch(request, ticket)
        unreachable: list[DispatcherUnavailable] = []

        async def follow() -> None:
            try:
                await run.follow()
            except DispatcherUnavailable as error:
                unreachable.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            await harness.reached(prompt)
            await harness.crash_agent()
        if not unreachable:
            assert run.ended.verdict is Verdict.BROKEN_OFF
            assert run.ended.reason
        if not self.features.can_be_asked:
            return
        assert await harness.dispatcher.find(ticket) is Finding.BROKEN_OFF
        go_on = harness.request(harness.echoes())
        second = await harness.prepare(go_on, ticket, kind=TicketKind.CONTINUATION)
        assert second.session_id == ticket.session_id
        assert second.kind is TicketKind.CONTINUATION
        continued = await harness.run(go_on, second)
        assert continued.ended.verdict is Verdict.SUCCEEDED
        assert await harness.count(prompt) == 1
