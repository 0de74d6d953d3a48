"""How a setting says which key of the file it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

KEY: Final = "galaxy.key"
VARIABLE: Final = "galaxy.variable"
MINIMUM: Final = "galaxy.minimum"
MAXIMUM: Final = "galaxy.maximum"


def key(
    name: str,
    *,
    env: str | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
) -> Mapping[str, object]:
    """Metadata of one setting: its key in the file, its variable, its bounds.

    Bounds are inclusive, and in the file's own unit.
    """
    return {KEY: name, VARIABLE: env, MINIMUM: minimum, MAXIMUM: maximum}
