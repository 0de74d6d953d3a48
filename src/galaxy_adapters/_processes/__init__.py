"""Process trees: who a process is, which ones belong together, and how they are ended.

An agent's shell tool begins a process session of its own, so that neither a signal to the
agent's process group nor the agent's death reaches it.  What still holds such a tree together
is the environment that every child inherits: the agent is started with a random marker in it,
and whoever carries the marker is ended with it.
"""

from galaxy_adapters._processes.effort import work_of
from galaxy_adapters._processes.identity import ProcessIdentity, identify
from galaxy_adapters._processes.tree import (
    descendants,
    end,
    end_marked,
    family,
    listener,
    marked,
    root_marked,
)

__all__ = [
    "ProcessIdentity",
    "descendants",
    "end",
    "end_marked",
    "family",
    "identify",
    "listener",
    "marked",
    "root_marked",
    "work_of",
]
