-- When the master key is exchanged, the keys of subjects are wrapped anew. Their ids stay, and so does what they encrypt.

-- A key is destroyed for good, or wrapped by another master key, whose id is its beginning. Nothing else of it changes.
CREATE OR REPLACE FUNCTION {schema}.audit_destroy_only() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $audit$
BEGIN
    IF OLD.destroyed_at IS NULL AND NEW.id = OLD.id AND NEW.created_at = OLD.created_at AND (
        NEW.destroyed_at IS NOT NULL
        OR NEW.subject = OLD.subject AND octet_length(NEW.wrapped) = 72 AND substr(NEW.wrapped, 1, 8) <> substr(OLD.wrapped, 1, 8)
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'UPDATE on audit_keys is refused: a key can only be destroyed, or wrapped by another master key'
        USING ERRCODE = 'insufficient_privilege';
END
$audit$;
