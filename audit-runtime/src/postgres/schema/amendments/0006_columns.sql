-- Version 6: keys, targets and tenants of events; the order in which batches arrive; the form of their leaves.
-- {schema} is the quoted schema of audit_events, {in_text} the same inside of a text. Every statement may run again.

-- In a schema where every role may create objects, somebody could have made them first.
DO $audit$
DECLARE
    stranger text;
BEGIN
    SELECT format('%s belongs to role %I', c.oid::regclass, pg_get_userbyid(c.relowner)) INTO stranger
    FROM pg_class c, pg_class t
    WHERE t.oid = '{in_text}.audit_events'::regclass AND c.relnamespace = t.relnamespace
      AND c.relname IN ('audit_tenants', 'audit_tenant_events') AND c.relowner <> t.relowner
      AND pg_get_userbyid(c.relowner) <> current_user;
    IF stranger IS NULL THEN
        SELECT format('%s belongs to role %I', p.oid::regprocedure, pg_get_userbyid(p.proowner)) INTO stranger
        FROM pg_proc p, pg_class t
        WHERE p.pronamespace = t.relnamespace AND t.oid = '{in_text}.audit_events'::regclass
          AND p.proname IN ('audit_bucket', 'audit_check_late', 'audit_check_tree', 'audit_unfinished')
          AND p.proowner <> t.relowner AND pg_get_userbyid(p.proowner) <> current_user;
    END IF;
    IF stranger IS NOT NULL THEN
        RAISE EXCEPTION '%, which does not own audit_events: drop it or change its owner, then migrate again', stranger
            USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$audit$;

-- Writers lock the tables in this order. None of the columns has a value to be written into existing rows.
LOCK TABLE {schema}.audit_batches IN ACCESS EXCLUSIVE MODE;
LOCK TABLE {schema}.audit_events IN ACCESS EXCLUSIVE MODE;
ALTER TABLE {schema}.audit_events
    ADD COLUMN IF NOT EXISTS entity_key text,
    ADD COLUMN IF NOT EXISTS targets jsonb,
    ADD COLUMN IF NOT EXISTS tenant text;
COMMENT ON COLUMN {schema}.audit_events.entity_key IS
    'The key of the entity where it is no UUID; entity_id is then the version 5 UUID of (entity type, key).';
COMMENT ON COLUMN {schema}.audit_events.targets IS 'Further entities of the event: [{"type": .., "id": .., "key": ..}, ..].';
COMMENT ON COLUMN {schema}.audit_events.tenant IS 'Whose data the event is about.';

-- The default follows the column, so that batches from before have none.
ALTER TABLE {schema}.audit_batches
    ADD COLUMN IF NOT EXISTS xact xid8,
    ADD COLUMN IF NOT EXISTS leaf_form smallint NOT NULL DEFAULT 1;
ALTER TABLE {schema}.audit_batches ALTER COLUMN xact SET DEFAULT pg_current_xact_id();
COMMENT ON COLUMN {schema}.audit_batches.xact IS
    'The transaction that stored the batch; NULL before version 6. Batches below pg_snapshot_xmin are complete.';
COMMENT ON COLUMN {schema}.audit_batches.leaf_form IS 'The form of the digests in leaves; 2 where a row has a column of version 6.';

-- The tenant wall: a login sees the events of its tenant.
CREATE TABLE IF NOT EXISTS {schema}.audit_tenants (
    role           text        PRIMARY KEY,
    tenant         text        NOT NULL
);
COMMENT ON TABLE {schema}.audit_tenants IS 'The tenant whose events a login sees in audit_tenant_events.';
CREATE OR REPLACE VIEW {schema}.audit_tenant_events WITH (security_barrier = true) AS
    SELECT e.id, e.event_type, e.entity_type, e.entity_id, e.actor, e.data, e.created_at, e.outcome, e.duration_us, e.correlation_id,
           e.causation_id, e.context, e.origin, e.batch_id, e.entity_key, e.targets, e.tenant
    FROM {schema}.audit_events e
    WHERE e.tenant = (SELECT t.tenant FROM {schema}.audit_tenants t WHERE t.role = session_user::text);
COMMENT ON VIEW {schema}.audit_tenant_events IS 'The events of the tenant to which audit_tenants assigns the login of the session.';

-- An older program would seal rows by digests without their new columns. It reports this error instead.
CREATE OR REPLACE FUNCTION {schema}.audit_check_late() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $audit$
DECLARE
    event uuid;
BEGIN
    IF TG_RELID <> '{in_text}.audit_late'::regclass THEN
        RAISE EXCEPTION '% is a trigger of audit_late only', 'audit_check_late' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF EXISTS (
        SELECT FROM {schema}.audit_batches b WHERE b.leaf_form < 2 AND b.id IN (SELECT a.batch_id FROM arrived a)
    ) THEN
        SELECT e.id INTO event
        FROM arrived a JOIN {schema}.audit_batches b ON b.id = a.batch_id AND b.leaf_form < 2
        JOIN {schema}.audit_events e ON e.id = a.event_id AND e.created_at = a.created_at
        WHERE e.entity_key IS NOT NULL OR e.targets IS NOT NULL OR e.tenant IS NOT NULL LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'event % has a key, targets or a tenant, which this program cannot seal: use a newer audit-trail', event
                USING ERRCODE = 'feature_not_supported';
        END IF;
    END IF;
    RETURN NULL;
END
$audit$;

CREATE OR REPLACE FUNCTION {schema}.audit_check_tree() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $audit$
DECLARE
    known text := current_setting('audit.leaf_form', true);
    batch uuid;
BEGIN
    IF TG_RELID <> '{in_text}.audit_tree'::regclass THEN
        RAISE EXCEPTION '% is a trigger of audit_tree only', 'audit_check_tree' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT b.id INTO batch FROM arrived a JOIN {schema}.audit_batches b ON b.id = a.batch_id
    WHERE b.leaf_form > CASE WHEN known ~ '^[0-9]{1,4}$' THEN known::integer ELSE 1 END LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'batch % has digests of a form that this program does not know: use a newer audit-trail', batch
            USING ERRCODE = 'feature_not_supported';
    END IF;
    RETURN NULL;
END
$audit$;

-- audit_open_intents with the columns of version 6; the old function stays for older programs.
CREATE OR REPLACE FUNCTION {schema}.audit_unfinished(journal uuid) RETURNS TABLE (
    id uuid, event_type text, entity_type text, entity_id uuid, actor text, data text, created_at bigint, correlation_id uuid,
    context text, origin text, entity_key text, targets text, tenant text
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $audit$
#variable_conflict use_column
BEGIN
    PERFORM {schema}.audit_admit(journal, (SELECT j.role FROM {schema}.audit_journals j WHERE j.journal_id = journal));
    RETURN QUERY
    SELECT i.id, i.event_type, i.entity_type, i.entity_id, i.actor, i.data::text,
           (extract(epoch FROM i.created_at) * 1000000)::int8, i.correlation_id, i.context::text, i.origin,
           i.entity_key, i.targets::text, i.tenant
    FROM {schema}.audit_events i
    WHERE i.outcome = 'started'
      AND i.batch_id IN (SELECT b.id FROM {schema}.audit_batches b WHERE b.journal_id = journal)
      AND NOT EXISTS (
          SELECT FROM {schema}.audit_events c
          WHERE c.correlation_id = i.correlation_id AND c.created_at = i.created_at AND c.causation_id = i.id
      )
    ORDER BY i.created_at, i.id;
END
$audit$;

-- As before, and with the indexes that partitions have of their own.
CREATE OR REPLACE FUNCTION {schema}.audit_make_partitions(ahead integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $audit$
DECLARE
    first_month date := date_trunc('month', now() AT TIME ZONE 'UTC')::date;
    home        text := (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                         WHERE c.oid = '{in_text}.audit_events'::regclass);
    month_begin timestamptz;
    month_end   timestamptz;
    partition   text;
    made        integer := 0;
BEGIN
    LOCK TABLE {schema}.audit_schema IN SHARE UPDATE EXCLUSIVE MODE;
    FOR offset_months IN -1..LEAST(ahead, 12) LOOP
        month_begin := (first_month + make_interval(months => offset_months)) AT TIME ZONE 'UTC';
        month_end := (first_month + make_interval(months => offset_months + 1)) AT TIME ZONE 'UTC';
        partition := 'audit_events_' || to_char(month_begin AT TIME ZONE 'UTC', 'YYYY_MM');
        CONTINUE WHEN to_regclass(format('%I.%I', home, partition)) IS NOT NULL;
        CONTINUE WHEN EXISTS (
            SELECT FROM {schema}.audit_events_default WHERE created_at >= month_begin AND created_at < month_end
        );
        EXECUTE format(
            'CREATE TABLE %I.%I PARTITION OF %I.audit_events FOR VALUES FROM (%L) TO (%L)',
            home, partition, home, month_begin, month_end
        );
        EXECUTE format(
            'CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON %I.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION %I.audit_refuse_change()',
            home, partition, home
        );
        EXECUTE format('CREATE INDEX %I ON %I.%I (batch_id) WHERE outcome = ''started''', partition || '_started', home, partition);
        EXECUTE format('CREATE INDEX %I ON %I.%I (created_at, id) WHERE batch_id IS NULL', partition || '_unbatched_time', home, partition);
        EXECUTE format('CREATE INDEX %I ON %I.%I (id) WHERE batch_id IS NULL', partition || '_unbatched_id', home, partition);
        made := made + 1;
    END LOOP;
    RETURN made;
END
$audit$;

DO $audit$
DECLARE
    name    text;
    grantee oid;
BEGIN
    FOREACH name IN ARRAY ARRAY['audit_check_late()', 'audit_check_tree()', 'audit_unfinished(uuid)'] LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION {in_text}.%s FROM PUBLIC', name);
    END LOOP;
    -- New objects belong to the owner of the trail, whoever migrates.
    SELECT pg_get_userbyid(relowner) INTO name FROM pg_class WHERE oid = '{in_text}.audit_events'::regclass;
    IF name <> current_user THEN
        EXECUTE format('ALTER TABLE {in_text}.audit_tenants OWNER TO %I', name);
        EXECUTE format('ALTER VIEW {in_text}.audit_tenant_events OWNER TO %I', name);
        EXECUTE format('ALTER FUNCTION {in_text}.audit_bucket(timestamptz) OWNER TO %I', name);
        EXECUTE format('ALTER FUNCTION {in_text}.audit_check_late() OWNER TO %I', name);
        EXECUTE format('ALTER FUNCTION {in_text}.audit_check_tree() OWNER TO %I', name);
        EXECUTE format('ALTER FUNCTION {in_text}.audit_unfinished(uuid) OWNER TO %I', name);
    END IF;
    -- Roles that were made writers before can adopt journals as before.
    FOR grantee IN
        SELECT a.grantee FROM pg_proc p, aclexplode(p.proacl) a
        WHERE p.oid = '{in_text}.audit_open_intents(uuid)'::regprocedure AND a.grantee NOT IN (0, p.proowner)
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION {in_text}.audit_unfinished(uuid) TO %I', pg_get_userbyid(grantee));
    END LOOP;
END
$audit$;

CREATE OR REPLACE TRIGGER audit_late_seen_whole AFTER INSERT ON {schema}.audit_late REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.audit_check_late();
CREATE OR REPLACE TRIGGER audit_tree_of_known_form AFTER INSERT ON {schema}.audit_tree REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.audit_check_tree();

