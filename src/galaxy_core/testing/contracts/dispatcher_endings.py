"""Part of `DispatcherContract`: runs that are cancelled, left, or go on for too long."""

from __future__ import annotations

from datetime import timedelta

import anyio

from galaxy_core.domain.delivery import Finding
from galaxy_core.domain.run import RunLimits, StepFinished, Verdict
from galaxy_core.testing.contracts.contract import requires
from galaxy_core.testing.contracts.dispatcher_harness import (
    DispatcherHarness,
    DispatcherSuite,
    Watched,
    is_alive,
    sleeper,
)


class EndingsSuite(DispatcherSuite):
    """A run that has to end ends, with everything it started."""

    # ---- ending a run

    @requires("runs_tools")
    async def test_cancelled_run_stops_with_its_tools(self, harness: DispatcherHarness) -> None:
        """`cancel` returns when nothing works on the order any more, also no shell command."""
        pid_file = harness.directory / "pid"
        request = harness.request(harness.runs(sleeper(pid_file)))
        ticket = await harness.prepare(request)
        run = harness.watch(request, ticket)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run.follow)
            await harness.until(lambda: bool(pid_file.exists() and pid_file.read_text()))
            await harness.dispatcher.cancel(ticket)
            assert not is_alive(pid_file)
        assert run.ended.verdict is Verdict.CANCELLED

    async def test_hanging_run_is_cancelled(self, harness: DispatcherHarness) -> None:
        """An agent that waits for its provider ends at once; a second `cancel` does no harm."""
        prompt = harness.hangs()
        request = harness.request(prompt)
        ticket = await harness.prepare(request)
        run = harness.watch(request, ticket)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run.follow)
            await harness.reached(prompt)
            await harness.dispatcher.cancel(ticket)
            await harness.dispatcher.cancel(ticket)
        assert run.ended.verdict is Verdict.CANCELLED
        await harness.dispatcher.cancel(ticket)

    async def test_cancelling_nothing_is_harmless(self, harness: DispatcherHarness) -> None:
        """Neither a message that was never sent nor one that is over minds."""
        request = harness.request(harness.echoes())
        ticket = await harness.prepare(request)
        await harness.dispatcher.cancel(ticket)
        finished, _ = await harness.run_new(harness.echoes())
        await harness.dispatcher.cancel(finished)
        again, run = await harness.run_new(harness.echoes(), finished)
        assert again.session_id == finished.session_id
        assert run.ended.verdict is Verdict.SUCCEEDED

    @requires("runs_tools")
    async def test_watcher_that_leaves_leaves_no_orphan(self, harness: DispatcherHarness) -> None:
        """A run nobody watches goes on where it can be found again, else it ends at once."""
        pid_file = harness.directory / "pid"
        request = harness.request(harness.runs(sleeper(pid_file)))
        ticket = await harness.prepare(request)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(harness.watch(request, ticket).follow)
            await harness.until(lambda: bool(pid_file.exists() and pid_file.read_text()))
            tasks.cancel_scope.cancel()
        assert is_alive(pid_file) is self.features.outlives_caller
        if self.features.outlives_caller:
            assert await harness.dispatcher.find(ticket) is Finding.RUNNING
            await harness.dispatcher.cancel(ticket)
            assert not is_alive(pid_file)

    # ---- limits

    async def test_silent_run_is_given_up(self, harness: DispatcherHarness) -> None:
        """No sign of life for too long ends the run, with a sentence."""
        silence = timedelta(seconds=1)
        await self._gives_up(harness, harness.hangs(), RunLimits(silence=silence), elapses=silence)

    async def test_long_run_is_given_up(self, harness: DispatcherHarness) -> None:
        """The whole time of a run is limited."""
        total = timedelta(seconds=1)
        await self._gives_up(harness, harness.hangs(), RunLimits(total=total), elapses=total)

    @requires("counts_steps")
    async def test_run_with_too_many_steps_is_given_up(self, harness: DispatcherHarness) -> None:
        """An agent's own limit is only advice to the model; this one holds."""
        prompt = harness.runs(*["true"] * 8)
        run = await self._gives_up(harness, prompt, RunLimits(steps=3))
        assert len(run.of(StepFinished)) <= 5

    @requires("counts_steps")
    async def test_rubbish_from_the_provider_is_given_up(self, harness: DispatcherHarness) -> None:
        """A provider that answers with rubbish is asked again for ever: that is ended."""
        await self._gives_up(harness, harness.babbles(), RunLimits(unknown_finishes=3))

    async def _gives_up(
        self,
        harness: DispatcherHarness,
        prompt: str,
        limits: RunLimits,
        *,
        elapses: timedelta | None = None,
    ) -> Watched:
        request = harness.request(prompt, limits=limits)
        ticket = await harness.prepare(request)
        run = harness.watch(request, ticket)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run.follow)
            if elapses is not None:
                await harness.elapse(elapses)
        assert run.ended.verdict is Verdict.FAILED
        assert run.ended.reason
        return run
