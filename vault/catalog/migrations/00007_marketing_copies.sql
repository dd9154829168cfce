-- +goose Up

-- Copies of a photo that marketing may use are sealed under a data key of
-- their own for each authorization. keep_until: when the authorization ends by
-- date; 0: it does not, or the key is the photo's own.
ALTER TABLE photo_key ADD COLUMN keep_until BIGINT NOT NULL DEFAULT 0;
CREATE INDEX photo_key_authorization ON photo_key (practice, authorization_id);
CREATE INDEX photo_key_keep ON photo_key (practice, keep_until);
ALTER TABLE object ADD COLUMN authorization_id TEXT NOT NULL DEFAULT '';
ALTER TABLE token ADD COLUMN authorization_id TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE token DROP COLUMN authorization_id;
ALTER TABLE object DROP COLUMN authorization_id;
DROP INDEX photo_key_keep;
DROP INDEX photo_key_authorization;
DELETE FROM photo_key WHERE authorization_id <> '';
ALTER TABLE photo_key DROP COLUMN keep_until;
