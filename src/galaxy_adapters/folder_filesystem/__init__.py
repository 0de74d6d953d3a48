"""`MachineFolder` on the folder itself."""

from galaxy_adapters.folder_filesystem.folder import FilesystemMachineFolder

__all__ = ["FilesystemMachineFolder"]
