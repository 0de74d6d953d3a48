"""The contract of `Control`."""

from __future__ import annotations

from typing import ClassVar

import anyio
import pytest

from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.ids import OrderId, RequestId
from galaxy_core.domain.operations import AnswerGiven, ControlCommand
from galaxy_core.domain.run import (
    Answer,
    PermissionChoice,
    PermissionReply,
    QuestionRejected,
    QuestionReply,
)
from galaxy_core.ports.control import Control
from galaxy_core.testing.clock import START
from galaxy_core.testing.contracts.contract import PROMPT_SECONDS, Contract, requires
from galaxy_core.testing.contracts.harness import (
    Harness,
    StoreFeatures,
    expect_timeout,
    expect_waking,
)
from galaxy_core.testing.factories import make_cancel

ANSWERS: list[Answer] = [
    PermissionReply(choice=PermissionChoice.ALWAYS),
    PermissionReply(choice=PermissionChoice.REJECT, message='use "uv"\ninstead'),
    QuestionReply(answers=(("Yes", "Maybe"), (), ("free text \U0001f680",))),
    QuestionRejected(),
]


class ControlContract(Contract):
    """Everything that a `Control` owes its callers."""

    features: ClassVar[StoreFeatures] = StoreFeatures()

    @requires("can_refuse")
    async def test_refusing_box_says_so(self, harness: Harness[Control]) -> None:
        """A command that could not be handed in is not thought to be: `StorageUnavailable`."""
        control = await harness.open()
        first, second = make_cancel("a"), make_cancel("b")
        await control.send(first)
        async with harness.refusing():
            with pytest.raises(StorageUnavailable):
                await control.send(second)
        assert list(await control.pending()) == [first]
        await control.send(second)
        assert list(await control.pending()) == [first, second]

    async def test_same_cancellation_is_one_command(self, harness: Harness[Control]) -> None:
        """A person who presses the button again does no harm."""
        control = await harness.open()
        await control.send(make_cancel("a", by="ann"))
        newer = make_cancel("a", by="bob")
        await control.send(newer)
        assert list(await control.pending()) == [newer]

    async def test_newer_answer_replaces_the_older(self, harness: Harness[Control]) -> None:
        """Until it is carried out, a person may change their mind."""
        control = await harness.open()
        await control.send(_answer(ANSWERS[0]))
        await control.send(_answer(ANSWERS[1]))
        assert list(await control.pending()) == [_answer(ANSWERS[1])]

    async def test_answers_to_different_requests_are_kept_apart(
        self, harness: Harness[Control]
    ) -> None:
        """An agent may wait for several answers, and for a cancellation besides."""
        control = await harness.open()
        commands: list[ControlCommand] = [
            _answer(ANSWERS[0], request_id="r1"),
            make_cancel("a"),
            _answer(ANSWERS[0], request_id="r2"),
            _answer(ANSWERS[0], order_id="b", request_id="r1"),
        ]
        for command in commands:
            await control.send(command)
        assert list(await control.pending()) == commands

    @pytest.mark.parametrize("request_id", ["per_1", "../x", "a/b:c", "é\n", "r" * 300])
    async def test_request_may_have_any_name(
        self, harness: Harness[Control], request_id: str
    ) -> None:
        """A request's id is the agent's own text, and never a file name."""
        control = await harness.open()
        command = _answer(ANSWERS[0], request_id=request_id)
        await control.send(command)
        assert list(await control.pending(OrderId("a"))) == [command]
        await control.done(command)
        assert list(await control.pending()) == []

    async def test_done_is_forgotten(self, harness: Harness[Control]) -> None:
        """A command that was carried out does not come back; safe twice."""
        control = await harness.open()
        cancel, answer = make_cancel("a"), _answer(ANSWERS[0])
        await control.send(cancel)
        await control.send(answer)
        await control.done(cancel)
        await control.done(cancel)
        assert list(await control.pending()) == [answer]

    async def test_command_can_be_sent_again_after_it_was_done(
        self, harness: Harness[Control]
    ) -> None:
        """An order that is retried under the same id can be cancelled again."""
        control = await harness.open()
        cancel = make_cancel("a")
        await control.send(cancel)
        await control.done(cancel)
        await control.send(cancel)
        assert list(await control.pending()) == [cancel]

    async def test_oldest_comes_first(self, harness: Harness[Control]) -> None:
        """Commands are carried out in the order in which people gave them."""
        control = await harness.open()
        for order_id in ("z", "a", "m"):
            await control.send(make_cancel(order_id, at=harness.now()))
            await harness.elapse(harness.tick)
        assert [command.order_id for command in await control.pending()] == ["z", "a", "m"]

    async def test_commands_of_one_order_can_be_asked_for(self, harness: Harness[Control]) -> None:
        """A worker looks at its own order's commands only."""
        control = await harness.open()
        await control.send(make_cancel("a"))
        await control.send(make_cancel("a-2"))
        assert list(await control.pending(OrderId("a"))) == [make_cancel("a")]
        assert list(await control.pending(OrderId("b"))) == []

    @pytest.mark.parametrize("answer", ANSWERS)
    async def test_answers_come_back_as_given(
        self, harness: Harness[Control], answer: Answer
    ) -> None:
        """Every kind of answer reaches the agent as the person gave it."""
        control = await harness.open()
        command = _answer(answer, by="ann")
        await control.send(command)
        assert list(await control.pending()) == [command]

    @requires("survives_restart")
    async def test_commands_survive_a_restart(self, harness: Harness[Control]) -> None:
        """Commands outlive both the sender and the worker."""
        control = await harness.open()
        await control.send(make_cancel("a"))
        await control.send(_answer(ANSWERS[2]))
        await harness.restart()
        found = await (await harness.open()).pending()
        assert list(found) == [make_cancel("a"), _answer(ANSWERS[2])]

    # ---- waiting

    async def test_command_that_waits_already_wakes(self, harness: Harness[Control]) -> None:
        """A worker that starts finds what was asked before."""
        control = await harness.open()
        await control.send(make_cancel("a"))
        with anyio.fail_after(PROMPT_SECONDS):
            assert await control.wait(harness.tick * 1000)

    async def test_new_command_wakes(self, harness: Harness[Control]) -> None:
        """A command is carried out when it is given, not at the next look."""
        control = await harness.open()
        async with expect_waking(control.wait, lambda: _has_commands(control)):
            await control.send(make_cancel("a"))

    @requires("has_several_processes")
    async def test_command_from_another_process_wakes(self, harness: Harness[Control]) -> None:
        """Commands come from the gateway and from the command line."""
        control, other = await harness.open(), await harness.open()
        async with expect_waking(control.wait, lambda: _has_commands(control)):
            await other.send(make_cancel("a"))

    async def test_nothing_to_do_lets_the_time_pass(self, harness: Harness[Control]) -> None:
        """Without commands `wait` ends after its time, and says that it found nothing."""
        control = await harness.open()
        await expect_timeout(harness, control.wait)

    async def test_command_left_alone_does_not_spin(self, harness: Harness[Control]) -> None:
        """A command for an order that waits its turn does not keep the worker busy."""
        control = await harness.open()
        await control.send(make_cancel("a"))
        await control.pending()
        await expect_timeout(harness, control.wait)


def _answer(
    answer: Answer, *, order_id: str = "a", request_id: str = "r1", by: str = ""
) -> AnswerGiven:
    return AnswerGiven(
        order_id=OrderId(order_id), request_id=RequestId(request_id), answer=answer, at=START, by=by
    )


async def _has_commands(control: Control) -> bool:
    return bool(await control.pending())
