"""All SQL of the SQLite store, in the order of `base.py`.

An append touches three small b-trees: the document's row (its head), the entry, the lease. The snapshot has a
table of its own, because SQLite rewrites a whole row, blob and all, when one of its columns changes.
"""

from __future__ import annotations

APPLICATION_ID = 0x59446F63  # "YDoc"; in the file's header, where `file` and we look
SCHEMA_VERSION = 1  # in `user_version`

SCHEMA = """
-- One row: which store this is.
CREATE TABLE store (incarnation TEXT NOT NULL);

-- Every name that has a log or rows. Without a log, epoch, at and head are null.
-- The log goes from sequence `at`, which the snapshot stands for, to `head`. Its times are seconds since 1970.
CREATE TABLE documents (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    epoch       INTEGER,
    at          INTEGER,
    head        INTEGER,
    begun       REAL,
    snapshotted REAL,
    written     REAL,
    used        REAL
);

CREATE TABLE snapshots (document INTEGER PRIMARY KEY, body BLOB NOT NULL);

CREATE TABLE entries (
    document INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    body     BLOB NOT NULL,
    PRIMARY KEY (document, sequence)
) WITHOUT ROWID;

-- Which documents may hold a row, and which rows a document.
CREATE TABLE rows (
    row      TEXT NOT NULL,
    document INTEGER NOT NULL,
    PRIMARY KEY (row, document)
) WITHOUT ROWID;
CREATE INDEX rows_of_document ON rows (document, row);

-- Who writes a name, and who waits in line to. Times are seconds since 1970.
CREATE TABLE leases (
    name    TEXT PRIMARY KEY,
    token   TEXT NOT NULL,
    granted REAL NOT NULL,
    expires REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE waiting (
    ticket INTEGER PRIMARY KEY,
    name   TEXT NOT NULL,
    token  TEXT NOT NULL UNIQUE,
    until  REAL NOT NULL
);
CREATE INDEX waiting_for ON waiting (name, ticket);
"""

INSERT_STORE = "INSERT INTO store (incarnation) VALUES (?)"
INCARNATION = "SELECT incarnation FROM store"
COUNT_TABLES = "SELECT count(*) FROM sqlite_master"

# Reading ----------------------------------------------------------------------------------------------------

LOAD = """
SELECT d.epoch, d.at, d.head, s.body FROM documents d LEFT JOIN snapshots s ON s.document = d.id
WHERE d.name = ? AND d.epoch IS NOT NULL
"""
DOCUMENT = "SELECT id, epoch, at, head FROM documents WHERE name = ?"
ENTRIES = """
SELECT e.sequence, e.body FROM documents d JOIN entries e ON e.document = d.id
WHERE d.name = ? AND e.sequence > ? ORDER BY e.sequence
"""
SINCE = """
SELECT d.epoch, d.at, d.head, e.sequence, e.body
FROM documents d LEFT JOIN entries e ON e.document = d.id AND e.sequence > ?
WHERE d.name = ? AND d.epoch IS NOT NULL ORDER BY e.sequence
"""
HEADS = "SELECT name, epoch, head FROM documents WHERE epoch IS NOT NULL AND name IN ({marks})"

# Writing ----------------------------------------------------------------------------------------------------

ADD_DOCUMENT = "INSERT OR IGNORE INTO documents (name) VALUES (?)"
BEGIN_LOG = """
UPDATE documents SET epoch = :epoch, at = 0, head = 0, begun = :now, snapshotted = :now, written = :now, used = :now
WHERE id = :document
"""
SET_SNAPSHOT = "INSERT OR REPLACE INTO snapshots (document, body) VALUES (?, ?)"
SET_HEAD = "UPDATE documents SET head = ?, written = ? WHERE id = ?"
SET_AT = "UPDATE documents SET at = ?, snapshotted = ? WHERE id = ?"
ADD_ENTRY = "INSERT INTO entries (document, sequence, body) VALUES (?, ?, ?)"
DELETE_ENTRIES = "DELETE FROM entries WHERE document = ? AND sequence <= ?"
DELETE_ALL_ENTRIES = "DELETE FROM entries WHERE document = ?"
DELETE = (
    DELETE_ALL_ENTRIES,
    "DELETE FROM snapshots WHERE document = ?",
    "DELETE FROM rows WHERE document = ?",
    "DELETE FROM documents WHERE id = ?",
)
QUARANTINE = "UPDATE documents SET name = :moved, used = :now WHERE id = :document"
KEEP_NAME = """
INSERT INTO documents (name) SELECT :name WHERE EXISTS (SELECT 1 FROM rows WHERE document = :document)
"""
KEEP_ROWS = "UPDATE rows SET document = (SELECT id FROM documents WHERE name = :name) WHERE document = :document"

# Rows -------------------------------------------------------------------------------------------------------

ADD_ROW = "INSERT OR IGNORE INTO rows (row, document) VALUES (?, ?)"
REMOVE_ROW = "DELETE FROM rows WHERE row = ? AND document = ?"
ROWS = "SELECT r.row FROM documents d JOIN rows r ON r.document = d.id WHERE d.name = ?"
DOCUMENTS_OF = """
SELECT r.row, d.name FROM rows r JOIN documents d ON d.id = r.document WHERE r.row IN ({marks})
"""

# Who uses them? ---------------------------------------------------------------------------------------------

TOUCH = "UPDATE documents SET used = ? WHERE epoch IS NOT NULL AND name IN ({marks})"
USAGE = """
SELECT name, begun, snapshotted, written, used FROM documents WHERE used IS NOT NULL AND name IN ({marks})
"""
UNUSED = """
SELECT name FROM documents WHERE name >= ? AND epoch IS NOT NULL AND coalesce(used, 0) < ? ORDER BY name LIMIT ?
"""

# The store itself -------------------------------------------------------------------------------------------

NAMES = "SELECT name FROM documents WHERE name >= ? AND epoch IS NOT NULL ORDER BY name LIMIT ?"
SIZE = """
SELECT (SELECT count(*) FROM entries e WHERE e.document = d.id),
       (SELECT coalesce(sum(length(e.body)), 0) FROM entries e WHERE e.document = d.id),
       (SELECT coalesce(sum(length(s.body)), 0) FROM snapshots s WHERE s.document = d.id),
       (SELECT count(*) FROM rows r WHERE r.document = d.id)
FROM documents d WHERE d.name = ?
"""

# Leases -----------------------------------------------------------------------------------------------------

HOLDER = "SELECT token, granted, expires FROM leases WHERE name = ?"
GRANT = "INSERT OR REPLACE INTO leases (name, token, granted, expires) VALUES (?, ?, ?, ?)"
RELEASE = "DELETE FROM leases WHERE name = ? AND token = ?"
LOOK = """
SELECT (SELECT expires FROM leases WHERE name = :name AND granted <= :not_before_set_back),
       (SELECT count(*) FROM waiting WHERE name = :name AND until > :now
            AND ticket < ifnull((SELECT ticket FROM waiting WHERE token = :token), 9e18))
"""
STAND_IN_LINE = """
INSERT INTO waiting (name, token, until) VALUES (?, ?, ?)
ON CONFLICT (token) DO UPDATE SET until = excluded.until
"""
LEAVE = "DELETE FROM waiting WHERE token = ?"
FORGET_DEAD_WAITERS = "DELETE FROM waiting WHERE until < ?"
FORGET_OLD_LEASES = "DELETE FROM leases WHERE expires < ?"
