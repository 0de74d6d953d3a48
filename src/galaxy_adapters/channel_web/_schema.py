"""The history's tables.

`number` is one count over all changes: a page that says the last one it saw gets what changed
since, each thing once and as it is now.
"""

from __future__ import annotations

VERSION = 1
NUMBER_STEP = 1_000_000
"""Added at each start: what a power cut took back must not be numbered like what comes after."""

TABLES = """
CREATE TABLE numbers (last INTEGER NOT NULL);
INSERT INTO numbers VALUES (0);

CREATE TABLE conversations (
    person TEXT NOT NULL,
    slug TEXT NOT NULL,
    title TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (person, slug)
) WITHOUT ROWID;

CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    person TEXT NOT NULL,
    slug TEXT NOT NULL,
    at INTEGER NOT NULL,
    number INTEGER NOT NULL,
    key TEXT UNIQUE,
    body TEXT NOT NULL
);
CREATE INDEX messages_chat ON messages (person, slug, id);
CREATE INDEX messages_number ON messages (person, number);

CREATE TABLE inbound (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    value TEXT
);
CREATE INDEX inbound_open ON inbound (place) WHERE value IS NOT NULL;

CREATE TABLE files (
    id TEXT PRIMARY KEY,
    person TEXT NOT NULL,
    name TEXT NOT NULL,
    mime TEXT NOT NULL,
    size INTEGER NOT NULL
) WITHOUT ROWID;
"""
"""An inbound line without a value was confirmed: its key is remembered."""
