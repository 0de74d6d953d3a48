"""Part of `DispatcherContract`: what people see of a run, and are asked."""

from __future__ import annotations

import anyio
import pytest

from galaxy_core.domain.errors import RequestNotFound
from galaxy_core.domain.ids import RequestId
from galaxy_core.domain.run import (
    PermissionChoice,
    PermissionReply,
    PermissionRequested,
    QuestionAsked,
    QuestionRejected,
    QuestionReply,
    RequestResolved,
    StepFinished,
    TodosChanged,
    ToolChanged,
    ToolStatus,
    Verdict,
)
from galaxy_core.testing.contracts.contract import requires
from galaxy_core.testing.contracts.dispatcher_harness import (
    DispatcherHarness,
    DispatcherSuite,
    Watched,
    quoted,
)


class PeopleSuite(DispatcherSuite):
    """Tools and lists are told; permissions and questions wait for a person."""

    # ---- tools

    @requires("runs_tools")
    async def test_tools_and_steps_are_told(self, harness: DispatcherHarness) -> None:
        """A watcher sees which command ran, how it ended, and every step of the model."""
        _, run = await harness.run_new(harness.runs("echo one", "exit 3"))
        over = [tool for tool in run.of(ToolChanged) if tool.status is not ToolStatus.RUNNING]
        assert [tool.tool for tool in over] == ["bash", "bash"]
        assert len({tool.call_id for tool in over}) == 2
        assert "one" in over[0].detail
        assert [step.number for step in run.of(StepFinished)] == [1, 2, 3]
        assert run.of(StepFinished)[-1].reason == "stop"
        assert run.ended.verdict is Verdict.SUCCEEDED
        assert run.ended.text.endswith("all done")

    @requires("runs_tools")
    async def test_todo_list_is_told(self, harness: DispatcherHarness) -> None:
        """The agent's own list is shown as it is now, whole."""
        _, run = await harness.run_new(harness.plans())
        todos = run.of(TodosChanged)[-1].todos
        assert [(todo.content, todo.status) for todo in todos] == [
            ("one", "completed"),
            ("two", "pending"),
        ]

    # ---- people

    @requires("runs_tools")
    async def test_tool_that_nobody_may_allow_fails_the_run(
        self, harness: DispatcherHarness
    ) -> None:
        """Without a way to ask, a tool that needs permission is refused, and that is no success."""
        if self.features.asks_permissions:
            pytest.skip("it asks a person instead")
        made = harness.asking_directory / "made"
        prompt = harness.runs(f"touch {quoted(made)}")
        request = harness.request(prompt, directory=harness.asking_directory)
        run = await harness.run(request, await harness.prepare(request))
        assert run.ended.verdict is Verdict.FAILED
        assert run.ended.reason
        assert "permission" in run.ended.reason
        assert not made.exists()

    @pytest.mark.parametrize(
        "choice,asked", [(PermissionChoice.ONCE, 2), (PermissionChoice.ALWAYS, 1)]
    )
    @requires("asks_permissions")
    async def test_permission_is_given(
        self, harness: DispatcherHarness, choice: PermissionChoice, asked: int
    ) -> None:
        """`once` lets one call through, `always` those like it too."""
        run = await self._with_permission(harness, PermissionReply(choice=choice), asked)
        assert len(run.of(PermissionRequested)) == asked
        assert [resolved.how for resolved in run.of(RequestResolved)] == [choice.value] * asked
        assert run.ended.verdict is Verdict.SUCCEEDED
        assert run.ended.text.endswith("all done")

    @requires("asks_permissions")
    async def test_rejected_permission_ends_the_run(self, harness: DispatcherHarness) -> None:
        """A plain no stops the agent; that is no success."""
        reply = PermissionReply(choice=PermissionChoice.REJECT)
        run = await self._with_permission(harness, reply, 1)
        assert run.ended.verdict is Verdict.FAILED
        assert run.ended.reason
        assert [resolved.how for resolved in run.of(RequestResolved)] == ["reject"]

    @requires("asks_permissions")
    async def test_rejection_with_words_goes_on(self, harness: DispatcherHarness) -> None:
        """A no that says what to do instead reaches the agent, which goes on."""
        reply = PermissionReply(choice=PermissionChoice.REJECT, message="use another way")
        run = await self._with_permission(harness, reply, 2)
        assert run.ended.verdict is Verdict.SUCCEEDED
        assert run.ended.text.endswith("all done")

    async def _with_permission(
        self, harness: DispatcherHarness, reply: PermissionReply, times: int
    ) -> Watched:
        prompt = harness.runs("echo first", "echo second")
        request = harness.request(prompt, directory=harness.asking_directory)
        ticket = await harness.prepare(request)
        run = harness.watch(request, ticket)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run.follow)
            for number in range(1, times + 1):
                asked = await run.seen(PermissionRequested, number)
                assert asked.permission
                await harness.dispatcher.answer(ticket, asked.request_id, reply)
        with pytest.raises(RequestNotFound):
            await harness.dispatcher.answer(ticket, asked.request_id, reply)
        return run

    @requires("asks_questions")
    async def test_question_is_answered(self, harness: DispatcherHarness) -> None:
        """The person's choice reaches the agent, which goes on."""
        request = harness.request(harness.asks("Which colour?", "red", "blue"))
        ticket = await harness.prepare(request)
        run = harness.watch(request, ticket)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run.follow)
            asked = await run.seen(QuestionAsked)
            (question,) = asked.questions
            assert question.text == "Which colour?"
            assert [option.label for option in question.options] == ["red", "blue"]
            reply = QuestionReply(answers=(("blue",),))
            await harness.dispatcher.answer(ticket, asked.request_id, reply)
        assert [resolved.how for resolved in run.of(RequestResolved)] == ["answered"]
        assert run.ended.verdict is Verdict.SUCCEEDED
        assert run.ended.text.endswith("all done")

    @requires("asks_questions")
    async def test_question_is_refused(self, harness: DispatcherHarness) -> None:
        """A person who does not want to answer does not leave the agent waiting."""
        request = harness.request(harness.asks("Which colour?", "red", "blue"))
        ticket = await harness.prepare(request)
        run = harness.watch(request, ticket)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run.follow)
            asked = await run.seen(QuestionAsked)
            await harness.dispatcher.answer(ticket, asked.request_id, QuestionRejected())
        assert [resolved.how for resolved in run.of(RequestResolved)] == ["rejected"]

    async def test_answer_to_nothing_is_refused(self, harness: DispatcherHarness) -> None:
        """An answer for which nobody waits is not swallowed."""
        ticket, _ = await harness.run_new(harness.echoes())
        reply = PermissionReply(choice=PermissionChoice.ONCE)
        with pytest.raises(RequestNotFound):
            await harness.dispatcher.answer(ticket, RequestId("per_0"), reply)
