"""Command line of the fake opencode, read as the original reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_SHORT = {"-s": "--session", "-m": "--model", "-f": "--file", "-c": "--continue"}
_WITH_VALUE = frozenset(
    {"--session", "--agent", "--model", "--title", "--format", "--dir", "--command", "--variant"}
)
_FLAGS = frozenset({"--auto", "--thinking", "--print-logs", "--pure", "--continue"})


class UsageError(Exception):
    """An option that opencode does not have: it prints its usage and ends with 1."""


@dataclass
class RunArguments:
    """What `opencode run` was told."""

    words: list[str] = field(default_factory=list)
    session: str | None = None
    agent: str | None = None
    model: str | None = None
    title: str | None = None
    command: str | None = None
    directory: str | None = None
    files: list[str] = field(default_factory=list)

    @property
    def message(self) -> str:
        """The positional prompt: an argument with a space is wrapped in quotes."""
        return " ".join(_quoted(word) for word in self.words)


def _quoted(word: str) -> str:
    if " " not in word:
        return word
    return '"' + word.replace('"', '\\"') + '"'


def parse_run(arguments: Sequence[str]) -> RunArguments:
    """Read the arguments after `run`; raises `UsageError`."""
    found = RunArguments()
    rest = iter(arguments)
    for argument in rest:
        name, _, value = argument.partition("=")
        name = _SHORT.get(name, name)
        if argument == "--":
            found.words.extend(rest)
        elif name == "--file":
            # Greedy, like the original: everything up to the next option is a file.
            found.files.extend([value] if value else [])
            _take_files(found, rest)
        elif name in _WITH_VALUE:
            _set(found, name, value or next(rest, ""))
        elif name.startswith("-") and name not in _FLAGS:
            raise UsageError(argument)
        elif not name.startswith("-"):
            found.words.append(argument)
    return found


def _take_files(found: RunArguments, rest: Iterator[str]) -> None:
    for argument in rest:
        if argument == "--":
            found.words.extend(rest)
            return
        name = _SHORT.get(argument, argument)
        if name in _WITH_VALUE:
            _set(found, name, next(rest, ""))
            return
        if not argument.startswith("-"):
            found.files.append(argument)


def _set(found: RunArguments, name: str, value: str) -> None:
    match name:
        case "--session":
            found.session = value
        case "--agent":
            found.agent = value
        case "--model":
            found.model = value
        case "--title":
            found.title = value
        case "--command":
            found.command = value
        case "--dir":
            found.directory = value
