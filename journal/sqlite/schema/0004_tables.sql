-- Tables are kept here, in streams of a kind of their own, and a site says who
-- keeps its tables. A binary that does not know them must not open the database.

CREATE INDEX heads_tables ON heads (site, accepted) WHERE kind = 'table';

ALTER TABLE sites ADD COLUMN pat TEXT NOT NULL DEFAULT '';
