-- Tokens that are out: not the tokens, only their ids, so that one of them can be ended. `revoked` is 1 for one that was.
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    expires_at BIGINT NOT NULL,
    revoked BIGINT NOT NULL
);
CREATE INDEX tokens_user ON tokens (user_id);
CREATE INDEX tokens_end ON tokens (expires_at);
