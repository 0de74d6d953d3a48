"""Tells people when messages do not come in any more, and when they do again.

Once per kind of trouble, and only when it has lasted: a hiccup of the network is none of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from attrs import define, field

from galaxy_adapters.channel_telegram._errors import Trouble
from galaxy_core.domain.incident import Incident, IncidentSeverity
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.incident_sink import IncidentSink

_LASTS: Mapping[Trouble, timedelta] = {
    Trouble.NETWORK: timedelta(minutes=1),
    Trouble.ANSWER: timedelta(minutes=1),
    Trouble.FLOOD: timedelta(minutes=5),
    # A gateway that was just replaced may still be asking.
    Trouble.CONFLICT: timedelta(seconds=15),
    Trouble.WEBHOOK: timedelta(seconds=15),
}
"""How long each must last before people are told; what is not named: at once."""
_SHOWS = timedelta(seconds=5)
"""How long something must be wrong before it is shown: one lost packet is nothing."""
_SETTLES = timedelta(minutes=2)
"""Two programs that share a token disturb each other by turns: one good call proves nothing."""
_KEPT = "Nothing is lost: Telegram keeps messages for 24 hours."

_ADVICE: Mapping[Trouble, str] = {
    Trouble.NETWORK: "Telegram cannot be reached. Check this machine's network, its proxy, and"
    f" `telegram.base_url` if it is set. {_KEPT}",
    Trouble.ANSWER: "What answers in place of Telegram is no Bot API server (the login page of a"
    f" network, or a proxy?). Check `telegram.base_url`. {_KEPT}",
    Trouble.FLOOD: f"Telegram makes us wait before it gives messages. Just wait. {_KEPT}",
    Trouble.CONFLICT: "Another program gets this bot's messages. Stop the other one; if you know"
    " of none, somebody has the token: send /revoke to @BotFather and put the new token into the"
    " settings.",
    Trouble.WEBHOOK: "Another program has set a webhook for this bot, and gets its messages. It"
    " was removed. If it comes back and you know of no such program, somebody has the token: send"
    " /revoke to @BotFather and put the new token into the settings.",
    Trouble.TOKEN: "Telegram does not accept the bot's token (401 or 404). Put the one that"
    " @BotFather shows into the settings, and check `telegram.base_url` if it is set. Then restart"
    " the gateway.",
    Trouble.STORAGE: "Messages from Telegram cannot be stored, so none is taken: free space on the"
    f" disk, or see what is wrong with it. {_KEPT}",
    Trouble.PORT: "The port on which Telegram should call us is taken, or not ours to use: choose"
    f" another one in `telegram.webhook`, and in the proxy before it. {_KEPT}",
    Trouble.SETTING: "Telegram refuses the webhook of the settings: its `url` must be an https"
    f" address that Telegram can reach, on port 443, 80, 88 or 8443. {_KEPT}",
    Trouble.UNREACHED: "Telegram cannot deliver messages to the webhook's `url`: see whether the"
    f" proxy before it works, and whether its certificate is valid. {_KEPT}",
    Trouble.BUG: "Messages from Telegram cannot be taken in, because of a defect in this program."
    f" Its log has the details; please report them. {_KEPT}",
}
_LOUD = set(Trouble) - {Trouble.NETWORK, Trouble.ANSWER, Trouble.FLOOD}
"""What does not pass by itself."""


@define(eq=False)
class Health:
    """How the way in is doing."""

    _bot_id: str
    _clock: Clock
    _incidents: IncidentSink
    _since: dict[Trouble, datetime] = field(factory=dict, init=False)
    _reported: set[Trouble] = field(factory=set, init=False)
    _last_seen: dict[Trouble, float] = field(factory=dict, init=False)
    _heard_at: datetime | None = field(default=None, init=False)

    @property
    def heard_at(self) -> datetime | None:
        """When Telegram answered a question for messages last, or called us."""
        return self._heard_at

    @property
    def shown(self) -> Trouble | None:
        """What has been wrong for more than a moment; None when nothing is."""
        now = self._clock.now()
        lasting = [each for each, since in self._since.items() if now - since >= _SHOWS]
        return lasting[-1] if lasting else None

    def trouble(self, trouble: Trouble) -> None:
        """A call failed so."""
        now = self._clock.now()
        since = self._since.setdefault(trouble, now)
        self._last_seen[trouble] = self._clock.monotonic()
        if trouble in self._reported or now - since < _LASTS.get(trouble, timedelta(0)):
            return
        self._reported.add(trouble)
        is_loud = trouble in _LOUD
        self._report(
            "channel_unhealthy",
            trouble,
            _ADVICE[trouble],
            IncidentSeverity.ERROR if is_loud else IncidentSeverity.WARNING,
            is_for_people=is_loud,
        )

    def fine(self, *troubles: Trouble) -> None:
        """A call succeeded, so that there is none of these (by default: no trouble at all)."""
        now = self._clock.monotonic()
        self._heard_at = self._clock.now()
        over = [
            trouble
            for trouble in self._since
            if (not troubles or trouble in troubles)
            and (
                trouble not in {Trouble.CONFLICT, Trouble.WEBHOOK}
                or now - self._last_seen[trouble] >= _SETTLES.total_seconds()
            )
        ]
        for trouble in over:
            if trouble in self._reported:
                self._report(
                    "channel_recovered",
                    trouble,
                    "Messages from Telegram come in again.",
                    IncidentSeverity.INFO,
                    is_for_people=trouble in _LOUD,
                )
            self._reported.discard(trouble)
            del self._since[trouble]

    def _report(
        self,
        kind: str,
        trouble: Trouble,
        message: str,
        severity: IncidentSeverity,
        *,
        is_for_people: bool,
    ) -> None:
        since = self._since[trouble]
        self._incidents.report(
            Incident(
                kind=kind,
                message=message,
                key=f"{kind}:telegram:{self._bot_id}:{trouble}:{since.isoformat()}",
                severity=severity,
                is_for_people=is_for_people,
                data={"channel": "telegram", "trouble": str(trouble), "since": since.isoformat()},
            )
        )
