"""Whether opencode has a model provider of the person's own.

opencode lists free hosted models as connected even when nothing is set up, and tries them for
ever on a machine without a network; so this looks at what the person has configured instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

KEY_VARIABLES = (
    "ANTHROPIC_API_KEY",
    "OPENAI_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_GENERATIVE_AI_API_KEY",
    "OPENROUTER_API_KEY",
    "GROQ_API_KEY",
    "MISTRAL_API_KEY",
    "DEEPSEEK_API_KEY",
    "XAI_API_KEY",
    "AZURE_API_KEY",
    "AWS_BEARER_TOKEN_BEDROCK",
    "OPENCODE_API_KEY",
)
"""Variables from which opencode takes a provider's key (its documentation, "Providers")."""


def find_provider(environment: Mapping[str, str], home: Path) -> str | None:
    """Say where a provider is set up; None when there is none."""
    for name in KEY_VARIABLES:
        if environment.get(name):
            return f"the variable {name}"
    data = Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share")
    login = data / "opencode" / "auth.json"
    if _read(login):
        return str(login)
    config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "opencode"
    for name in ("opencode.json", "config.json"):
        settings = _read(config / name)
        if settings.get("provider") or settings.get("model"):
            return str(config / name)
    if (config / "opencode.jsonc").exists():
        return str(config / "opencode.jsonc")
    return None


def _read(path: Path) -> dict[str, object]:
    """The object in a JSON file; empty when there is none to be read."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
