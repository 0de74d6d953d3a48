"""Orders as files in a folder: the queue for workers, the catalogue for people.

Names are loaded when they are first used: a command that only lists orders must start fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from galaxy_adapters.queue_filesystem._archive import undecided_dead_letters
    from galaxy_adapters.queue_filesystem._times import QueueTimes
    from galaxy_adapters.queue_filesystem._trust import Trust
    from galaxy_adapters.queue_filesystem.catalogue import FilesystemOrderCatalogue
    from galaxy_adapters.queue_filesystem.queue import FilesystemOrderQueue

__all__ = [
    "FilesystemOrderCatalogue",
    "FilesystemOrderQueue",
    "QueueTimes",
    "Trust",
    "undecided_dead_letters",
]

_HOMES = {
    "FilesystemOrderCatalogue": "catalogue",
    "FilesystemOrderQueue": "queue",
    "QueueTimes": "_times",
    "Trust": "_trust",
    "undecided_dead_letters": "_archive",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
