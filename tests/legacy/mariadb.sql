-- What old databases may hold, and what is awkward in Python.

CREATE TABLE users (
    id int unsigned AUTO_INCREMENT PRIMARY KEY,
    email varchar(80) NOT NULL UNIQUE,
    kind enum('a','b c') NOT NULL DEFAULT 'a',
    flags set('x','y'),
    active tinyint(1) NOT NULL DEFAULT 1,
    t tinyint,
    price decimal(8,3),
    ratio double,
    fl float,
    created datetime(6) NOT NULL DEFAULT current_timestamp(6),
    changed timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
    doc json,
    body longtext,
    blobby blob,
    bin binary(16),
    tm time,
    dt datetime,
    big bigint,
    named varchar(20) COLLATE utf8mb4_bin COMMENT 'it''s',
    txt text,
    CHECK (price > 0),
    dbl double GENERATED ALWAYS AS (price * 2) STORED
) COMMENT 'people';

CREATE FULLTEXT INDEX ft ON users (txt);

CREATE INDEX pref ON users (body(20));

CREATE TABLE posts (
    id bigint AUTO_INCREMENT PRIMARY KEY,
    author_id int unsigned NOT NULL,
    editor_id int unsigned,
    CONSTRAINT author_fk FOREIGN KEY (author_id) REFERENCES users (id) ON DELETE CASCADE,
    FOREIGN KEY (editor_id) REFERENCES users (id) ON DELETE SET NULL
);

CREATE TABLE tags (
    id int PRIMARY KEY,
    name varchar(20)
);

CREATE TABLE post_tags (
    post_id bigint,
    tag_id int,
    PRIMARY KEY (post_id, tag_id),
    FOREIGN KEY (post_id) REFERENCES posts (id),
    FOREIGN KEY (tag_id) REFERENCES tags (id)
);
