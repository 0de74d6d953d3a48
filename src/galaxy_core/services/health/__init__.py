"""How the parts are: looked at once (`checks`), or watched, and told to people (`Watch`)."""

from galaxy_core.services.health.alerts import AlertConfig, AlertDesk
from galaxy_core.services.health.pulse import DEAD_AFTER, Pulse
from galaxy_core.services.health.watch import Probe, Watch

__all__ = ["DEAD_AFTER", "AlertConfig", "AlertDesk", "Probe", "Pulse", "Watch"]
