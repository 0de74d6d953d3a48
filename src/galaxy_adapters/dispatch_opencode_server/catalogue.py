"""What can be chosen from in each project, remembered for a short time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import anyio
from attrs import frozen

from galaxy_adapters._opencode import Agent, Offer
from galaxy_adapters.dispatch_opencode_server.client import Json, OpencodeClient

_LIFE = timedelta(seconds=30)
"""Long enough to cost a busy machine nothing, short enough that a new agent file is seen soon."""
_CONTINUING_PLUGINS = ("oh-my-opencode", "oh-my-openagent")


@frozen(kw_only=True)
class Project:
    """One project, as its server sees it."""

    offer: Offer
    continues_by_itself: bool = False
    """Whether a plugin goes on working after a turn has ended (oh-my-opencode)."""


@frozen
class _Remembered:
    project: Project
    until: float


class Catalogue:
    """Reads projects, each at most every half minute."""

    def __init__(self) -> None:
        self._known: dict[str, _Remembered] = {}

    async def project(self, client: OpencodeClient, directory: str) -> Project:
        """Describe a project.  Raises `DispatcherUnavailable`."""
        known = self._known.get(directory)
        if known is None or anyio.current_time() >= known.until:
            until = anyio.current_time() + _LIFE.total_seconds()
            known = self._known[directory] = _Remembered(await _read(client, directory), until)
        return known.project

    def forget(self, directory: str) -> None:
        """Read it again next time: what was chosen from it did not do."""
        self._known.pop(directory, None)


async def _read(client: OpencodeClient, directory: str) -> Project:
    # One after the other: the first of them loads the project, the rest take milliseconds.
    config = await client.config(directory)
    agents = await client.agents(directory)
    commands = await client.commands(directory)
    providers = await client.providers(directory)
    model = config.get("model")
    plugins = [str(each) for each in config.get("plugin") or []]
    return Project(
        offer=Offer(
            agents=tuple(_agent(each) for each in agents),
            models=tuple(
                f"{provider['id']}/{model}"
                for provider in providers
                for model in provider.get("models") or {}
            ),
            commands=tuple(str(each.get("name")) for each in commands),
            default_model=model if isinstance(model, str) and "/" in model else None,
        ),
        continues_by_itself=any(name in each for each in plugins for name in _CONTINUING_PLUGINS),
    )


def _agent(item: Json) -> Agent:
    model: Any = item.get("model")
    known = isinstance(model, dict) and model.get("providerID") and model.get("modelID")
    return Agent(
        name=str(item.get("name")),
        mode=str(item.get("mode") or "primary"),
        is_hidden=bool(item.get("hidden")),
        model=f"{model['providerID']}/{model['modelID']}" if known else None,
    )
