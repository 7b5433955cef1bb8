-- What old databases may hold, and what is awkward in Python.

CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    a int,
    b int,
    active BOOLEAN NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    made TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    price REAL,
    n NUMERIC,
    x,
    d DOUBLE,
    UNIQUE (a, b),
    CHECK (a > 0)
);

CREATE TABLE posts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL REFERENCES users,
    j JSON,
    big BIGINT,
    blob BLOB
);

CREATE TABLE keyless (
    a TEXT,
    b INTEGER NOT NULL
);

CREATE INDEX part ON posts (user_id) WHERE big > 3;
