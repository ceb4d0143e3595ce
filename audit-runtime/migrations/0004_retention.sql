-- What was pruned and what was erased: docs/evidence.md has the formats.

-- Which rows of a batch a prune removed; `event_id` is the event audit.pruned that says who did.
CREATE TABLE audit_pruned (
    batch_id       uuid        NOT NULL,
    event_id       uuid        NOT NULL,
    rows           integer     NOT NULL CHECK (rows > 0),
    ids            bytea       CHECK (octet_length(ids) = 16 * rows),
    PRIMARY KEY (batch_id, event_id)
);

COMMENT ON COLUMN audit_pruned.ids IS 'Their ids in order, 16 bytes each; NULL for all rows of the batch.';

CREATE TRIGGER audit_pruned_append_only BEFORE UPDATE OR DELETE ON audit_pruned
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_pruned_no_truncate BEFORE TRUNCATE ON audit_pruned
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();

-- The keys by which what is personal is encrypted: one for each subject, wrapped by a master key that is not in the database.
CREATE TABLE audit_keys (
    id             uuid        PRIMARY KEY,
    subject        text        UNIQUE,
    wrapped        bytea,
    created_at     timestamptz NOT NULL DEFAULT now(),
    destroyed_at   timestamptz,
    CHECK ((destroyed_at IS NULL) = (subject IS NOT NULL AND wrapped IS NOT NULL)),
    CHECK (destroyed_at IS NULL OR (subject IS NULL AND wrapped IS NULL))
);

COMMENT ON COLUMN audit_keys.subject IS 'Whose data it encrypts; NULL once it is destroyed.';
COMMENT ON COLUMN audit_keys.wrapped IS 'The key, encrypted by the master key; NULL once it is destroyed.';

-- A key is made, and destroyed for good; it is neither changed nor removed.
CREATE FUNCTION audit_destroy_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.destroyed_at IS NULL AND NEW.destroyed_at IS NOT NULL AND NEW.id = OLD.id AND NEW.created_at = OLD.created_at THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'UPDATE on audit_keys is refused: a key can only be destroyed' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER audit_keys_destroy_only BEFORE UPDATE ON audit_keys FOR EACH ROW EXECUTE FUNCTION audit_destroy_only();
CREATE TRIGGER audit_keys_append_only BEFORE DELETE ON audit_keys FOR EACH ROW EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_keys_no_truncate BEFORE TRUNCATE ON audit_keys FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();

-- The keys of these subjects, made of what is given where there is none: a writer need not be able to read whose keys there are.
CREATE FUNCTION audit_take_keys(subjects text[], ids uuid[], wrapped_keys bytea[])
RETURNS TABLE (subject text, id uuid, wrapped bytea) LANGUAGE sql VOLATILE SECURITY DEFINER AS $$
    INSERT INTO audit_keys (subject, id, wrapped) SELECT * FROM unnest(subjects, ids, wrapped_keys)
    ON CONFLICT (subject) DO NOTHING;
    SELECT k.subject, k.id, k.wrapped FROM audit_keys k WHERE k.subject = ANY (subjects);
$$;
REVOKE EXECUTE ON FUNCTION audit_take_keys(text[], uuid[], bytea[]) FROM PUBLIC;
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION audit_take_keys(text[], uuid[], bytea[]) SET search_path = %I, pg_temp', current_schema());
END
$$;
