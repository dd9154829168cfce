-- +goose Up

-- What a key officer is about to erase, or has erased: no key wrapped under a
-- version of the key-encryption key below `below` may be written any more.
CREATE TABLE key_floor (
    practice TEXT   NOT NULL,
    below    BIGINT NOT NULL,
    version  BIGINT NOT NULL,
    sealed   BYTEA  NOT NULL,
    PRIMARY KEY (practice, below)
);

-- +goose Down
DROP TABLE key_floor;
