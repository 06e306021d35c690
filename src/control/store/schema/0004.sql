-- Roles. `trust_policy` is the JSON text that says who may take the role: gateways do not need it.
CREATE TABLE roles (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    description TEXT,
    kind TEXT NOT NULL,
    max_session_duration BIGINT NOT NULL,
    trust_policy TEXT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    modified_at BIGINT NOT NULL,
    modified_by TEXT NOT NULL
);
CREATE UNIQUE INDEX roles_name ON roles (account_id, name);

-- Users and roles of a role's own account whom its trust policy lets in by name: what whoever acts for them gets hold of. `principal_id` is an
-- id, or `*` where the whole account is let in, but not everybody in it.
CREATE TABLE role_trusts (
    role_id TEXT NOT NULL REFERENCES roles (id),
    principal_id TEXT NOT NULL,
    PRIMARY KEY (role_id, principal_id)
);
CREATE INDEX role_trusts_principal ON role_trusts (principal_id);

-- Sessions of roles that have not ended, by their access keys: who is behind them, and the policy that narrows them. `source_id`
-- is the user who took the first role of a chain. Gateways need none of it; only here does a session count if its row is there.
CREATE TABLE role_sessions (
    access_key TEXT PRIMARY KEY,
    role_id TEXT NOT NULL REFERENCES roles (id),
    name TEXT NOT NULL,
    source_id TEXT NOT NULL REFERENCES users (id),
    source_srn TEXT NOT NULL,
    policy TEXT,
    expires_at BIGINT NOT NULL
);
CREATE INDEX role_sessions_role ON role_sessions (role_id);
CREATE INDEX role_sessions_source ON role_sessions (source_id);
CREATE INDEX role_sessions_end ON role_sessions (expires_at);

-- The same attachments, to roles too: a check cannot be changed everywhere, so the table is made anew.
CREATE TABLE attachments_anew (
    policy_id TEXT NOT NULL REFERENCES policies (id),
    user_id TEXT REFERENCES users (id),
    group_id TEXT REFERENCES user_groups (id),
    role_id TEXT REFERENCES roles (id),
    scope TEXT,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    CHECK (
        CASE WHEN user_id IS NULL THEN 0 ELSE 1 END
        + CASE WHEN group_id IS NULL THEN 0 ELSE 1 END
        + CASE WHEN role_id IS NULL THEN 0 ELSE 1 END = 1
    )
);
INSERT INTO attachments_anew (policy_id, user_id, group_id, role_id, scope, created_at, created_by)
    SELECT policy_id, user_id, group_id, NULL, scope, created_at, created_by FROM attachments;
DROP TABLE attachments;
ALTER TABLE attachments_anew RENAME TO attachments;
CREATE UNIQUE INDEX attachments_once
    ON attachments (policy_id, COALESCE(user_id, ''), COALESCE(group_id, ''), COALESCE(role_id, ''), COALESCE(scope, ''));
CREATE INDEX attachments_user ON attachments (user_id);
CREATE INDEX attachments_group ON attachments (group_id);
CREATE INDEX attachments_role ON attachments (role_id);

-- Where a role did it: the name of the session, and the SRN of the user behind it.
ALTER TABLE audit ADD COLUMN session_name TEXT;
ALTER TABLE audit ADD COLUMN session_source TEXT;
