"""How long the queue waits for what."""

from __future__ import annotations

from datetime import timedelta

from attrs import frozen


@frozen(kw_only=True)
class QueueTimes:
    """Time limits; the defaults fit a machine that runs agents for minutes."""

    lease: timedelta = timedelta(seconds=30)
    """A worker that shows no sign of life for so long loses its orders, though it is not dead."""
    rescan: timedelta = timedelta(seconds=30)
    """Time between looks at the whole folder, in case a notice was lost."""
    settle: timedelta = timedelta(seconds=2.5)
    """A file that does not parse and has not changed for so long is set aside."""
    poll: timedelta = timedelta(seconds=1)
    """Time between looks at the folder where there are no notices."""
