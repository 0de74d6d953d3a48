"""`TrailIndex` in an SQLite file that can be thrown away and made again."""

from galaxy_adapters.index_sqlite.index import SqliteTrailIndex

__all__ = ["SqliteTrailIndex"]
