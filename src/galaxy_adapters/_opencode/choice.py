"""Which agent, model and command carry an order out: by name, or a clear refusal.

opencode itself falls back to its default agent in silence when it does not know a name, and an
unknown model spoils the session for good; so names are settled here, before anything is sent.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from galaxy_core.domain.errors import DispatchRejected
from galaxy_core.domain.order import DEFAULT_COMMAND
from galaxy_core.domain.run import RunRequest
from galaxy_core.domain.session import Session

_SHOWN = 12
"""How many names an error lists; a provider may have hundreds of models."""


@frozen(kw_only=True)
class Agent:
    """One agent as opencode lists it."""

    name: str
    mode: str = "primary"
    """`primary`, `subagent` or `all`."""
    is_hidden: bool = False
    """Whether opencode keeps it for its own errands (titles, summaries)."""
    model: str | None = None
    """`provider/model` set for it, if any."""

    @property
    def can_lead(self) -> bool:
        """Whether it may answer a person, rather than another agent."""
        return self.mode != "subagent" and not self.is_hidden


@frozen(kw_only=True)
class Offer:
    """What can be chosen from in one project."""

    agents: tuple[Agent, ...] = ()
    """In opencode's order: the first that can lead is the default."""
    models: tuple[str, ...] = ()
    """`provider/model` of every model that can be used."""
    commands: tuple[str, ...] = ()
    default_model: str | None = None
    """What the project's configuration says; None leaves it to opencode."""


@frozen(kw_only=True)
class Choice:
    """What was chosen for one order."""

    agent: str
    model: str | None = None
    """`provider/model`; None leaves it to opencode."""
    command: str | None = None
    """An opencode command to be run with the prompt as its arguments."""


def choose(
    offer: Offer,
    request: RunRequest,
    session: Session | None,
    *,
    default_agent: str | None = None,
    default_model: str | None = None,
) -> Choice:
    """Decide by the order, else by its conversation, else by the defaults (the settings).

    The order's `command` is a command of opencode or, where there is none of that name, an
    agent; `general` and nothing mean no choice.  Raises `DispatchRejected`.
    """
    name = _wanted(request.command)
    command = _command(name, offer.commands)
    wanted = (
        _wanted(request.agent)
        or (name if command is None else None)
        or _wanted(session.agent if session else None)
        or _wanted(default_agent)
    )
    if command is None and name and _wanted(request.agent):
        raise DispatchRejected(
            f"There is no command “{name}”. Commands: {_listed(offer.commands)}."
        )
    agent = choose_agent(wanted, offer.agents)
    model = request.model or (session.model if session else None) or default_model
    return Choice(
        agent=agent.name,
        model=choose_model(model, offer.models) if model else agent.model or offer.default_model,
        command=command,
    )


def choose_agent(name: str | None, agents: Sequence[Agent]) -> Agent:
    """Find an agent by its name or by the one that begins with it, whatever the case.

    None is the default agent.  Raises `DispatchRejected`, which lists the names that would do.
    """
    leaders = [agent for agent in agents if agent.can_lead]
    if name is None:
        if not leaders:
            raise DispatchRejected("opencode lists no agent that could answer an order.")
        return leaders[0]
    wanted = name.casefold()
    exact = [agent for agent in agents if agent.name.casefold() == wanted]
    matching = exact or [agent for agent in agents if agent.name.casefold().startswith(wanted)]
    chosen = [agent for agent in matching if agent.can_lead]
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        names = ", ".join(agent.name for agent in chosen)
        problem = f"More than one agent's name begins with “{name}”: {names}."
    elif matching:
        problem = f"“{matching[0].name}” is a sub-agent: it works for other agents only."
    else:
        problem = f"There is no agent “{name}”."
    names = _listed([agent.name for agent in leaders])
    raise DispatchRejected(f"{problem} Agents that can be asked: {names}.")


def choose_model(name: str, models: Sequence[str]) -> str:
    """Find a model by `provider/model`, or by its own name where only one provider has it.

    Raises `DispatchRejected`, which lists the names that would do.
    """
    wanted = name.strip().casefold()
    exact = [model for model in models if model.casefold() == wanted]
    matching = exact or [m for m in models if m.partition("/")[2].casefold() == wanted]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise DispatchRejected(
            f"More than one provider has the model “{name}”: {_listed(matching)}."
        )
    if not models:
        raise DispatchRejected(
            f"There is no model “{name}”: opencode has no provider. `opencode auth login` adds one."
        )
    raise DispatchRejected(f"There is no model “{name}” here. Models: {_listed(models)}.")


def _wanted(name: str | None) -> str | None:
    """Clean a name that somebody wrote; None when it makes no choice."""
    name = (name or "").strip()
    return None if not name or name.casefold() == DEFAULT_COMMAND else name


def _command(name: str | None, commands: Sequence[str]) -> str | None:
    if name is None:
        return None
    wanted = name.removeprefix("/").casefold()
    return next((command for command in commands if command.casefold() == wanted), None)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more if names else "none"
