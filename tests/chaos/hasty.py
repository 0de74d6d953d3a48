"""The daemons, but for two numbers: `python hasty.py gateway` or `hermes`.

A letter's last try comes after seconds, not ten minutes; an order that was given back waits at
most seconds for its next attempt, not up to five minutes.  Nobody waits that long at the end of a
storm.  All the rest is the programs that people run.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from functools import partial

from galaxy_apps import gateway, hermes
from galaxy_core.domain.policy import RetryPolicy
from galaxy_core.services import hermes as hermes_service
from galaxy_core.services.courier import CourierConfig
from galaxy_core.services.gateway import caduceus
from galaxy_core.services.hermes import HermesConfig

LAST_TRY = timedelta(seconds=15)
NEXT_ATTEMPT = RetryPolicy(max_attempts=5, factor=4.0, ceiling=timedelta(seconds=10))

if __name__ == "__main__":
    caduceus.CourierConfig = partial(CourierConfig, last_try_after=LAST_TRY)  # type: ignore[assignment,attr-defined]
    hermes_service.HermesConfig = partial(HermesConfig, retry=NEXT_ATTEMPT)  # type: ignore[assignment,misc]
    sys.exit({"gateway": gateway.main, "hermes": hermes.main}[sys.argv[1]](sys.argv[2:]))
