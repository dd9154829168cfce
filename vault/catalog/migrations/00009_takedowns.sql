-- +goose Up

-- What must come down, one row for each release. state: open, overdue or confirmed.
CREATE TABLE takedown (
    practice   TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    patient    TEXT   NOT NULL,
    release_id TEXT   NOT NULL,
    state      TEXT   NOT NULL,
    due_at     BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    sealed     BYTEA  NOT NULL,
    PRIMARY KEY (practice, id)
);
CREATE UNIQUE INDEX takedown_release ON takedown (practice, release_id);
CREATE INDEX takedown_patient ON takedown (practice, patient);
CREATE INDEX takedown_due ON takedown (practice, state, due_at);

-- Append-only, numbered from 1 without a gap; the takedown's row says how many there are.
CREATE TABLE takedown_confirmation (
    practice TEXT   NOT NULL,
    takedown TEXT   NOT NULL,
    n        BIGINT NOT NULL,
    sealed   BYTEA  NOT NULL,
    PRIMARY KEY (practice, takedown, n)
);

-- +goose Down
DROP TABLE takedown_confirmation;
DROP TABLE takedown;
