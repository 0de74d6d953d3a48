"""The state in a file, so that the server too can be killed and started again."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

from galaxy_core.testing.bot_api.state import State


def save(state: State, file: Path) -> None:
    """Replace the file."""
    new = file.with_suffix(f"{file.suffix}.new")
    new.write_bytes(pickle.dumps(state))
    os.replace(new, file)  # noqa: PTH105 - one system call, whole or not at all


def load(file: Path) -> State | None:
    """The state of the server that was there before; None if there was none."""
    if not file.exists():
        return None
    state = pickle.loads(file.read_bytes())  # noqa: S301 - its own file
    if not isinstance(state, State):
        raise TypeError(f"{file} holds no state of a Bot API server")
    return state
