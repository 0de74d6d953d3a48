"""`TrailIndex` in an SQLite file that can be thrown away and made again."""

from galaxy_adapters.index_sqlite._schema import VERSION as SCHEMA_VERSION
from galaxy_adapters.index_sqlite.index import SqliteTrailIndex

__all__ = ["SCHEMA_VERSION", "SqliteTrailIndex"]
