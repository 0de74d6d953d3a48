"""What can be seen: machines, live orders, figures, records; and the feeding of their index."""

from galaxy_core.services.insight.config import InsightPorts, TrailSource
from galaxy_core.services.insight.feeding import TrailFeeding
from galaxy_core.services.insight.records import LocalRecords
from galaxy_core.services.insight.seeing import LocalInsight

__all__ = ["InsightPorts", "LocalInsight", "LocalRecords", "TrailFeeding", "TrailSource"]
