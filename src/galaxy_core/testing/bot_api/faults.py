"""What goes wrong, planned by tests: by method, by count or by seeded chance."""

from __future__ import annotations

import random
from collections.abc import Sequence

from attrs import define, field, validators

KINDS = {
    "flood": "429 with `retry_after`, nothing happened",
    "error": "JSON with the status `status`, nothing happened",
    "html": "a proxy's page with the status `status`, nothing happened",
    "cut_before": "the connection breaks, nothing happened",
    "cut_after": "the connection breaks after the call took effect",
    "html_after": "a proxy's page after the call took effect",
    "hang": "never answered, nothing happened",
    "hang_after": "never answered after the call took effect",
    "late": "takes effect at once, is answered after `seconds`",
    "cut_body": "takes effect, the connection breaks in the middle of the answer",
    "slow": "takes effect at once, the body trickles for `seconds`",
    "redeliver": "getUpdates overlooks its offset and gives the last `count` confirmed ones again",
    "reorder": "getUpdates gives what it has in another order",
    "conflict": "409 as from a second poller",
    "unauthorized": "401 though the token is right",
    "not_found": "404 though the method is there",
}
"""Every kind of fault and what it does."""

_RECEIVING = frozenset({"getupdates", "setwebhook", "deletewebhook", "getwebhookinfo"})


@define
class Fault:
    """A plan for calls that come."""

    kind: str = field(validator=validators.in_(KINDS))
    method: str | None = None
    """None: any method but getUpdates and the ones of webhooks."""
    times: int | None = 1
    """How many calls it strikes; None: all."""
    after: int = 0
    """So many calls of that method are spared first."""
    probability: float = 1.0
    retry_after: int = 3
    status: int = 502
    seconds: float = 1.0
    count: int = 100
    chat_id: int | None = None
    """Strikes calls to this chat only."""

    def meets(self, method: str, chat_id: str, chance: random.Random) -> bool:
        """Whether it strikes this call; counts."""
        if not self._is_about(method, chat_id) or self.times == 0:
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if chance.random() >= self.probability:
            return False
        if self.times is not None:
            self.times -= 1
        return True

    def _is_about(self, method: str, chat_id: str) -> bool:
        if self.chat_id is not None and str(self.chat_id) != chat_id:
            return False
        if self.method is None:
            return method not in _RECEIVING
        return self.method.lower() == method


def struck(
    faults: Sequence[Fault], method: str, chat_id: str, chance: random.Random
) -> Fault | None:
    """The first fault that strikes this call."""
    return next((one for one in faults if one.meets(method, chat_id, chance)), None)
