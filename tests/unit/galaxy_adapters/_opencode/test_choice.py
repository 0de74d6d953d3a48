"""Which agent, model and command carry an order out."""

from pathlib import Path

import pytest

from galaxy_adapters._opencode import Agent, Choice, Offer, choose
from galaxy_core.domain.errors import DispatchRejected
from galaxy_core.domain.ids import ConversationKey, OrderId
from galaxy_core.domain.run import RunRequest
from galaxy_core.domain.session import Session

OFFER = Offer(
    agents=(
        Agent(name="Sisyphus - ultraworker"),
        Agent(name="plan", model="demo/thinker"),
        Agent(name="plan-b", mode="all"),
        Agent(name="Atlas - Plan Executor"),
        Agent(name="Atlas - Reviewer"),
        Agent(name="title", is_hidden=True),
        Agent(name="explore", mode="subagent"),
    ),
    models=("demo/scripted", "demo/thinker", "other/scripted"),
    commands=("init", "Review"),
    default_model="demo/scripted",
)


def request(
    command: str = "general", agent: str | None = None, model: str | None = None
) -> RunRequest:
    """Make an order's request that makes these choices."""
    return RunRequest(
        order_id=OrderId("o"),
        prompt="p",
        directory=Path("/"),
        command=command,
        agent=agent,
        model=model,
    )


def session(agent: str | None = None, model: str | None = None) -> Session:
    """Make a conversation for which these were chosen."""
    return Session(conversation=ConversationKey("c"), agent=agent, model=model)


@pytest.mark.parametrize("word", ["general", "General", "", "  "])
def test_no_choice_is_the_default_agent(word: str) -> None:
    """`general` and nothing mean the agent that opencode lists first, never one of that name."""
    offer = Offer(agents=(*OFFER.agents, Agent(name="general", mode="subagent")))
    assert choose(offer, request(word, agent=word), None).agent == "Sisyphus - ultraworker"


@pytest.mark.parametrize(
    "name,agent",
    [
        ("sisyphus", "Sisyphus - ultraworker"),
        ("SISYPHUS - ULTRAWORKER", "Sisyphus - ultraworker"),
        ("plan", "plan"),
        ("plan-", "plan-b"),
        (" Atlas - r", "Atlas - Reviewer"),
    ],
)
def test_agent_is_found_by_name_or_one_prefix(name: str, agent: str) -> None:
    """An exact name wins over names that begin with it; case does not count."""
    assert choose(OFFER, request(agent=name), None).agent == agent
    assert choose(OFFER, request(command=name), None).agent == agent


@pytest.mark.parametrize(
    "name,sentence",
    [
        ("atlas", "More than one agent's name begins with “atlas”"),
        ("explore", "“explore” is a sub-agent"),
        ("title", "is a sub-agent"),
        ("nobody", "There is no agent “nobody”"),
    ],
)
def test_name_that_will_not_do_is_refused_with_those_that_would(name: str, sentence: str) -> None:
    """opencode would take its default agent in silence."""
    with pytest.raises(DispatchRejected, match=sentence) as refused:
        choose(OFFER, request(agent=name), None)
    assert "plan-b" in str(refused.value)


def test_order_comes_before_conversation_before_settings() -> None:
    """The nearest choice counts, for agent and model alike."""
    chosen = choose(OFFER, request(), session("plan", "other/scripted"), default_agent="sisyphus")
    assert chosen == Choice(agent="plan", model="other/scripted")
    chosen = choose(
        OFFER, request(agent="plan-b", model="thinker"), session("plan", "other/scripted")
    )
    assert chosen == Choice(agent="plan-b", model="demo/thinker")
    chosen = choose(OFFER, request(), session(), default_agent="sisy", default_model="demo/thinker")
    assert chosen == Choice(agent="Sisyphus - ultraworker", model="demo/thinker")


def test_agent_brings_its_own_model() -> None:
    """A model is always named: without one the session's last would stick."""
    assert choose(OFFER, request(agent="plan"), None).model == "demo/thinker"
    assert choose(OFFER, request(), None).model == "demo/scripted"


def test_model_of_two_providers_needs_both_names() -> None:
    """An ambiguous or unknown model is refused before it can spoil the session."""
    with pytest.raises(DispatchRejected, match="demo/scripted, other/scripted"):
        choose(OFFER, request(model="scripted"), None)
    with pytest.raises(DispatchRejected, match=r"no model “demo/nothing”.*demo/thinker"):
        choose(OFFER, request(model="demo/nothing"), None)
    with pytest.raises(DispatchRejected, match="opencode auth login"):
        choose(Offer(agents=OFFER.agents), request(model="demo/nothing"), None)


@pytest.mark.parametrize("name", ["review", "/review", "Review"])
def test_command_of_opencode_is_run_by_the_chosen_agent(name: str) -> None:
    """A command is no agent's name; the agent is chosen as without it."""
    chosen = choose(OFFER, request(name), session(agent="plan"))
    assert chosen == Choice(agent="plan", model="demo/thinker", command="Review")


def test_unknown_command_beside_an_agent_is_refused() -> None:
    """With the agent named, `command` can only be a command."""
    with pytest.raises(DispatchRejected, match=r"no command “deploy”.*init, Review"):
        choose(OFFER, request("deploy", agent="plan"), None)
