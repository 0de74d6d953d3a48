"""opencode's short commands: what can be chosen, what a session holds, a new session.

Each starts an opencode for itself, which takes 1 to 3 s.  None of them asks a model.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO

import anyio
from attrs import field, frozen

from galaxy_adapters._opencode import (
    Agent,
    Offer,
    child_environment,
    find_opencode,
    without_ansi,
)
from galaxy_adapters._opencode.parts import Json
from galaxy_core.domain.errors import DispatcherUnavailable

_PATIENCE = timedelta(seconds=60)
"""The first start in a project may install its plugins (27 s seen)."""
_LARGEST_ANSWER = 256 * 1024 * 1024
"""Bytes of a session that are still read; its tools' outputs are in it."""
_AGENT_LINE = re.compile(r"^(\S.*) \((primary|subagent|all)\)$", re.MULTILINE)
_OWN_ERRANDS = frozenset({"compaction", "summary", "title"})
"""Agents that opencode lists as primary and keeps for itself; `agent list` does not mark them."""

DEFAULT_AGENT = "(default)"
"""Stands for whatever agent opencode answers with when none is named: `agent list` does not say
which that is, and a plugin may change it."""


@frozen(kw_only=True)
class SessionContent:
    """A session as `opencode export` gives it."""

    directory: str
    """The folder that it was made in, and in which it works whatever is asked of it."""
    messages: list[Json]
    """Oldest first."""

    @property
    def newest(self) -> str | None:
        """Id of the newest message; None in an empty session."""
        return str(self.messages[-1]["info"]["id"]) if self.messages else None


@frozen(kw_only=True)
class Commands:
    """Runs the opencode that the settings name."""

    setting: str | Path | None
    environment: Mapping[str, str] = field(repr=False)

    def binary(self) -> Path:
        """The executable; raises `DispatcherUnavailable`."""
        return find_opencode(self.setting, self.environment)

    async def version(self, patience: timedelta) -> str:
        """What `--version` says."""
        return (await self._text(["--version"], Path("/"), patience)).strip()

    async def offer(self, directory: Path, *, has_agents: bool, has_models: bool) -> Offer:
        """What can be chosen in the project; agents and models only if they are wanted.

        One after the other: side by side on a new database they lock each other out (1.18.33).
        """
        config: Json = json.loads(await self._text(["debug", "config"], directory))
        settings = config.get("agent") or {}
        agents = await self._text(["agent", "list"], directory) if has_agents else ""
        models = await self._text(["models"], directory) if has_models else ""
        found = [
            Agent(
                name=name,
                mode=mode,
                is_hidden=name in _OWN_ERRANDS,
                model=(settings.get(name) or {}).get("model"),
            )
            for name, mode in _AGENT_LINE.findall(agents)
        ]
        return Offer(
            agents=(Agent(name=DEFAULT_AGENT), *found),
            models=tuple(line.strip() for line in models.splitlines() if "/" in line),
            commands=tuple(config.get("command") or {}),
            default_model=config.get("model"),
        )

    async def session(self, directory: Path, session_id: str) -> SessionContent | None:
        """Everything the session holds; None when opencode does not know it."""
        # Into a file: on a pipe `opencode export` ends after 64 KiB (1.18.33).
        with tempfile.TemporaryFile() as file:
            code, said = await self._call(["export", session_id], directory, file)
            if "not found" in said.lower():
                return None
            if code != 0 or file.tell() > _LARGEST_ANSWER:
                raise DispatcherUnavailable(
                    f"opencode cannot show the session {session_id}: {said or f'exit code {code}'}"
                )
            file.seek(0)
            content: Json = json.loads(file.read())
        info = content.get("info") or {}
        return SessionContent(
            directory=str(info.get("directory") or ""), messages=content.get("messages") or []
        )

    async def new_session(
        self, directory: Path, session_id: str, title: str, now: datetime
    ) -> None:
        """Make an empty session under an id of our own, so that it can be written down first.

        `opencode run` would make one by itself and tell its id only when the model answers.
        """
        moment = int(now.timestamp() * 1000)
        session = {
            "id": session_id,
            "slug": "galaxy",
            "projectID": "global",
            "directory": str(directory),
            "title": title,
            "version": "galaxy",
            "time": {"created": moment, "updated": moment},
        }
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            json.dump({"info": session, "messages": []}, file)
            file.flush()
            await self._text(["import", file.name], directory)

    async def _text(
        self, words: Sequence[str], directory: Path, patience: timedelta = _PATIENCE
    ) -> str:
        with tempfile.TemporaryFile() as file:
            code, said = await self._call(words, directory, file, patience)
            file.seek(0)
            text = file.read().decode("utf-8", "replace")
        if code != 0:
            raise DispatcherUnavailable(
                f"`opencode {' '.join(words[:2])}` ended with {code}: {said or text[-300:].strip()}"
            )
        return without_ansi(text)

    async def _call(
        self,
        words: Sequence[str],
        directory: Path,
        out: IO[bytes],
        patience: timedelta = _PATIENCE,
    ) -> tuple[int, str]:
        """Run a command into `out`; gives its exit code and the end of what it complained of."""
        binary = self.binary()
        environment = child_environment(self.environment, directory=directory)
        try:
            with anyio.fail_after(patience.total_seconds()):
                # Killed with the scope when the time is up.
                done = await anyio.run_process(
                    [str(binary), *words],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.PIPE,
                    check=False,
                    cwd=directory,
                    env=environment,
                    start_new_session=True,
                )
        except TimeoutError as error:
            raise DispatcherUnavailable(
                f"`opencode {' '.join(words[:2])}` did not answer within {patience}."
            ) from error
        except OSError as error:
            raise DispatcherUnavailable(f"{binary} cannot be run: {error.strerror}.") from error
        said = without_ansi((done.stderr or b"").decode("utf-8", "replace")).strip()
        return done.returncode, said[-500:]
