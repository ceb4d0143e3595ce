-- The audit trail's tables. The first seven columns of audit_events are those of existing writers and readers;
-- the others have defaults, so that an INSERT of the seven alone still works.

CREATE TABLE audit_events (
    id             uuid        NOT NULL,
    event_type     text        NOT NULL,
    entity_type    text        NOT NULL,
    entity_id      uuid,
    actor          text        NOT NULL DEFAULT 'system',
    data           jsonb       NOT NULL DEFAULT '{}',
    created_at     timestamptz NOT NULL DEFAULT now(),
    outcome        text        NOT NULL DEFAULT 'ok',
    duration_us    bigint,
    correlation_id uuid,
    causation_id   uuid,
    context        jsonb,
    origin         text,
    batch_id       uuid,
    PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);

CREATE TABLE audit_events_default PARTITION OF audit_events DEFAULT;

COMMENT ON TABLE audit_events IS 'One row for each audited call or event; append-only.';
COMMENT ON COLUMN audit_events.created_at IS 'When the call began.';
COMMENT ON COLUMN audit_events.duration_us IS 'How long the call took, in microseconds.';
COMMENT ON COLUMN audit_events.correlation_id IS 'The same for all events of one request or process.';
COMMENT ON COLUMN audit_events.causation_id IS 'The event within whose call this one happened.';
COMMENT ON COLUMN audit_events.origin IS 'service@host:process id.';
COMMENT ON COLUMN audit_events.batch_id IS 'The batch that brought the row; NULL for rows written by others.';

-- The trail of an order, of an entity, of an execution. The keys inside data are rare: their indexes hold only the
-- rows that have them, and are hash indexes: a B-tree would refuse a row whose text is longer than 2,704 bytes.
CREATE INDEX audit_events_entity ON audit_events (entity_id, created_at);
CREATE INDEX audit_events_recommendation ON audit_events USING hash ((data ->> 'recommendation_id'))
    WHERE (data ->> 'recommendation_id') IS NOT NULL;
CREATE INDEX audit_events_order ON audit_events USING hash ((data ->> 'order_id'))
    WHERE (data ->> 'order_id') IS NOT NULL;

-- One row for each batch, inserted before its events in the same transaction: the key that makes a batch stored
-- exactly once, whatever becomes of the connection.
CREATE TABLE audit_batches (
    id             uuid        PRIMARY KEY,
    journal_id     uuid        NOT NULL,
    first_position bigint      NOT NULL,
    end_position   bigint      NOT NULL CHECK (end_position > first_position),
    rows           integer     NOT NULL CHECK (rows >= 0),
    origin         text        NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (journal_id, first_position)
);

COMMENT ON COLUMN audit_batches.rows IS 'Events in the journal range, those in audit_quarantine among them.';

-- Events that PostgreSQL refused, with their bytes as they were in the journal.
CREATE TABLE audit_quarantine (
    id             uuid        PRIMARY KEY,
    batch_id       uuid        NOT NULL REFERENCES audit_batches (id),
    sqlstate       text,
    error          text        NOT NULL,
    payload        bytea       NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: the audit trail is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$$;

-- Row triggers are inherited by every partition; TRUNCATE has statement triggers only, one for each partition.
CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON audit_events_default
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_batches_append_only BEFORE UPDATE OR DELETE ON audit_batches
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_batches_no_truncate BEFORE TRUNCATE ON audit_batches
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();

-- Makes the monthly partitions from last month to `ahead` months from now, and returns how many it made. A month of
-- which the default partition already holds rows stays there.
CREATE FUNCTION audit_make_partitions(ahead integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    first_month date := date_trunc('month', now() AT TIME ZONE 'UTC')::date;
    month_begin timestamptz;
    month_end   timestamptz;
    partition   text;
    made        integer := 0;
BEGIN
    -- Two processes that migrate at once take turns.
    PERFORM pg_advisory_xact_lock(hashtext('audit_make_partitions'));
    FOR offset_months IN -1..ahead LOOP
        month_begin := (first_month + make_interval(months => offset_months)) AT TIME ZONE 'UTC';
        month_end := (first_month + make_interval(months => offset_months + 1)) AT TIME ZONE 'UTC';
        partition := 'audit_events_' || to_char(month_begin AT TIME ZONE 'UTC', 'YYYY_MM');
        CONTINUE WHEN to_regclass(partition) IS NOT NULL;
        CONTINUE WHEN EXISTS (
            SELECT FROM audit_events_default WHERE created_at >= month_begin AND created_at < month_end
        );
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF audit_events FOR VALUES FROM (%L) TO (%L)',
            partition, month_begin, month_end
        );
        EXECUTE format(
            'CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change()',
            partition
        );
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;
