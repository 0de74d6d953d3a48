"""Letters to people as JSON files that anybody on the machine may drop."""

from galaxy_adapters.outbox_filesystem.outbox import FilesystemOutbox

__all__ = ["FilesystemOutbox"]
