"""The courier: the one way out to people."""

from galaxy_core.services.courier.config import CourierConfig, CourierPorts, Delivered, Mailbox
from galaxy_core.services.courier.courier import Courier

__all__ = ["Courier", "CourierConfig", "CourierPorts", "Delivered", "Mailbox"]
