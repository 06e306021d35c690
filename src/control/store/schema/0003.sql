-- The passcode that was sent to a user last. Only its MAC is kept; it is empty when there is none to be used. `sent` counts
-- those sent since `counted_from`.
CREATE TABLE passcodes (
    user_id TEXT PRIMARY KEY REFERENCES users (id),
    mac TEXT NOT NULL,
    tries_left BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    sent BIGINT NOT NULL,
    counted_from BIGINT NOT NULL
);

-- Until now every row said `AuthenticationKey`, which nobody had chosen.
UPDATE key_security SET method = 'Any';
