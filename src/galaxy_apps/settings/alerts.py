"""Settings of what people are told when something is wrong."""

from __future__ import annotations

import re
from datetime import time, timedelta

from attrs import field, frozen

from galaxy_apps.settings.keys import key
from galaxy_apps.settings.secret import Secret
from galaxy_core.domain.health import QuietHours

_HOURS = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\s*-\s*([01]?\d|2[0-3]):([0-5]\d)")


@frozen(kw_only=True)
class AlertSettings:
    """Who is told what, when, and which way."""

    url: Secret | None = field(default=None, metadata=key("url", env="GALAXY_ALERTS_URL"))
    """A second way out, for when letters do not get out: an ntfy topic (`https://ntfy.sh/...`), or
    whatever takes a POST like it.  Who knows the address can read along.  None: there is none."""
    token: Secret | None = field(default=None, metadata=key("token", env="GALAXY_ALERTS_TOKEN"))
    """Sent there as a bearer token; none: the topic needs none."""
    quiet_hours: str | None = field(default=None, metadata=key("quiet_hours"))
    """When only what is critical may make a noise: `22:00-07:00`, in this host's time.  What is
    still wrong in the morning is told then.  None: never quiet."""
    queue_age: timedelta = field(
        default=timedelta(minutes=15), metadata=key("queue_age", minimum=1)
    )
    """How long an order may wait that could begin: longer than most runs, since the next order of
    a conversation waits for the one before."""
    free_megabytes: int = field(default=1000, metadata=key("free_megabytes", minimum=100))
    """Space on the disk below which somebody should hear of it: enough for days of orders.  Below
    100 it is critical, whatever this says."""

    @property
    def quiet(self) -> QuietHours | None:
        """The quiet hours; None when there are none.  Raises `ValueError` when they are none."""
        if self.quiet_hours is None:
            return None
        found = _HOURS.fullmatch(self.quiet_hours.strip())
        if found is None:
            raise ValueError("it must be two times of day like 22:00-07:00")
        hour, minute, last_hour, last_minute = map(int, found.groups())
        return QuietHours(time(hour, minute), time(last_hour, last_minute))
