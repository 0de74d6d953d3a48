"""Commands to orders as files, one each."""

from galaxy_adapters.control_filesystem.control import FilesystemControl

__all__ = ["FilesystemControl"]
