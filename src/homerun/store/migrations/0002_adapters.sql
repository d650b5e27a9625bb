CREATE TABLE adapters (
    id          TEXT PRIMARY KEY,    -- a UUID
    account     TEXT NOT NULL,
    name        TEXT NOT NULL,
    model       TEXT NOT NULL,       -- the base it was made for, by name
    description TEXT NOT NULL,
    public      INTEGER NOT NULL CHECK (public IN (0, 1)),
    state       TEXT NOT NULL CHECK (state IN ('new', 'uploading', 'ready', 'failed')),
    reason      TEXT,                -- why it failed
    version     TEXT,                -- SHA-256 of both files' SHA-256, once it is ready
    created_at  INTEGER NOT NULL,    -- Unix milliseconds
    modified_at INTEGER NOT NULL,
    UNIQUE (account, name)
) STRICT, WITHOUT ROWID;

-- Every account finds a public adapter by its name.
CREATE UNIQUE INDEX adapters_public ON adapters (name) WHERE public;

CREATE TABLE adapter_files (
    adapter TEXT NOT NULL REFERENCES adapters (id) ON DELETE CASCADE,
    name    TEXT NOT NULL,           -- adapter_config.json or adapter_model.safetensors
    stored  TEXT NOT NULL UNIQUE,    -- what the file is called under HOMERUN_HOME/adapters
    size    INTEGER NOT NULL,        -- bytes
    sha256  BLOB NOT NULL,
    PRIMARY KEY (adapter, name)
) STRICT, WITHOUT ROWID;
