-- Until when gateways say of this key's signatures what they are compared with.
ALTER TABLE access_keys ADD COLUMN debug_until BIGINT;
