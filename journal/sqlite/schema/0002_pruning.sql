-- Entries may be stubs from here on; see prune.go. A binary that does not know
-- them must not open the database.

CREATE INDEX heads_orphans ON heads (accepted) WHERE kind = 'orphan';
