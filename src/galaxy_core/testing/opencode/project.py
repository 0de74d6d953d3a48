"""A project's configuration as the fake opencode reads it: agents, models, permission rules."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galaxy_core.testing.opencode.store import Document

_NATIVE: tuple[Document, ...] = (
    {"name": "build", "mode": "primary", "native": True},
    {"name": "compaction", "mode": "primary", "native": True, "hidden": True},
    {"name": "explore", "mode": "subagent", "native": True},
    {"name": "general", "mode": "subagent", "native": True},
    {"name": "plan", "mode": "primary", "native": True},
    {"name": "summary", "mode": "primary", "native": True, "hidden": True},
    {"name": "title", "mode": "primary", "native": True, "hidden": True},
)
_FREE_MODEL: Document = {"opencode": {"models": {"free": {"name": "free"}}}}
"""Without a provider of one's own a hosted free one is used, as in the original."""

_DEFAULT_RULES = (
    ("external_directory", "*", "ask"),
    ("read", "*.env", "ask"),
    ("read", "*.env.*", "ask"),
)
"""Everything else is allowed without a question."""


class Project:
    """One folder's settings, read once."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self.directory = directory
        self.config: Document = {}
        file = directory / "opencode.json"
        if file.is_file():
            _merge(self.config, json.loads(file.read_text(encoding="utf-8")))
        _merge(self.config, json.loads(environment.get("OPENCODE_CONFIG_CONTENT") or "{}"))
        rules = [*_DEFAULT_RULES, *_rules(self.config.get("permission", {}))]
        rules += _rules(json.loads(environment.get("OPENCODE_PERMISSION") or "{}"))
        self._rules = rules

    # ---- agents and models

    @property
    def agents(self) -> list[Document]:
        """Agents as `GET /agent` lists them, the default one first."""
        found = {agent["name"]: dict(agent) for agent in _NATIVE}
        for name, settings in self.config.get("agent", {}).items():
            base: Document = {"name": name, "mode": "all", "native": False}
            found[name] = found.get(name, base) | settings
        default = self.default_agent
        return sorted(found.values(), key=lambda agent: (agent["name"] != default, agent["name"]))

    @property
    def default_agent(self) -> str:
        """Name of the agent that answers when none is named."""
        return str(self.config.get("default_agent", "build"))

    def agent(self, name: str) -> Document | None:
        """The agent of exactly this name."""
        return next((agent for agent in self.agents if agent["name"] == name), None)

    @property
    def providers(self) -> dict[str, Document]:
        """Usable providers by name, each with its `models`."""
        return self.config.get("provider") or _FREE_MODEL

    @property
    def models(self) -> list[str]:
        """`provider/model` of everything that can be used."""
        return [
            f"{provider}/{model}"
            for provider, settings in self.providers.items()
            for model in settings.get("models", {})
        ]

    @property
    def default_model(self) -> Document:
        """The model that answers when none is named."""
        provider, _, model = str(self.config.get("model") or self.models[0]).partition("/")
        return {"providerID": provider, "modelID": model}

    @property
    def commands(self) -> dict[str, Document]:
        """Commands of the project by name, each with its `template`."""
        commands: dict[str, Document] = self.config.get("command", {})
        return commands

    # ---- permissions

    def action(self, permission: str, pattern: str) -> str:
        """`allow`, `ask` or `deny`; the last rule that fits counts."""
        found = "allow"
        for wanted_permission, wanted_pattern, action in self._rules:
            if fnmatch.fnmatchcase(permission, wanted_permission) and fnmatch.fnmatchcase(
                pattern, wanted_pattern
            ):
                found = action
        return found


def _rules(written: Any) -> list[tuple[str, str, str]]:  # noqa: ANN401 - as a person wrote it
    if isinstance(written, str):
        return [("*", "*", written)]
    return [
        (permission, pattern, action)
        for permission, rules in written.items()
        for pattern, action in ({"*": rules} if isinstance(rules, str) else rules).items()
    ]


def _merge(into: Document, more: Document) -> None:
    for name, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value
