"""Run journals as files that are only ever appended to."""

from galaxy_adapters.journal_filesystem.journal import FilesystemRunJournal

__all__ = ["FilesystemRunJournal"]
