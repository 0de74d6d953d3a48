"""Notes in one SQLite database, synced at each commit."""

from galaxy_adapters.notes_sqlite._rows import SCHEMA_VERSION
from galaxy_adapters.notes_sqlite.store import SqliteNoteStore

__all__ = ["SCHEMA_VERSION", "SqliteNoteStore"]
