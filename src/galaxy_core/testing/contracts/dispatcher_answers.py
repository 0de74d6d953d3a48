"""Part of `DispatcherContract`: a prompt, its session, its agent, its answer."""

from __future__ import annotations

import anyio
import pytest
from attrs import evolve

from galaxy_core.domain.errors import DispatchRejected
from galaxy_core.domain.run import RunStarted, TextAppended, Verdict
from galaxy_core.testing.contracts.contract import requires
from galaxy_core.testing.contracts.dispatcher_harness import (
    DispatcherHarness,
    DispatcherSuite,
)

PAYLOADS = {
    "quotes": """Say "it's" and `that` and 'so' \\ "\\"x\\"" """,
    "leading-dash": "--help -x\n- not an option",
    "lines": "\n\n first\r\n\tsecond\n\n\n",
    "unicode": "Grüße, 世界! 👩‍🚀 e\u0301 \u202eback\u202c \u00a0end",
    "shell": "$(touch x) `touch y` ; rm -rf z && echo $HOME %PATH% !1 * ? [a] {b,c} ~",
    "long": "0123456789" * 1000,
}


class AnswersSuite(DispatcherSuite):
    """A prompt reaches the right agent in the right session, and its answer comes back."""

    # ---- a prompt and its answer

    async def test_answer_is_given_whole(self, harness: DispatcherHarness) -> None:
        """A run begins with its names, and ends once, with all that the agent said."""
        prompt = harness.echoes()
        ticket, run = await harness.run_new(prompt)
        assert run.ended.verdict is Verdict.SUCCEEDED
        assert prompt in run.ended.text
        assert run.ended.session_id == ticket.session_id
        assert run.ended.reason is None
        (started,) = run.of(RunStarted)
        assert started is run.events[0]
        assert (started.session_id, started.message_id) == (ticket.session_id, ticket.message_id)
        assert "".join(event.text for event in run.of(TextAppended)) in run.ended.text
        assert ticket.dispatcher == harness.dispatcher.name

    @pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
    async def test_prompt_arrives_byte_for_byte(
        self, harness: DispatcherHarness, payload: str
    ) -> None:
        """Nothing is quoted, trimmed, expanded or taken for an option on the way."""
        prompt = harness.echoes(payload)
        before = await harness.count(prompt)
        _, run = await harness.run_new(prompt)
        assert run.ended.verdict is Verdict.SUCCEEDED
        assert await harness.count(prompt) == before + 1

    @requires("streams_text")
    async def test_text_arrives_while_it_is_written(self, harness: DispatcherHarness) -> None:
        """A watcher reads along; the pieces are the answer."""
        _, run = await harness.run_new(harness.says_slowly("one two three four"))
        pieces = run.of(TextAppended)
        assert len(pieces) > 1
        assert "".join(piece.text for piece in pieces).endswith("one two three four")
        assert run.ended.text.endswith("one two three four")

    @requires("reports_usage")
    async def test_tokens_are_counted(self, harness: DispatcherHarness) -> None:
        """The end of a run says what it cost."""
        _, run = await harness.run_new(harness.echoes())
        assert run.ended.usage.input_tokens > 0
        assert run.ended.usage.output_tokens > 0

    # ---- sessions

    @requires("keeps_sessions")
    async def test_session_remembers(self, harness: DispatcherHarness) -> None:
        """The second prompt of a conversation sees the first."""
        first, _ = await harness.run_new(harness.echoes())
        prompt = harness.echoes()
        second, run = await harness.run_new(prompt, first)
        assert second.session_id == first.session_id
        assert not second.is_session_replaced
        assert second.message_id != first.message_id
        assert f"echo[2]: {prompt}" in run.ended.text

    async def test_new_conversation_knows_nothing(self, harness: DispatcherHarness) -> None:
        """Without a session a new one is made, and that is no replacement."""
        first, _ = await harness.run_new(harness.echoes())
        prompt = harness.echoes()
        second, run = await harness.run_new(prompt)
        assert second.session_id != first.session_id
        assert not second.is_session_replaced
        if self.features.keeps_sessions:
            assert f"echo[1]: {prompt}" in run.ended.text

    @requires("replaces_sessions")
    async def test_lost_session_is_replaced(self, harness: DispatcherHarness) -> None:
        """A session that the agent does not know gives way to a new one, and the ticket says so."""
        request = harness.request(harness.echoes())
        lost = harness.session("ses_0000000000000000000000000a")
        ticket = await harness.dispatcher.prepare(request, lost, attempt=1)
        assert ticket.is_session_replaced
        assert ticket.session_id != lost.session_id
        run = await harness.run(request, ticket)
        assert run.ended.verdict is Verdict.SUCCEEDED

    async def test_session_of_another_agent_is_replaced(self, harness: DispatcherHarness) -> None:
        """A session id means nothing to another kind of agent, whatever it looks like."""
        first, _ = await harness.run_new(harness.echoes())
        foreign = evolve(harness.session(first.session_id), dispatcher="somebody-else")
        request = harness.request(harness.echoes())
        ticket = await harness.dispatcher.prepare(request, foreign, attempt=1)
        assert ticket.is_session_replaced
        assert ticket.session_id != first.session_id

    async def test_conversations_do_not_mix(self, harness: DispatcherHarness) -> None:
        """Runs side by side in different sessions each hear of themselves only."""
        prompts = [harness.echoes(), harness.echoes()]
        requests = [harness.request(prompt) for prompt in prompts]
        tickets = [await harness.prepare(request) for request in requests]
        runs = [harness.watch(*pair) for pair in zip(requests, tickets, strict=True)]
        async with anyio.create_task_group() as tasks:
            for run in runs:
                tasks.start_soon(run.follow)
        for own, other, run in zip(prompts, reversed(prompts), runs, strict=True):
            assert own in run.ended.text
            assert other not in run.ended.text
            assert {event.session_id for event in run.of(RunStarted)} == {run.ticket.session_id}

    # ---- agents, models, providers

    @pytest.mark.parametrize("name", ["no-such-agent", "SUB-AGENT"])
    @requires("chooses_agents")
    async def test_agent_that_cannot_serve_is_rejected(
        self, harness: DispatcherHarness, name: str
    ) -> None:
        """An unknown name, or a sub-agent's, is an error and never a silent default."""
        wanted = harness.sub_agent if name == "SUB-AGENT" else name
        request = harness.request(harness.echoes(), agent=wanted)
        with pytest.raises(DispatchRejected, match=wanted):
            await harness.prepare(request)

    @requires("chooses_agents")
    async def test_agent_is_found_by_the_beginning_of_its_name(
        self, harness: DispatcherHarness
    ) -> None:
        """`sisyphus` finds `Sisyphus - ultraworker`, as the only agent that begins so."""
        beginning = harness.named_agent.partition(" ")[0].lower()
        request = harness.request(harness.echoes(), agent=beginning)
        run = await harness.run(request, await harness.prepare(request))
        assert run.ended.verdict is Verdict.SUCCEEDED
        assert run.of(RunStarted)[0].agent == harness.named_agent

    async def test_general_is_no_agent_in_particular(self, harness: DispatcherHarness) -> None:
        """The word of hand-written orders means the default agent, also as an agent's name."""
        request = harness.request(harness.echoes(), agent="general")
        run = await harness.run(request, await harness.prepare(request))
        assert run.ended.verdict is Verdict.SUCCEEDED

    @requires("chooses_agents")
    async def test_unknown_model_is_rejected(self, harness: DispatcherHarness) -> None:
        """An unknown model is an error before anything is sent."""
        request = harness.request(harness.echoes(), model="nobody/nothing")
        with pytest.raises(DispatchRejected, match="nobody/nothing"):
            await harness.prepare(request)

    @requires("fails")
    async def test_refusal_of_the_provider_is_told(self, harness: DispatcherHarness) -> None:
        """What the provider says stands in the reason, and the order has failed."""
        _, run = await harness.run_new(harness.fails("out of credit"))
        assert run.ended.verdict is Verdict.FAILED
        assert run.ended.reason
        assert "out of credit" in run.ended.reason

    async def test_health_is_told(self, harness: DispatcherHarness) -> None:
        """An agent that can take work says so, and which version it is."""
        with anyio.fail_after(harness.patience.total_seconds()):
            health = await harness.dispatcher.check()
        assert health.is_ready
        assert health.problem is None
        assert health.version
