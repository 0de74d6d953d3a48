"""How `opencode run` is called: arguments, environment, the prompt on standard input."""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO

from attrs import field, frozen

from galaxy_adapters._opencode import child_environment
from galaxy_adapters._opencode.steady import steady_clock
from galaxy_adapters.dispatch_opencode_cli.process import SupervisedProcess
from galaxy_adapters.dispatch_opencode_cli.tickets import MARKER, Errand, sent_text
from galaxy_core.domain.errors import DispatchRejected
from galaxy_core.domain.run import RunRequest

_ASKING = ("question", "plan_enter", "plan_exit")
"""Tools that wait for a person, who is not there: in a session that another client made, opencode
would wait for ever."""


@frozen(kw_only=True)
class Launch:
    """Everything a run is started with."""

    binary: Path
    environment: Mapping[str, str] = field(repr=False)
    state: Path
    grace: timedelta
    now: datetime

    @asynccontextmanager
    async def process(
        self, request: RunRequest, errand: Errand, lock: int
    ) -> AsyncIterator[SupervisedProcess]:
        """Start it; the file with the system prompt lives as long as the block."""
        directory = Path(errand.directory)
        system = self._write_system(request.system, errand)
        try:
            with _prompt_file(request.prompt) as prompt:
                yield await SupervisedProcess.start(
                    [str(self.binary), *arguments(request, errand)],
                    directory=directory,
                    environment=self._environment(directory, errand, system),
                    prompt=prompt,
                    lock=lock,
                    grace=self.grace,
                )
        finally:
            if system is not None:
                system.unlink(missing_ok=True)

    def _environment(self, directory: Path, errand: Errand, system: Path | None) -> dict[str, str]:
        additions = {
            MARKER: errand.run,
            **steady_clock(errand.after, self.now),
            "OPENCODE_PERMISSION": _permission(self.environment.get("OPENCODE_PERMISSION")),
        }
        if system is not None:
            given = self.environment.get("OPENCODE_CONFIG_CONTENT")
            additions["OPENCODE_CONFIG_CONTENT"] = _config(given, system)
        return child_environment(self.environment, directory=directory, additions=additions)

    def _write_system(self, text: str | None, errand: Errand) -> Path | None:
        """`opencode run` has no option for a system prompt; its configuration names files."""
        if not text:
            return None
        file = self.state / f"{errand.run}.md"
        self.state.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file.absolute()


def arguments(request: RunRequest, errand: Errand) -> list[str]:
    """Words after the executable.

    The prompt is never among them: `opencode run` puts quotes around an argument with a space, and
    takes one with a dash for an option.
    """
    words = ["run", "--format=json", "--thinking", f"--session={errand.session}"]
    if errand.agent:
        words.append(f"--agent={errand.agent}")
    if errand.model:
        words.append(f"--model={errand.model}")
    if errand.command:
        words.append(f"--command={errand.command}")
    # Last, because -f takes every word that follows.
    return words + [word for path in attached_files(request) for word in ("-f", str(path))]


def attached_files(request: RunRequest) -> list[Path]:
    """Paths of the attachments; raises `DispatchRejected` for what is no file here."""
    found: list[Path] = []
    for attachment in request.attachments:
        if not attachment.path:
            raise DispatchRejected(
                "The dispatcher `opencode-cli` takes files only, and an attachment is an address: "
                f"{attachment.url!r}. Download it first, or use the dispatcher `opencode-server`."
            )
        path = (request.directory / attachment.path).absolute()
        if not path.exists():
            raise DispatchRejected(f"The attachment {path} does not exist.")
        if not path.is_file() and not path.is_dir():
            # A pipe would be waited for without end, and is nothing to be shown.
            raise DispatchRejected(f"The attachment {path} is neither a file nor a folder.")
        found.append(path)
    return found


def _prompt_file(prompt: str) -> IO[bytes]:
    """A file rather than a pipe: a pipe that stays open hangs opencode for ever."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the caller
    file.write(sent_text(prompt).encode())
    file.seek(0)
    return file


def _permission(given: str | None) -> str:
    rules = _decoded(given)
    # A bare word ("allow") is a rule for everything.
    kept = rules if isinstance(rules, dict) else {"*": rules} if rules else {}
    return json.dumps({**kept, **dict.fromkeys(_ASKING, "deny")})


def _config(given: str | None, system: Path) -> str:
    config = _decoded(given)
    kept = config if isinstance(config, dict) else {}
    return json.dumps({**kept, "instructions": [*kept.get("instructions", []), str(system)]})


def _decoded(text: str | None) -> object:
    try:
        found: object = json.loads(text or "null")
    except ValueError:
        return None  # opencode will say what it thinks of it
    return found
