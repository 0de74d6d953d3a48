"""Port `OldFiles` on a machine's folder."""

from galaxy_adapters.old_filesystem.files import FilesystemOldFiles

__all__ = ["FilesystemOldFiles"]
