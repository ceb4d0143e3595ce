-- Version 5: a journal belongs to the role that first stores a batch of it.
-- {schema} is the quoted schema of audit_events, {in_text} the same inside of a text. Every statement may run again.

CREATE TABLE IF NOT EXISTS {schema}.audit_schema (
    version        integer     PRIMARY KEY,
    applied_at     timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE {schema}.audit_schema IS
    'Versions of the schema after the migrations in _audit_migrations; the comment on audit_events names the last one.';

CREATE TABLE IF NOT EXISTS {schema}.audit_journals (
    journal_id     uuid        PRIMARY KEY,
    role           text        NOT NULL,
    bound_at       timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE {schema}.audit_journals IS
    'The role that owns each journal. Members of the role may store batches of it; the owner of this table may change it.';

-- In a schema where every role may create objects, somebody could have made them first.
DO $audit$
DECLARE
    stranger text;
BEGIN
    SELECT format('%s belongs to role %I', c.oid::regclass, pg_get_userbyid(c.relowner)) INTO stranger
    FROM pg_class c, pg_class t
    WHERE c.oid IN ('{in_text}.audit_schema'::regclass, '{in_text}.audit_journals'::regclass)
      AND t.oid = '{in_text}.audit_events'::regclass AND c.relowner <> t.relowner AND pg_get_userbyid(c.relowner) <> current_user;
    IF stranger IS NULL THEN
        SELECT format('%s belongs to role %I', p.oid::regprocedure, pg_get_userbyid(p.proowner)) INTO stranger
        FROM pg_proc p, pg_class t
        WHERE p.pronamespace = t.relnamespace AND t.oid = '{in_text}.audit_events'::regclass
          AND p.proname IN ('audit_admit', 'audit_bind', 'audit_fence', 'audit_check_batch', 'audit_open_intents', 'audit_refused',
                            'audit_make_partitions', 'audit_take_keys', 'audit_refuse_change', 'audit_destroy_only')
          AND p.proowner <> t.relowner AND pg_get_userbyid(p.proowner) <> current_user;
    END IF;
    IF stranger IS NOT NULL THEN
        RAISE EXCEPTION '%, which does not own audit_events: drop it or change its owner, then migrate again', stranger
            USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$audit$;

-- Refuses a caller who may not use a journal of this owner. The caller is the role of the session: a definer's function runs as
-- its owner, but SET ROLE and the login stay visible.
CREATE OR REPLACE FUNCTION {schema}.audit_admit(journal uuid, owner text) RETURNS void LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $audit$
DECLARE
    caller text := CASE current_setting('role') WHEN 'none' THEN session_user::text ELSE current_setting('role') END;
BEGIN
    IF owner = caller THEN
        RETURN;
    END IF;
    IF EXISTS (
        SELECT FROM pg_roles r
        WHERE (r.rolname = owner OR r.oid = (SELECT c.relowner FROM pg_class c WHERE c.oid = '{in_text}.audit_batches'::regclass))
          AND pg_has_role(caller, r.oid, 'MEMBER')
    ) THEN
        RETURN;
    END IF;
    IF owner IS NULL THEN
        RAISE EXCEPTION 'journal % belongs to no role yet, and role % may not ask for its events: a batch of it has to be stored first',
            journal, quote_ident(caller)
            USING ERRCODE = 'insufficient_privilege', TABLE = 'audit_batches', CONSTRAINT = 'audit_journal_role';
    END IF;
    RAISE EXCEPTION 'journal % belongs to role %, and role % is not a member of that: GRANT % TO %, or let a process of role % ship it',
        journal, quote_ident(owner), quote_ident(caller), quote_ident(owner), quote_ident(caller), quote_ident(owner)
        USING ERRCODE = 'insufficient_privilege', TABLE = 'audit_batches', CONSTRAINT = 'audit_journal_role';
END
$audit$;

-- Binds a journal to its first role, and refuses roles that are not members of it.
CREATE OR REPLACE FUNCTION {schema}.audit_bind(journal uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $audit$
DECLARE
    caller text := CASE current_setting('role') WHEN 'none' THEN session_user::text ELSE current_setting('role') END;
    owner  text;
BEGIN
    -- Rows that came without a batch are sealed by whoever may seal.
    IF journal = '00000000-0000-0000-0000-000000000000' THEN
        IF NOT has_table_privilege(caller, '{in_text}.audit_late', 'INSERT') THEN
            RAISE EXCEPTION 'role % may not seal rows of others: audit-trail migrate --checkpointer grants it', quote_ident(caller)
                USING ERRCODE = 'insufficient_privilege', TABLE = 'audit_batches', CONSTRAINT = 'audit_journal_role';
        END IF;
        RETURN;
    END IF;
    SELECT j.role INTO owner FROM {schema}.audit_journals j WHERE j.journal_id = journal;
    IF NOT FOUND THEN
        INSERT INTO {schema}.audit_journals (journal_id, role) VALUES (journal, caller) ON CONFLICT DO NOTHING;
        SELECT j.role INTO owner FROM {schema}.audit_journals j WHERE j.journal_id = journal;
    END IF;
    PERFORM {schema}.audit_admit(journal, owner);
END
$audit$;

-- Every batch holds its journal's row until its transaction ends: see audit_fence.
CREATE OR REPLACE FUNCTION {schema}.audit_check_batch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $audit$
BEGIN
    IF TG_RELID <> '{in_text}.audit_batches'::regclass THEN
        RAISE EXCEPTION '% is a trigger of audit_batches only', 'audit_check_batch' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM {schema}.audit_bind(NEW.journal_id);
    PERFORM FROM {schema}.audit_journals j WHERE j.journal_id = NEW.journal_id FOR KEY SHARE;
    RETURN NEW;
END
$audit$;

-- Returns true once every transaction that stores a batch of the journal has ended, and false if one is under way. A lock of a row:
-- unlike an advisory lock, only roles that may use the journal can hold it.
CREATE OR REPLACE FUNCTION {schema}.audit_fence(journal uuid) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $audit$
BEGIN
    PERFORM {schema}.audit_bind(journal);
    PERFORM FROM {schema}.audit_journals j WHERE j.journal_id = journal FOR UPDATE;
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END
$audit$;

-- What an adopter has to know of its journal, without being allowed to read events.
CREATE OR REPLACE FUNCTION {schema}.audit_open_intents(journal uuid) RETURNS TABLE (
    id uuid, event_type text, entity_type text, entity_id uuid, actor text, data text, created_at bigint, correlation_id uuid,
    context text, origin text
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $audit$
#variable_conflict use_column
BEGIN
    PERFORM {schema}.audit_admit(journal, (SELECT j.role FROM {schema}.audit_journals j WHERE j.journal_id = journal));
    RETURN QUERY
    SELECT i.id, i.event_type, i.entity_type, i.entity_id, i.actor, i.data::text,
           (extract(epoch FROM i.created_at) * 1000000)::int8, i.correlation_id, i.context::text, i.origin
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

CREATE OR REPLACE FUNCTION {schema}.audit_refused(journal uuid) RETURNS SETOF uuid LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $audit$
BEGIN
    PERFORM {schema}.audit_admit(journal, (SELECT j.role FROM {schema}.audit_journals j WHERE j.journal_id = journal));
    RETURN QUERY SELECT q.id FROM {schema}.audit_quarantine q
    WHERE q.batch_id IN (SELECT b.id FROM {schema}.audit_batches b WHERE b.journal_id = journal);
END
$audit$;

-- As before, for a year ahead at most, and in turns by a lock that only the owner can hold.
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
        made := made + 1;
    END LOOP;
    RETURN made;
END
$audit$;

-- As before, for keys and subjects of the sizes that they have.
CREATE OR REPLACE FUNCTION {schema}.audit_take_keys(subjects text[], ids uuid[], wrapped_keys bytea[])
RETURNS TABLE (subject text, id uuid, wrapped bytea) LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $audit$
#variable_conflict use_column
BEGIN
    IF EXISTS (
        SELECT FROM unnest(subjects, ids, wrapped_keys) AS n (subject, id, wrapped)
        WHERE n.subject IS NULL OR n.id IS NULL OR octet_length(n.wrapped) IS DISTINCT FROM 72 OR octet_length(n.subject) > 1200
    ) THEN
        RAISE EXCEPTION 'a wrapped key has 72 bytes, and the subject it belongs to 1,200 at most'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO {schema}.audit_keys (subject, id, wrapped)
    SELECT n.subject, n.id, n.wrapped FROM unnest(subjects, ids, wrapped_keys) AS n (subject, id, wrapped)
    ON CONFLICT (subject) DO NOTHING;
    RETURN QUERY SELECT k.subject, k.id, k.wrapped FROM {schema}.audit_keys k WHERE k.subject = ANY (subjects);
END
$audit$;

ALTER FUNCTION {schema}.audit_refuse_change() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION {schema}.audit_destroy_only() SET search_path = pg_catalog, pg_temp;

DO $audit$
DECLARE
    name    text;
    grantee oid;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'audit_admit(uuid, text)', 'audit_bind(uuid)', 'audit_check_batch()', 'audit_fence(uuid)', 'audit_open_intents(uuid)',
        'audit_refused(uuid)', 'audit_make_partitions(integer)', 'audit_take_keys(text[], uuid[], bytea[])'
    ] LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION {in_text}.%s FROM PUBLIC', name);
    END LOOP;
    -- New objects belong to the owner of the trail, whoever migrates.
    SELECT pg_get_userbyid(relowner) INTO name FROM pg_class WHERE oid = '{in_text}.audit_events'::regclass;
    IF name <> current_user THEN
        EXECUTE format('ALTER TABLE {in_text}.audit_schema OWNER TO %I', name);
        EXECUTE format('ALTER TABLE {in_text}.audit_journals OWNER TO %I', name);
        EXECUTE format('ALTER FUNCTION {in_text}.audit_admit(uuid, text) OWNER TO %I', name);
        EXECUTE format('ALTER FUNCTION {in_text}.audit_bind(uuid) OWNER TO %I', name);
        EXECUTE format('ALTER FUNCTION {in_text}.audit_check_batch() OWNER TO %I', name);
        EXECUTE format('ALTER FUNCTION {in_text}.audit_fence(uuid) OWNER TO %I', name);
    END IF;
    -- Roles that were made writers before can adopt journals as before.
    FOR grantee IN
        SELECT a.grantee FROM pg_proc p, aclexplode(p.proacl) a
        WHERE p.oid = '{in_text}.audit_refused(uuid)'::regprocedure AND a.grantee NOT IN (0, p.proowner)
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION {in_text}.audit_bind(uuid), {in_text}.audit_fence(uuid) TO %I', pg_get_userbyid(grantee));
    END LOOP;
END
$audit$;

CREATE OR REPLACE TRIGGER audit_batches_of_role BEFORE INSERT ON {schema}.audit_batches
    FOR EACH ROW EXECUTE FUNCTION {schema}.audit_check_batch();
