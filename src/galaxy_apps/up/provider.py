"""Whether opencode has a model of the person's own to ask.

opencode lists free hosted models as connected even when nothing is set up, and tries them for ever
on a machine without a network.  So what the person has set up is looked for: in files first, which
costs nothing; where they say nothing, opencode itself is asked for its models.  Both work offline.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

from attrs import frozen

from galaxy_adapters._opencode import child_environment

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
FREE = "opencode"
"""The provider whose models are listed without a key."""
PATIENCE = timedelta(seconds=40)
"""For opencode's answer: two to four seconds, after its very first start twenty."""
_FILES = ("opencode.json", "opencode.jsonc", "config.json")
_MODEL = re.compile(r"[\w.-]+/\S+")
_COMMENT = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_LAST_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])')


@frozen
class Provider:
    """Where answers come from."""

    source: str
    """Where that is set up, for people."""
    is_certain: bool = True
    """False: nobody could say, so it is tried."""


def find_provider(
    environment: Mapping[str, str], directory: Path, opencode: Path | None = None
) -> Provider | None:
    """The person's own provider for work in `directory`; None when there is none.

    Without `opencode` only files and variables are looked at.
    """
    source = _written_down(environment, directory)
    if source is not None:
        return Provider(source)
    return None if opencode is None else _asked(environment, directory, opencode)


def _written_down(environment: Mapping[str, str], directory: Path) -> str | None:
    for name in KEY_VARIABLES:
        if environment.get(name):
            return f"the variable {name}"
    home = Path(environment.get("HOME") or "/")
    data = Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share")
    login = data / "opencode" / "auth.json"
    if _read(login):
        return str(login)
    if _names_one(_object(environment.get("OPENCODE_CONFIG_CONTENT") or "")):
        return "the variable OPENCODE_CONFIG_CONTENT"
    for path in _settings_files(environment, home, directory):
        if _names_one(_read(path)):
            return str(path)
    return None


def _settings_files(environment: Mapping[str, str], home: Path, directory: Path) -> Iterator[Path]:
    """Every file that opencode takes settings from, by its documentation."""
    if environment.get("OPENCODE_CONFIG"):
        yield Path(environment["OPENCODE_CONFIG"])
    folders = [Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "opencode"]
    if environment.get("OPENCODE_CONFIG_DIR"):
        folders.append(Path(environment["OPENCODE_CONFIG_DIR"]))
    for folder in (directory, *directory.parents):
        folders += [folder, folder / ".opencode"]
        if (folder / ".git").exists():
            break
    for folder in folders:
        yield from (folder / name for name in _FILES[: 3 if folder.name == "opencode" else 2])


def _names_one(settings: Mapping[str, object]) -> bool:
    """Whether these settings describe a provider, or choose a free model in so many words."""
    model = settings.get("model")
    return bool(settings.get("provider")) or (
        isinstance(model, str) and model.startswith(f"{FREE}/")
    )


def _read(path: Path) -> Mapping[str, object]:
    """The object in a JSON file, comments allowed; empty when there is none to be read."""
    try:
        return _object(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}


def _object(text: str) -> Mapping[str, object]:
    plain = _COMMENT.sub(lambda found: found[1] or " ", text)
    plain = _LAST_COMMA.sub(lambda found: found[1] or "", plain)
    try:
        found = json.loads(plain)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _asked(environment: Mapping[str, str], directory: Path, opencode: Path) -> Provider | None:
    """Ask opencode for its models: whatever is not one of the free ones somebody set up."""
    quiet = {"OPENCODE_DISABLE_MODELS_FETCH": "1"}  # what comes with it says enough
    try:
        done = subprocess.run(
            [opencode, "models"],
            cwd=directory,
            env=child_environment(environment, directory=directory, additions=quiet),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE.total_seconds(),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return Provider("opencode did not say", is_certain=False)
    models = [line.strip() for line in done.stdout.splitlines() if _MODEL.fullmatch(line.strip())]
    if done.returncode != 0 or not models:
        return Provider("opencode did not say", is_certain=False)
    own = [model for model in models if not model.startswith(f"{FREE}/")]
    return Provider(f"opencode knows {own[0]}") if own else None
