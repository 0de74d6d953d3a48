"""Cutting connections that other programs have open, without a word to either side."""

from __future__ import annotations

import shutil
import socket
import subprocess
from contextlib import closing

_WITHIN_S = 10


def can_cut() -> bool:
    """Whether the kernel and our rights allow it: tried on a connection of our own."""
    if shutil.which("ss") is None:
        return False
    with closing(socket.create_server(("127.0.0.1", 0))) as door:
        port = int(door.getsockname()[1])
        with closing(socket.create_connection(("127.0.0.1", port))) as near:
            far, _ = door.accept()
            with closing(far):
                cut(port)
                near.settimeout(1.0)
                try:
                    near.recv(1)
                except TimeoutError:
                    return False
                except OSError:
                    return True
    return False


def cut(port: int) -> None:
    """Break every connection to a port of this machine; its door stays open."""
    _ss("-K", "state", "connected", f"( sport = :{port} or dport = :{port} )")


def is_connected(port: int) -> bool:
    """Whether anybody has a connection to it."""
    return bool(_ss("state", "established", f"( sport = :{port} )").strip())


def _ss(*words: str) -> str:
    done = subprocess.run(
        ["ss", "-H", "-t", "-n", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=_WITHIN_S,
    )
    return done.stdout
