"""Folders of an order's own, below the machine's notepads."""

from galaxy_adapters.order_files_filesystem.files import FilesystemOrderFiles

__all__ = ["FilesystemOrderFiles"]
