"""Notes in one SQLite database, synced at each commit."""

from galaxy_adapters.notes_sqlite.store import SqliteNoteStore

__all__ = ["SqliteNoteStore"]
