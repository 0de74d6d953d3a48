"""Passwords, kept as hashes: scrypt of the standard library, with its cost written down beside."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode
from functools import cache

__all__ = ["decoy", "hash_password", "is_hash", "matches"]

_N, _R, _P = 1 << 15, 8, 1
"""32 MB and some 50 ms for each try."""
_LARGEST_N, _LARGEST_R, _LARGEST_P = 1 << 20, 32, 16
_SHORTEST_SALT, _SHORTEST_DIGEST = 8, 16
_LONGEST_PASSWORD = 1024


def hash_password(password: str) -> str:
    """What to keep in place of the password."""
    if not password or len(password) > _LONGEST_PASSWORD:
        raise ValueError(f"a password has 1 to {_LONGEST_PASSWORD} characters")
    salt = secrets.token_bytes(16)
    digest = _scrypt(password, salt, _N, _R, _P)
    return f"scrypt${_N}${_R}${_P}${b64encode(salt).decode()}${b64encode(digest).decode()}"


def is_hash(text: str) -> bool:
    """Whether it is what `hash_password` makes."""
    return _parts(text) is not None


def matches(password: str, hashed: str) -> bool:
    """Whether that is the password.  Takes as long either way; False for a hash that is none."""
    parts = _parts(hashed)
    if parts is None:
        return False
    n, r, p, salt, digest = parts
    given = _scrypt(password[:_LONGEST_PASSWORD], salt, n, r, p, length=len(digest))
    return hmac.compare_digest(given, digest) and len(password) <= _LONGEST_PASSWORD


@cache
def decoy() -> str:
    """A hash that nobody has the password to: unknown names take as long as wrong passwords."""
    return hash_password(secrets.token_urlsafe(32))


def _parts(text: str) -> tuple[int, int, int, bytes, bytes] | None:
    try:
        name, n, r, p, salt, digest = text.split("$")
        cost = int(n), int(r), int(p)
        found = (*cost, b64decode(salt, validate=True), b64decode(digest, validate=True))
    except ValueError:
        return None
    is_sane = 1 < cost[0] <= _LARGEST_N and cost[1] <= _LARGEST_R and cost[2] <= _LARGEST_P
    is_sane = is_sane and cost[0] & (cost[0] - 1) == 0 and min(cost[1:]) > 0
    is_long = len(found[3]) >= _SHORTEST_SALT and len(found[4]) >= _SHORTEST_DIGEST
    return found if name == "scrypt" and is_sane and is_long else None


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int, length: int = 32) -> bytes:
    data = password.encode("utf-8", "surrogatepass")
    memory = 128 * n * r + 128 * r * p + (1 << 20)
    return hashlib.scrypt(data, salt=salt, n=n, r=r, p=p, dklen=length, maxmem=memory)
