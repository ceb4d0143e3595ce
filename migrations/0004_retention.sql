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
