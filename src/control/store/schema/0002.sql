-- Keys that tokens are signed with. `secret` is sealed for the key; `not_after` is empty for the one in use, and for an old
-- one the time from which on its tokens are refused.
CREATE TABLE token_keys (
    id TEXT PRIMARY KEY,
    secret TEXT NOT NULL,
    not_after BIGINT,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL
);
CREATE UNIQUE INDEX token_keys_in_use ON token_keys (COALESCE(not_after, 0)) WHERE not_after IS NULL;
