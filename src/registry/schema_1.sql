-- Who ever reported; all of it claimed.
CREATE TABLE nodes (
    id         INTEGER PRIMARY KEY,
    peer_id    BLOB    NOT NULL UNIQUE,
    name       TEXT    NOT NULL,
    version    TEXT    NOT NULL,
    network    TEXT    NOT NULL,
    first_seen INTEGER NOT NULL, -- milliseconds since 1970, by our clock, as all times
    last_seen  INTEGER NOT NULL
) STRICT;

-- A report's name is (node, run, seq): one that comes again changes nothing.
CREATE TABLE attempts (
    node     INTEGER NOT NULL,
    run      INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    attempt  INTEGER NOT NULL,
    peer     BLOB,
    cause    TEXT    NOT NULL,
    own_nat  TEXT    NOT NULL,
    peer_nat TEXT    NOT NULL,
    path     TEXT,             -- of the first usable link; none where there was none
    moved    TEXT,             -- the path on which a relayed one left its relay
    ms       INTEGER NOT NULL,
    reason   TEXT,
    PRIMARY KEY (node, run, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_counted ON attempts (at, cause, node, own_nat, peer_nat, path, moved, ms);
CREATE INDEX attempts_numbered ON attempts (node, run, attempt);

CREATE TABLE moves (
    node      INTEGER NOT NULL,
    run       INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    attempt   INTEGER,
    peer      BLOB    NOT NULL,
    from_path TEXT    NOT NULL,
    to_path   TEXT    NOT NULL,
    gap_ms    INTEGER NOT NULL,
    PRIMARY KEY (node, run, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX moves_at ON moves (at);

CREATE TABLE failovers (
    node   INTEGER NOT NULL,
    run    INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    old    BLOB    NOT NULL,
    new    BLOB,
    gap_ms INTEGER,
    lost   INTEGER,
    PRIMARY KEY (node, run, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX failovers_at ON failovers (at);

CREATE TABLE states (
    node            INTEGER NOT NULL,
    run             INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    at              INTEGER NOT NULL,
    nat             TEXT    NOT NULL,
    known           INTEGER NOT NULL,
    tried           INTEGER NOT NULL,
    direct          INTEGER NOT NULL,
    punched         INTEGER NOT NULL,
    relayed         INTEGER NOT NULL,
    spread_known    INTEGER,
    spread_expected INTEGER,
    PRIMARY KEY (node, run, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX states_at ON states (at);
CREATE INDEX states_of ON states (node, at);
