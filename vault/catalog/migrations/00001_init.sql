-- +goose Up

-- One set of migrations serves both engines: TEXT ids, BIGINT numbers and
-- times (milliseconds since 1970, UTC), BYTEA bytes. `sealed` holds the row;
-- every other column is an index into it and stands in the closed list of
-- clear columns (clear_test.go).

CREATE TABLE practice_key (
    practice   TEXT   NOT NULL,
    purpose    TEXT   NOT NULL,
    version    BIGINT NOT NULL,
    wrapped    BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (practice, purpose, version)
);

CREATE TABLE account (
    practice TEXT   NOT NULL,
    id       TEXT   NOT NULL,
    version  BIGINT NOT NULL,
    sealed   BYTEA  NOT NULL,
    PRIMARY KEY (practice, id)
);

CREATE TABLE credential (
    practice TEXT  NOT NULL,
    id       TEXT  NOT NULL,
    account  TEXT  NOT NULL,
    hash     BYTEA NOT NULL,
    sealed   BYTEA NOT NULL,
    PRIMARY KEY (practice, id)
);
CREATE UNIQUE INDEX credential_hash ON credential (hash);
CREATE INDEX credential_account ON credential (practice, account);

CREATE TABLE upload_grant (
    practice   TEXT   NOT NULL,
    hash       BYTEA  NOT NULL,
    photo      TEXT   NOT NULL,
    account    TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    sealed     BYTEA  NOT NULL,
    PRIMARY KEY (practice, hash)
);
CREATE UNIQUE INDEX upload_grant_hash ON upload_grant (hash);
CREATE INDEX upload_grant_photo ON upload_grant (practice, photo);

CREATE TABLE patient (
    practice     TEXT  NOT NULL,
    id           TEXT  NOT NULL,
    record_index BYTEA NOT NULL,
    sealed       BYTEA NOT NULL,
    PRIMARY KEY (practice, id)
);
CREATE UNIQUE INDEX patient_record ON patient (practice, record_index);

-- The head of a patient's record.
CREATE TABLE subject (
    practice TEXT   NOT NULL,
    id       TEXT   NOT NULL,
    epoch    BIGINT NOT NULL,
    sealed   BYTEA  NOT NULL,
    PRIMARY KEY (practice, id)
);

-- Append-only: clinical consents, authorizations and events.
CREATE TABLE permission (
    practice TEXT  NOT NULL,
    id       TEXT  NOT NULL,
    patient  TEXT  NOT NULL,
    kind     TEXT  NOT NULL,
    sealed   BYTEA NOT NULL,
    PRIMARY KEY (practice, id)
);
CREATE INDEX permission_patient ON permission (practice, patient);
CREATE INDEX permission_kind ON permission (practice, kind, patient);

CREATE TABLE photo (
    practice TEXT   NOT NULL,
    id       TEXT   NOT NULL,
    patient  TEXT   NOT NULL,
    device   TEXT   NOT NULL,
    capture  TEXT   NOT NULL,
    state    TEXT   NOT NULL,
    version  BIGINT NOT NULL,
    sealed   BYTEA  NOT NULL,
    PRIMARY KEY (practice, id)
);
CREATE UNIQUE INDEX photo_capture ON photo (practice, device, capture);
CREATE INDEX photo_patient ON photo (practice, patient);

CREATE TABLE photo_key (
    practice         TEXT  NOT NULL,
    photo            TEXT  NOT NULL,
    authorization_id TEXT  NOT NULL,
    sealed           BYTEA NOT NULL,
    PRIMARY KEY (practice, photo, authorization_id)
);

-- What is, will be or was in the blob store. state: pending, live, doomed or dead;
-- changed_at in nanoseconds, strictly increasing within a process.
CREATE TABLE object (
    practice   TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    area       TEXT   NOT NULL,
    owner      TEXT   NOT NULL,
    size       BIGINT NOT NULL,
    state      TEXT   NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (practice, id)
);
CREATE INDEX object_owner ON object (practice, owner);
CREATE INDEX object_state ON object (state, changed_at);

CREATE TABLE upload (
    practice   TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    photo      TEXT   NOT NULL,
    owner      TEXT   NOT NULL,
    length     BIGINT NOT NULL,
    received   BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    sealed     BYTEA  NOT NULL,
    PRIMARY KEY (practice, id)
);
CREATE UNIQUE INDEX upload_photo ON upload (practice, photo);
CREATE INDEX upload_expiry ON upload (expires_at);

CREATE TABLE segment (
    practice TEXT   NOT NULL,
    upload   TEXT   NOT NULL,
    start_at BIGINT NOT NULL,
    size     BIGINT NOT NULL,
    object   TEXT   NOT NULL,
    PRIMARY KEY (practice, upload, start_at)
);

CREATE TABLE job (
    practice    TEXT   NOT NULL,
    photo       TEXT   NOT NULL,
    not_before  BIGINT NOT NULL,
    attempts    BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    PRIMARY KEY (practice, photo)
);
CREATE INDEX job_due ON job (not_before);

CREATE TABLE token (
    practice   TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    hash       BYTEA  NOT NULL,
    account    TEXT   NOT NULL,
    patient    TEXT   NOT NULL,
    photo      TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    sealed     BYTEA  NOT NULL,
    PRIMARY KEY (practice, id)
);
CREATE UNIQUE INDEX token_hash ON token (hash);

-- version: 1 begun, 2 finished.
CREATE TABLE token_use (
    practice TEXT   NOT NULL,
    token    TEXT   NOT NULL,
    n        BIGINT NOT NULL,
    version  BIGINT NOT NULL,
    sealed   BYTEA  NOT NULL,
    PRIMARY KEY (practice, token, n)
);

-- ord: when it was written, in nanoseconds, strictly increasing within a process. seq and
-- head are given by the integrator.
CREATE TABLE audit_entry (
    practice TEXT   NOT NULL,
    id       TEXT   NOT NULL,
    ord      BIGINT NOT NULL,
    patient  TEXT   NOT NULL,
    sealed   BYTEA  NOT NULL,
    mac      BYTEA  NOT NULL,
    seq      BIGINT,
    head     BYTEA,
    PRIMARY KEY (practice, id)
);
CREATE UNIQUE INDEX audit_entry_seq ON audit_entry (practice, seq) WHERE seq IS NOT NULL;
CREATE INDEX audit_entry_pending ON audit_entry (practice, ord, id) WHERE seq IS NULL;
CREATE INDEX audit_entry_patient ON audit_entry (practice, patient, ord, id);

CREATE TABLE upload_key (
    practice   TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    seal_until BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    sealed     BYTEA  NOT NULL,
    PRIMARY KEY (practice, id)
);

-- +goose Down
DROP TABLE upload_key;
DROP TABLE audit_entry;
DROP TABLE token_use;
DROP TABLE token;
DROP TABLE job;
DROP TABLE segment;
DROP TABLE upload;
DROP TABLE object;
DROP TABLE photo_key;
DROP TABLE photo;
DROP TABLE permission;
DROP TABLE subject;
DROP TABLE patient;
DROP TABLE upload_grant;
DROP TABLE credential;
DROP TABLE account;
DROP TABLE practice_key;
