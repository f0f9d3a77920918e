-- The journal of one data folder. Rowid tables throughout: they take half the
-- time of WITHOUT ROWID ones here.

CREATE TABLE meta (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
);

-- One row an append, in the order of the chain. prev is the row of the same
-- stream before it, 0 for the first. hash covers the hash of row id-1.
CREATE TABLE entries (
	id   INTEGER PRIMARY KEY,
	prev INTEGER NOT NULL,
	hash BLOB NOT NULL,
	data BLOB NOT NULL
);

-- One row a stream; id is the row of its first entry, last that of its last.
-- Everything here can be made again from entries. sum finds damage.
CREATE TABLE heads (
	id          INTEGER PRIMARY KEY,
	last        INTEGER NOT NULL,
	stream      TEXT NOT NULL,
	kind        TEXT NOT NULL,
	site        TEXT NOT NULL,
	tid         TEXT NOT NULL,
	minor       INTEGER NOT NULL,
	currency    TEXT NOT NULL,
	request_key TEXT NOT NULL,
	accepted    INTEGER NOT NULL,
	state       TEXT NOT NULL,
	open        INTEGER NOT NULL,
	told        TEXT NOT NULL,
	type        TEXT NOT NULL,
	result      TEXT NOT NULL,
	counts      INTEGER NOT NULL,
	dispatched  INTEGER NOT NULL,
	ended       INTEGER NOT NULL,
	records     INTEGER NOT NULL,
	sum         INTEGER NOT NULL
);

CREATE UNIQUE INDEX heads_stream ON heads (stream);
CREATE UNIQUE INDEX heads_key ON heads (site, request_key) WHERE request_key <> '';
CREATE INDEX heads_open ON heads (accepted) WHERE open = 1;
CREATE INDEX heads_last ON heads (site, tid, dispatched) WHERE counts = 1;
CREATE INDEX heads_site ON heads (site, accepted);
CREATE INDEX heads_tid ON heads (tid, accepted);
CREATE INDEX heads_accepted ON heads (accepted);
CREATE INDEX heads_reports ON heads (site, accepted) WHERE kind = 'report';

CREATE TABLE sites (
	id                TEXT PRIMARY KEY,
	name              TEXT NOT NULL,
	time_zone         TEXT NOT NULL,
	strict            INTEGER NOT NULL,
	reject_unanswered INTEGER NOT NULL,
	simulated         TEXT NOT NULL,
	limits            TEXT NOT NULL,
	created           INTEGER NOT NULL,
	sum               INTEGER NOT NULL
);

CREATE TABLE keys (
	id      TEXT PRIMARY KEY,
	site    TEXT NOT NULL,
	hash    BLOB NOT NULL,
	faces   TEXT NOT NULL,
	note    TEXT NOT NULL,
	created INTEGER NOT NULL,
	revoked INTEGER NOT NULL,
	sum     INTEGER NOT NULL
);
