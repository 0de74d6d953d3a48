"""Growing pauses for who guesses: after each failure from an address the next try waits longer."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from datetime import timedelta

from attrs import define, field

from galaxy_core.ports.clock import Clock

FREE_TRIES = 3
LONGEST = timedelta(minutes=1)
"""Behind a proxy everybody has one address: a stranger must not lock the owner out for long."""
FORGOTTEN = timedelta(minutes=15)
_MOST = 4096
"""Addresses remembered; the one that failed longest ago goes first."""


@define
class _Record:
    failures: int = 0
    last: float = 0.0
    until: float = 0.0


@define(eq=False)
class Pauses:
    """Failures by address."""

    _clock: Clock
    _records: OrderedDict[str, _Record] = field(factory=OrderedDict, init=False)

    def left(self, address: str) -> timedelta:
        """How long that address has to wait; nothing: it may try."""
        record = self._records.get(_group(address))
        left = record.until - self._clock.monotonic() if record else 0.0
        return timedelta(seconds=max(0.0, left))

    def failed(self, address: str) -> None:
        """A try failed: 1, 2, 4 ... seconds from the fourth one on."""
        now, key = self._clock.monotonic(), _group(address)
        record = self._records.pop(key, None)
        if record is None or now - record.last > FORGOTTEN.total_seconds():
            record = _Record()
        record.failures += 1
        record.last = now
        if (beyond := record.failures - FREE_TRIES) >= 0:
            record.until = now + min(2.0 ** min(beyond, 30), LONGEST.total_seconds())
        self._records[key] = record
        if len(self._records) > _MOST:
            self._records.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """Begin anew."""
        self._records.pop(_group(address), None)


def _group(address: str) -> str:
    """An IPv6 neighbour has 2**64 addresses: they count as one."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 6 and found.ipv4_mapped is None:  # noqa: PLR2004 - the version's name
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
