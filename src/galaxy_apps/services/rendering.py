"""From the unit files of `services/` to those of one user: paths put in, lines chosen.

A placeholder is a word between two @.  A line whose placeholder has no value is left out.  Lines
that begin with `#@user ` or `#@system ` hold for one kind of manager only.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen

_PLACEHOLDER = re.compile(r"@([a-z_]+)@")
_CHOICE = re.compile(r"#@(user|system) (.*)")
_DIRECTIVE = re.compile(r"([A-Za-z]+)=")
_MARK = re.compile(r"# Written by galaxy services install for (.*); sha256 ([0-9a-f]{64})\n")

BASE = "PrivateUsers"
"""The user namespace itself."""
NEEDS_NAMESPACE: Mapping[str, str] = {
    "CapabilityBoundingSet": "",
    "PrivateDevices": "yes",
    "PrivateTmp": "yes",
    BASE: "yes",
    "ProtectClock": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHome": "read-only",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectProc": "invisible",
    "ProtectSystem": "strict",
    "ReadWritePaths": "/",
}
"""What a user's manager can do in a user namespace only, if at all, with a value to try it with."""


def sources() -> Path:
    """Where the files of `services/` are: in the wheel, or beside the sources."""
    shipped = Path(__file__).parent.with_name("services_data")
    return shipped if shipped.is_dir() else Path(__file__).parents[3] / "services"


@frozen(kw_only=True)
class Rendering:
    """What is put into the files."""

    values: Mapping[str, str | None]
    owner: str
    """The settings file for which they are written."""
    is_system: bool = False
    impossible: frozenset[str] = frozenset()
    """Settings that the manager here cannot carry out."""

    def of(self, name: str) -> str:
        """One file, with the mark that says whose it is."""
        text = "".join(
            f"{line}\n"
            for source in (sources() / name).read_text(encoding="utf-8").splitlines()
            if (line := self._line(source)) is not None
        )
        return (
            f"# Written by galaxy services install for {self.owner}; sha256 {_hash(text)}\n{text}"
        )

    def _line(self, line: str) -> str | None:
        choice = _CHOICE.fullmatch(line)
        if choice is not None:
            if choice[1] != ("system" if self.is_system else "user"):
                return None
            line = choice[2]
        directive = _DIRECTIVE.match(line)
        if directive is None:
            return line
        for name in _PLACEHOLDER.findall(line):
            value = self.values[name]
            if value is None:
                return None
            line = line.replace(f"@{name}@", value)
        if directive[1] in self.impossible:
            return f"# Not possible on this host: {line}"
        return line


@frozen(kw_only=True)
class Mark:
    """What the first line of a file says that we wrote."""

    owner: str
    is_unchanged: bool


def mark_of(text: str) -> Mark | None:
    """Whose file it is; None when it is not ours."""
    found = _MARK.match(text)
    if found is None:
        return None
    return Mark(owner=found[1], is_unchanged=_hash(text[found.end() :]) == found[2])


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# ---- the forms of values in unit files


def word(text: str) -> str:
    """One argument of a command line, whatever it holds."""
    return f'"{_escaped(text).replace("$", "$$")}"'


def quoted(text: str) -> str:
    """One item of a setting that takes a list."""
    return f'"{_escaped(text)}"'


def plain(text: str) -> str:
    """A setting that takes a single path as it is."""
    return text.replace("%", "%%")


def words(items: Sequence[str]) -> str:
    """Items of a setting that takes a list."""
    return " ".join(quoted(item) for item in items)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")


def instance(name: str) -> str:
    """A name as it stands between the @ and the suffix of a unit, as `systemd-escape` has it."""
    escaped = "".join(
        c if c.isascii() and (c.isalnum() or c in ":_.") else _hexes(c) if c != "/" else "-"
        for c in name
    )
    return _hexes(".") + escaped[1:] if escaped.startswith(".") else escaped


def _hexes(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode())
