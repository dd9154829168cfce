-- +goose Up

-- Texts of authorizations, every version, and signed documents. Rows are only
-- added.
CREATE TABLE template (
    practice TEXT   NOT NULL,
    id       TEXT   NOT NULL,
    version  BIGINT NOT NULL,
    sealed   BYTEA  NOT NULL,
    PRIMARY KEY (practice, id, version)
);
CREATE TABLE document (
    practice TEXT  NOT NULL,
    id       TEXT  NOT NULL,
    patient  TEXT  NOT NULL,
    sealed   BYTEA NOT NULL,
    PRIMARY KEY (practice, id)
);
CREATE INDEX document_patient ON document (practice, patient);

-- +goose Down
DROP TABLE document;
DROP TABLE template;
