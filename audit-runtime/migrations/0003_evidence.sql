-- What makes the rows of a batch tamper-evident: docs/evidence.md has the formats.
ALTER TABLE audit_batches
    ADD COLUMN previous_position bigint,
    ADD COLUMN previous_root bytea CHECK (octet_length(previous_root) = 32),
    ADD COLUMN open_positions bytea,
    ADD COLUMN root bytea CHECK (octet_length(root) = 32),
    ADD COLUMN leaves bytea,
    ADD CONSTRAINT audit_batches_leaves CHECK (octet_length(leaves) = 48 * rows);
-- Hashes cannot be compressed.
ALTER TABLE audit_batches ALTER COLUMN leaves SET STORAGE EXTERNAL;

COMMENT ON COLUMN audit_batches.previous_position IS 'Where the batch of this journal before this one begins; NULL for the first.';
COMMENT ON COLUMN audit_batches.previous_root IS 'The root of that batch.';
COMMENT ON COLUMN audit_batches.open_positions IS 'Where the batches before it begin that were not stored yet, 8 bytes each.';
COMMENT ON COLUMN audit_batches.root IS 'The root of the tree over the previous root and the leaves.';
COMMENT ON COLUMN audit_batches.leaves IS 'For each row, in the order of the journal, its id and the SHA-256 of its canonical form.';

-- The rows of a batch. A batch's rows come together and its id is younger than those before: the index grows at its right end, and
-- keeps each id once.
CREATE INDEX audit_events_batch ON audit_events (batch_id) WHERE batch_id IS NOT NULL;

-- Which batch sealed a row that came without one: rows are not changed for it. Such batches are of the journal whose id is zero.
CREATE TABLE audit_late (
    event_id       uuid        NOT NULL,
    created_at     timestamptz NOT NULL,
    batch_id       uuid        NOT NULL,
    PRIMARY KEY (event_id, created_at)
);
CREATE INDEX audit_late_batch ON audit_late (batch_id);

-- All sealed batches in one order: the leaves of the tree whose root a checkpoint signs.
CREATE TABLE audit_tree (
    number         bigint      PRIMARY KEY,
    batch_id       uuid        NOT NULL UNIQUE,
    leaf           bytea       NOT NULL CHECK (octet_length(leaf) = 32)
);

-- Signed statements that the tree was of this size and had this root.
CREATE TABLE audit_checkpoints (
    id             bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tree_size      bigint      NOT NULL,
    note           text        NOT NULL,
    frontier       bytea       NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now()
);

COMMENT ON COLUMN audit_checkpoints.note IS 'A signed note with a checkpoint (https://c2sp.org/tlog-checkpoint).';
COMMENT ON COLUMN audit_checkpoints.frontier IS 'The roots of the full parts of the tree, from which it grows on.';

CREATE TRIGGER audit_late_append_only BEFORE UPDATE OR DELETE ON audit_late
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_late_no_truncate BEFORE TRUNCATE ON audit_late
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_tree_append_only BEFORE UPDATE OR DELETE ON audit_tree
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_tree_no_truncate BEFORE TRUNCATE ON audit_tree
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_checkpoints_append_only BEFORE UPDATE OR DELETE ON audit_checkpoints
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_checkpoints_no_truncate BEFORE TRUNCATE ON audit_checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();

-- What a writer has to know of a journal it inherits, without being allowed to read events.
CREATE FUNCTION audit_open_intents(journal uuid) RETURNS TABLE (
    id uuid, event_type text, entity_type text, entity_id uuid, actor text, data text, created_at bigint, correlation_id uuid,
    context text, origin text
) LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT i.id, i.event_type, i.entity_type, i.entity_id, i.actor, i.data::text,
           (extract(epoch FROM i.created_at) * 1000000)::int8, i.correlation_id, i.context::text, i.origin
    FROM audit_events i
    WHERE i.outcome = 'started'
      AND i.batch_id IN (SELECT b.id FROM audit_batches b WHERE b.journal_id = journal)
      AND NOT EXISTS (
          SELECT FROM audit_events c
          WHERE c.correlation_id = i.correlation_id AND c.created_at = i.created_at AND c.causation_id = i.id
      )
    ORDER BY i.created_at, i.id
$$;
CREATE FUNCTION audit_refused(journal uuid) RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT q.id FROM audit_quarantine q
    WHERE q.batch_id IN (SELECT b.id FROM audit_batches b WHERE b.journal_id = journal)
$$;

-- Who may call them is said by `audit-trail migrate --writer`. They look at the tables of this schema, whatever the caller's path is.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['audit_open_intents(uuid)', 'audit_refused(uuid)', 'audit_make_partitions(integer)'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', name, current_schema());
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', name);
    END LOOP;
END
$$;
ALTER FUNCTION audit_make_partitions(integer) SECURITY DEFINER;
