"""`MachineFolder` on the folder itself, and the health log that lies in it."""

from galaxy_adapters.folder_filesystem.folder import FilesystemMachineFolder
from galaxy_adapters.folder_filesystem.health_log import append_to_health_log

__all__ = ["FilesystemMachineFolder", "append_to_health_log"]
