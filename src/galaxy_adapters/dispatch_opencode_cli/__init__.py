"""Dispatcher on `opencode run`, for machines that want no server.

One process an order, with everything it starts under a supervisor of its own.  It cannot show text
while it is written, nor ask people; a run ends with the Hermes that began it.
"""

from galaxy_adapters.dispatch_opencode_cli.dispatcher import (
    OpencodeCliDispatcher,
    OpencodeCliSettings,
)

__all__ = ["OpencodeCliDispatcher", "OpencodeCliSettings"]
