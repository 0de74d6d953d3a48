"""Dispatcher on `opencode serve`: its HTTP API and its event stream."""

from galaxy_adapters.dispatch_opencode_server.client import Endpoint
from galaxy_adapters.dispatch_opencode_server.dispatcher import (
    OpencodeDefaults,
    OpencodeServerDispatcher,
)
from galaxy_adapters.dispatch_opencode_server.servers import (
    KNOWN_MAJOR,
    GivenServer,
    OwnServer,
)
from galaxy_adapters.dispatch_opencode_server.settling import SettlingTimes
from galaxy_adapters.dispatch_opencode_server.starting import OwnServerSettings

__all__ = [
    "KNOWN_MAJOR",
    "Endpoint",
    "GivenServer",
    "OpencodeDefaults",
    "OpencodeServerDispatcher",
    "OwnServer",
    "OwnServerSettings",
    "SettlingTimes",
]
