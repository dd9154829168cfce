-- +goose Up

-- How many photos each account has asked tokens for lately. counted_at of a
-- token is 0 where its photo was not counted.
CREATE TABLE volume (
    practice TEXT   NOT NULL,
    account  TEXT   NOT NULL,
    version  BIGINT NOT NULL,
    sealed   BYTEA  NOT NULL,
    PRIMARY KEY (practice, account)
);
ALTER TABLE token ADD COLUMN counted_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX token_counted ON token (practice, account, photo, counted_at);

-- +goose Down
DROP INDEX token_counted;
ALTER TABLE token DROP COLUMN counted_at;
DROP TABLE volume;
