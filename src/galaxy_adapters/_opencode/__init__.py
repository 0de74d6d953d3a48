"""What both opencode dispatchers need to know about opencode itself."""

from galaxy_adapters._opencode.binary import INSTALL_COMMAND, find_opencode
from galaxy_adapters._opencode.choice import Agent, Choice, Offer, choose
from galaxy_adapters._opencode.environment import child_environment, is_same_folder
from galaxy_adapters._opencode.text import without_ansi

__all__ = [
    "INSTALL_COMMAND",
    "Agent",
    "Choice",
    "Offer",
    "child_environment",
    "choose",
    "find_opencode",
    "is_same_folder",
    "without_ansi",
]
