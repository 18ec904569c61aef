-- Which gitserver fetched a repository last, as SRC_GIT_SERVERS has it: only its clone says what a branch is now. Empty while none has.

ALTER TABLE repos ADD COLUMN shard text NOT NULL DEFAULT '';
