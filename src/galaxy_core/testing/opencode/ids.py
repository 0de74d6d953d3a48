"""Names in opencode's own form, which sorts by time."""

from __future__ import annotations

import itertools
import secrets
import string
import time

_LETTERS = string.digits + string.ascii_letters
_counter = itertools.count()


def identifier(kind: str) -> str:
    """`<kind>_`, 12 hexadecimal digits of time and counter, 14 random letters and digits."""
    moment = (int(time.time() * 1000) * 0x1000 + next(_counter) % 0x1000) & 0xFFFF_FFFF_FFFF
    tail = "".join(secrets.choice(_LETTERS) for _ in range(14))
    return f"{kind}_{moment:012x}{tail}"


def now_ms() -> int:
    """Milliseconds since the epoch, as opencode writes every time."""
    return int(time.time() * 1000)
