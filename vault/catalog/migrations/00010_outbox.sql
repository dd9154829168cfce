-- +goose Up

-- Messages to be posted to a receiver, written in the transaction of what they
-- tell of, and removed once they are taken or given up.
CREATE TABLE outbox (
    practice    TEXT   NOT NULL,
    id          TEXT   NOT NULL,
    audience    TEXT   NOT NULL,
    not_before  BIGINT NOT NULL,
    attempts    BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    sealed      BYTEA  NOT NULL,
    PRIMARY KEY (practice, id)
);
CREATE INDEX outbox_due ON outbox (audience, not_before);

-- +goose Down
DROP TABLE outbox;
