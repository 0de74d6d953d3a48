"""Responses as Markdown files beside the orders' folders."""

from galaxy_adapters.responses_filesystem.store import FilesystemResponseStore

__all__ = ["FilesystemResponseStore"]
