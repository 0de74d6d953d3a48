"""Feeds of running orders, one file each."""

from galaxy_adapters.progress_filesystem.feed import FilesystemProgressFeed

__all__ = ["FilesystemProgressFeed"]
