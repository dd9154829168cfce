-- +goose Up

-- What marketing does with photos; each release for marketing belongs to one.
CREATE TABLE campaign (
    practice TEXT   NOT NULL,
    id       TEXT   NOT NULL,
    version  BIGINT NOT NULL,
    sealed   BYTEA  NOT NULL,
    PRIMARY KEY (practice, id)
);
ALTER TABLE token ADD COLUMN campaign TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE token DROP COLUMN campaign;
DROP TABLE campaign;
