"""Files that leave the machine: which may, and what is said where one may not.

A letter may have been written by anybody, an agent that was led astray included.  So a file has
to lie below one of the folders that people named, after all links are followed; and what looks
like a secret stays, wherever it lies.
"""

from __future__ import annotations

import os
import re
import stat
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO

from attrs import frozen

MEGABYTE = 1 << 20

_SECRET_FOLDERS = frozenset(
    {
        *(".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".git", ".galaxy"),
        *(".password-store", ".galaxy-state"),
    }
)
_SECRET_FILES = (
    *(".env", ".env.*", "*.env", ".envrc"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*.pem", "*.key", "*.ppk"),
    *("*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.gpg", "*.age"),
    *(".netrc", "_netrc", ".git-credentials", ".gitconfig", ".npmrc", ".pypirc", ".pgpass"),
    *(".htpasswd", "auth.json", "credentials", "credentials.*", "*.credentials"),
    *("secret.*", "secrets.*", "*_secret", "*_secrets", "*.secret", "*.secrets"),
    *("service-account*.json", "*.tfstate", "*.tfstate.*", "shadow", "*.token"),
)
_HARMLESS = ("*.example", "*.sample", "*.template", "*.pub")
_ODD_NAME = re.compile(r'[\x00-\x1f\x7f"\\/:*?<>|\u2028-\u202e\u2066-\u2069]')
_LONGEST_NAME = 120


@frozen(kw_only=True)
class OutgoingRules:
    """Which files may be sent."""

    roots: tuple[Path, ...] = ()
    """Folders below which a file has to lie; relative paths are looked for in each."""
    largest_bytes: int = 50 * MEGABYTE
    """Telegram's own Bot API takes 50 MB, one of your own 2,000."""
    largest_photo_bytes: int = 10 * MEGABYTE


@frozen
class OutgoingFile:
    """A file that may be sent, open; whoever has it closes it."""

    name: str
    size: int
    stream: BinaryIO


@frozen
class Kept:
    """A file that may not be sent."""

    name: str
    reason: str

    @property
    def line(self) -> str:
        """What people are told."""
        return f"\U0001f4ce {self.name}: not sent, {self.reason}."


def open_file(path: str, rules: OutgoingRules) -> OutgoingFile | Kept:
    """Open a file that a letter names, or say why it stays.  Blocks; raises nothing."""
    name = shown_name(path)
    try:
        found = _locate(path, rules.roots)
        if isinstance(found, str):
            return Kept(name, found)
        place, inside = found
        if is_secret(inside):
            return Kept(name, "because it looks like a secret")
        # The name was resolved: a link in its place now was put there meanwhile.  A pipe must
        # not keep us waiting.
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return Kept(name, "because it is not there any more")
    except (OSError, ValueError, RuntimeError):  # a NUL in the name; a loop of links
        return Kept(name, "because it cannot be read")
    status = os.fstat(descriptor)
    reason = _objection(status, rules)
    if reason is None:
        return OutgoingFile(name, status.st_size, os.fdopen(descriptor, "rb"))
    os.close(descriptor)
    return Kept(name, reason)


def is_secret(path: Path) -> bool:
    """Whether a path below a root looks like something that nobody should be sent."""
    *folders, name = (part.casefold() for part in path.parts)
    if any(folder in _SECRET_FOLDERS for folder in folders):
        return True
    if any(fnmatchcase(name, pattern) for pattern in _HARMLESS):
        return False
    return any(fnmatchcase(name, pattern) for pattern in _SECRET_FILES)


def shown_name(path: str) -> str:
    """A file's name as it may stand in a message or a header."""
    text = path.encode("utf-8", "replace").decode("utf-8").rstrip("/").rpartition("/")[2]
    return _ODD_NAME.sub("_", text)[-_LONGEST_NAME:] or "file"


def _locate(path: str, roots: tuple[Path, ...]) -> tuple[Path, Path] | str:
    """Where the file really lies, absolute and as seen from its root; else why it stays."""
    is_missing = False
    for root in roots:
        try:
            home = root.resolve(strict=True)
            place = (home / path).resolve(strict=True)
        except (FileNotFoundError, NotADirectoryError):
            is_missing = True
            continue
        if place.is_relative_to(home) and place != home:
            return place, place.relative_to(home)
    if is_missing and not (Path(path).is_absolute() and Path(path).exists()):
        return "because it is not there any more"
    return "because it lies outside of the folders that I may send from"


def _objection(status: os.stat_result, rules: OutgoingRules) -> str | None:
    if not stat.S_ISREG(status.st_mode):
        return "because it is no plain file"
    if status.st_size == 0:
        return "because it is empty"
    if status.st_size > rules.largest_bytes:
        size, limit = status.st_size / MEGABYTE, rules.largest_bytes // MEGABYTE
        return f"because it has {size:.0f} MB, and {limit} MB is the limit"
    return None
