CREATE TABLE tokens (
    id         TEXT PRIMARY KEY,     -- the public part of the token
    hash       BLOB NOT NULL,        -- SHA-256 of the secret part; the secret itself is nowhere
    name       TEXT NOT NULL,
    account    TEXT NOT NULL,
    created_at INTEGER NOT NULL,     -- Unix seconds
    revoked_at INTEGER               -- NULL while the token works
) STRICT, WITHOUT ROWID;
