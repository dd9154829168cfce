-- +goose Up

-- A photo may come in several partial uploads at once, and has at most one
-- that is not partial. A segment's row is sealed: it holds the digest of the
-- bytes that were acknowledged. damaged: 1 when what was staged for the job
-- turned out not to be what had arrived.
ALTER TABLE upload ADD COLUMN partial BIGINT NOT NULL DEFAULT 0;
DROP INDEX upload_photo;
CREATE INDEX upload_photo ON upload (practice, photo);
CREATE UNIQUE INDEX upload_whole ON upload (practice, photo) WHERE partial = 0;
ALTER TABLE segment ADD COLUMN sealed BYTEA NOT NULL DEFAULT '';
ALTER TABLE job ADD COLUMN damaged BIGINT NOT NULL DEFAULT 0;
CREATE INDEX job_damaged ON job (practice, photo) WHERE damaged = 1;

-- +goose Down
DROP INDEX job_damaged;
ALTER TABLE job DROP COLUMN damaged;
ALTER TABLE segment DROP COLUMN sealed;
DROP INDEX upload_whole;
DELETE FROM upload WHERE partial = 1;
DROP INDEX upload_photo;
CREATE UNIQUE INDEX upload_photo ON upload (practice, photo);
ALTER TABLE upload DROP COLUMN partial;
