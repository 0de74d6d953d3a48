"""A project folder and an environment in which opencode talks to the scripted model alone.

Nothing of the person's own opencode is read or written: data, settings and cache lie below a
folder that the caller gives, and no provider but the scripted one is enabled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from galaxy_core.testing.script import JSON

PROVIDER = "demo"
MODEL = f"{PROVIDER}/scripted"
OTHER_MODEL = f"{PROVIDER}/other"
"""Answers like `MODEL`, under another name: for seeing which model was asked."""
NAMED_AGENT = "Sisyphus - ultraworker"
"""A primary agent with the kind of name that the oh-my-opencode plugin gives."""


def opencode_config(
    model_url: str,
    *,
    permission: Mapping[str, JSON] | None = None,
    has_snapshots: bool = False,
    agents: Sequence[str] = (NAMED_AGENT,),
) -> dict[str, JSON]:
    """Contents of an `opencode.json`.

    `permission` are opencode's own rules (`{"bash": "ask"}`); snapshots cost about 0.4 s of
    processor time per model step and are only needed for diffs and reverts.
    """
    models: dict[str, JSON] = {
        model.partition("/")[2]: {
            "name": f"Scripted demo model ({model})",
            "tool_call": True,
            "reasoning": True,
            "attachment": True,
            "modalities": {"input": ["text", "image"], "output": ["text"]},
            "limit": {"context": 128_000, "output": 8_192},
        }
        for model in (MODEL, OTHER_MODEL)
    }
    config: dict[str, JSON] = {
        "$schema": "https://opencode.ai/config.json",
        "model": MODEL,
        "small_model": MODEL,
        "autoupdate": False,
        "share": "disabled",
        "snapshot": has_snapshots,
        # Free hosted models count as connected without a key: nothing may fall back to them.
        "enabled_providers": [PROVIDER],
        "provider": {
            PROVIDER: {
                "npm": "@ai-sdk/openai-compatible",
                "name": "Scripted demo model (no real model is asked)",
                "options": {"baseURL": model_url, "apiKey": "none"},
                "models": models,
            }
        },
        "agent": {
            name: {"mode": "primary", "description": "An agent with a name of its own"}
            for name in agents
        },
    }
    if permission is not None:
        config["permission"] = dict(permission)
    return config


def write_opencode_project(
    folder: Path,
    model_url: str,
    *,
    permission: Mapping[str, JSON] | None = None,
    has_snapshots: bool = False,
) -> Path:
    """Make `folder` a project whose `opencode.json` points at the scripted model."""
    folder.mkdir(parents=True, exist_ok=True)
    config = opencode_config(model_url, permission=permission, has_snapshots=has_snapshots)
    (folder / "opencode.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return folder


def private_environment(home: Path, base: Mapping[str, str]) -> dict[str, str]:
    """An environment for opencode whose every file lies below `home`; `base` gives PATH and such.

    What would lead opencode elsewhere (its own variables, another home) is left out of `base`.
    """
    kept = {
        name: value
        for name, value in base.items()
        if not name.startswith(("OPENCODE_", "XDG_", "GALAXY_")) and name != "PWD"
    }
    return kept | {
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    }
