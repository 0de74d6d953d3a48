"""Orders as files in a folder: the queue for workers, the catalogue for people."""

from galaxy_adapters.queue_filesystem._times import QueueTimes
from galaxy_adapters.queue_filesystem.catalogue import FilesystemOrderCatalogue
from galaxy_adapters.queue_filesystem.queue import FilesystemOrderQueue

__all__ = ["FilesystemOrderCatalogue", "FilesystemOrderQueue", "QueueTimes"]
