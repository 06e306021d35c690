-- The first schema. Portable: TEXT and BIGINT only, times are milliseconds since 1970, booleans are 0 and 1.
-- Ids are 32 hexadecimal digits. `revision` is the store's head at the last change of the row's own fields.

CREATE TABLE meta (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    epoch BIGINT NOT NULL,
    head BIGINT NOT NULL,
    digest TEXT NOT NULL,
    records BIGINT NOT NULL,
    offering TEXT NOT NULL,
    seal_check TEXT NOT NULL
);

CREATE TABLE accounts (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    operator BIGINT NOT NULL,
    active BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    modified_at BIGINT NOT NULL,
    modified_by TEXT NOT NULL
);
CREATE UNIQUE INDEX accounts_operator ON accounts (operator) WHERE operator = 1;

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    user_name TEXT NOT NULL,
    root BIGINT NOT NULL,
    active BIGINT NOT NULL,
    description TEXT,
    email TEXT,
    email_authenticated BIGINT NOT NULL,
    phone_authenticated BIGINT NOT NULL,
    first_name TEXT,
    last_name TEXT,
    company_name TEXT,
    timezone TEXT,
    tz_id TEXT,
    utc_offset TEXT,
    dst_offset TEXT,
    password_hash TEXT,
    password_temporary BIGINT NOT NULL,
    password_reuse_count BIGINT NOT NULL,
    last_password_update_at BIGINT,
    last_login_at BIGINT,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    modified_at BIGINT NOT NULL,
    modified_by TEXT NOT NULL
);
CREATE UNIQUE INDEX users_name ON users (account_id, user_name);
CREATE UNIQUE INDEX users_root ON users (account_id) WHERE root = 1;

-- Hashes of passwords a user had, newest first by `set_at`; only as many as `password_reuse_count` says.
CREATE TABLE passwords (
    user_id TEXT NOT NULL REFERENCES users (id),
    set_at BIGINT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (user_id, set_at)
);

-- `groups` is a word of SQL.
CREATE TABLE user_groups (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    description TEXT,
    kind TEXT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    modified_at BIGINT NOT NULL,
    modified_by TEXT NOT NULL
);
CREATE UNIQUE INDEX user_groups_name ON user_groups (account_id, name);

CREATE TABLE memberships (
    group_id TEXT NOT NULL REFERENCES user_groups (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (group_id, user_id)
);
CREATE INDEX memberships_user ON memberships (user_id);

-- Without an account: a policy of the system, for every account.
CREATE TABLE policies (
    id TEXT PRIMARY KEY,
    account_id TEXT REFERENCES accounts (id),
    policy_name TEXT NOT NULL,
    description TEXT,
    policy_type TEXT NOT NULL,
    policy_category TEXT NOT NULL,
    default_version_id TEXT NOT NULL,
    state TEXT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    modified_at BIGINT NOT NULL,
    modified_by TEXT NOT NULL
);
CREATE UNIQUE INDEX policies_name ON policies (COALESCE(account_id, ''), policy_name);

CREATE TABLE policy_versions (
    id TEXT PRIMARY KEY,
    policy_id TEXT NOT NULL REFERENCES policies (id),
    policy_version_name TEXT NOT NULL,
    policy_document TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    modified_at BIGINT NOT NULL,
    modified_by TEXT NOT NULL
);
CREATE UNIQUE INDEX policy_versions_name ON policy_versions (policy_id, policy_version_name);

-- A policy of a user or of a group; `scope` is a project inside the account, where accounts have such.
CREATE TABLE attachments (
    policy_id TEXT NOT NULL REFERENCES policies (id),
    user_id TEXT REFERENCES users (id),
    group_id TEXT REFERENCES user_groups (id),
    scope TEXT,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    CHECK ((user_id IS NULL) <> (group_id IS NULL))
);
CREATE UNIQUE INDEX attachments_once
    ON attachments (policy_id, COALESCE(user_id, ''), COALESCE(group_id, ''), COALESCE(scope, ''));
CREATE INDEX attachments_user ON attachments (user_id);
CREATE INDEX attachments_group ON attachments (group_id);

-- `secret` is sealed for key and owner.
CREATE TABLE access_keys (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    access_key_type TEXT NOT NULL,
    parent_id TEXT REFERENCES access_keys (id),
    secret TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    description TEXT,
    expires_at BIGINT,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    modified_at BIGINT NOT NULL,
    modified_by TEXT NOT NULL
);
CREATE INDEX access_keys_user ON access_keys (user_id);
CREATE INDEX access_keys_parent ON access_keys (parent_id);

-- How a user's keys may be used; `allowed_addresses` is a JSON list, kept while it is switched off.
CREATE TABLE key_security (
    user_id TEXT PRIMARY KEY REFERENCES users (id),
    method TEXT NOT NULL,
    allowlist_enabled BIGINT NOT NULL,
    allowed_addresses TEXT NOT NULL,
    revision BIGINT NOT NULL,
    modified_at BIGINT NOT NULL,
    modified_by TEXT NOT NULL
);

-- From where the console may be used: of the whole account where there is no user.
CREATE TABLE console_access (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    user_id TEXT REFERENCES users (id),
    allowlist_enabled BIGINT NOT NULL,
    allowed_addresses TEXT NOT NULL,
    revision BIGINT NOT NULL,
    modified_at BIGINT NOT NULL,
    modified_by TEXT NOT NULL
);
CREATE UNIQUE INDEX console_access_once ON console_access (account_id, COALESCE(user_id, ''));

CREATE TABLE definitions (
    service TEXT PRIMARY KEY,
    document TEXT NOT NULL,
    built_in BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    modified_at BIGINT NOT NULL,
    modified_by TEXT NOT NULL
);

CREATE TABLE tags (
    resource_type TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    tag_key TEXT NOT NULL,
    tag_value TEXT NOT NULL,
    PRIMARY KEY (resource_type, resource_id, tag_key)
);

-- What the gateways need, as it travels, in its present state.
CREATE TABLE records (
    record_key TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    revision BIGINT NOT NULL
);

-- Every accepted write, oldest dropped; `digest` is that of all records after it.
CREATE TABLE changes (
    revision BIGINT PRIMARY KEY,
    committed_at BIGINT NOT NULL,
    digest TEXT NOT NULL,
    body TEXT NOT NULL
);

CREATE TABLE audit (
    revision BIGINT NOT NULL,
    entry BIGINT NOT NULL,
    committed_at BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    srn TEXT NOT NULL,
    address TEXT NOT NULL,
    request_id TEXT NOT NULL,
    action TEXT NOT NULL,
    resource TEXT NOT NULL,
    body_before TEXT,
    body_after TEXT,
    PRIMARY KEY (revision, entry)
);
CREATE INDEX audit_account ON audit (account_id, revision);
