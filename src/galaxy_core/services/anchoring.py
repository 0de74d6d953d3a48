"""Writing the heads of the trails down where whoever could rewrite the trails cannot reach.

Once a day: a line in a file for each trail, and a letter to each owner, named after day and chat.
Doing it again on the same day changes nothing, so it is done at every start.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta

import structlog
from attrs import define

from galaxy_core.domain.audit import AuditQuery
from galaxy_core.domain.errors import TransientError
from galaxy_core.domain.letter import Letter, LetterFormat
from galaxy_core.domain.message import Address
from galaxy_core.ports.anchor_log import Anchor, AnchorLog
from galaxy_core.ports.audit_trail import AuditTrail
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.outbox import Outbox

log = structlog.get_logger(__name__)

LOOK_EVERY = timedelta(hours=1)
NAME = "audit-anchor-"
"""How the names of such letters begin."""


@define
class AnchorDesk:
    """Reads the heads of all trails and hands them out."""

    _trails: Mapping[str, AuditTrail]
    """By the name that verifying asks for: a machine's, or the gateway's."""
    _outbox: Outbox
    _clock: Clock
    _log: AnchorLog | None = None
    _is_told: bool = True
    """Whether owners get letters."""

    async def anchor(self, owners: Sequence[Address]) -> None:
        """Do what is still to be done today.  Raises `StorageUnavailable`; safe twice."""
        anchors = [each for each in [await self._head(name) for name in self._trails] if each]
        if not anchors:
            return
        if self._log is not None:
            await self._log.add(anchors)
        if self._is_told:
            for owner in owners:
                await self._outbox.post(_letter(owner, anchors))

    async def keep(self) -> None:
        """Anchor each day, for a daemon that has no owners to tell, until cancelled."""
        while True:
            try:
                await self.anchor(())
            except TransientError as error:
                log.warning("anchors.not_written", error=str(error))
            except Exception:  # a bug of ours must not end the daemon
                log.exception("anchors.crashed")
            await self._clock.sleep(LOOK_EVERY)

    async def _head(self, name: str) -> Anchor | None:
        """The newest line of a trail; None on the day on which it was begun.

        Nobody wants to be greeted with a checksum.
        """
        trail, now = self._trails[name], self._clock.now()
        first = (await trail.read_on(None, limit=1)).records
        if not first or first[0].event.timestamp.date() >= now.date():
            return None
        for record in await trail.read(AuditQuery(limit=1)):
            if record.sequence is not None and record.digest is not None:
                return Anchor(trail=name, sequence=record.sequence, digest=record.digest, at=now)
        return None


def _letter(owner: Address, anchors: Sequence[Anchor]) -> Letter:
    place = f"{owner.channel}:{owner.chat_id}:{owner.topic or ''}"
    chat = hashlib.sha256(place.encode("utf-8", "replace")).hexdigest()[:8]
    at = anchors[0].at
    lines = [f"{each.trail}, line {each.sequence}:\n{each.digest}" for each in anchors]
    return Letter(
        name=f"{NAME}{at:%Y-%m-%d}-{chat}",
        message="Heads of the audit trail. Keep this message: `galaxy audit verify --anchor HEAD`"
        " finds whether anything up to there was changed or cut off.\n\n" + "\n".join(lines),
        timestamp=at,
        sender="Audit trail",
        channel=owner.channel,
        chat_id=owner.chat_id,
        topic=owner.topic,
        format=LetterFormat.PLAIN,
    )
