-- Version 11: the order in which events arrived, across restores and failovers; feeds that follow it.
-- {schema} is the quoted schema of audit_events, {in_text} the same inside of a text. Every statement may run again.

-- In a schema where every role may create objects, somebody could have made them first.
DO $audit$
DECLARE
    stranger text;
BEGIN
    SELECT format('%s belongs to role %I', c.oid::regclass, pg_get_userbyid(c.relowner)) INTO stranger
    FROM pg_class c, pg_class t
    WHERE t.oid = '{in_text}.audit_events'::regclass AND c.relnamespace = t.relnamespace
      AND c.relname IN ('audit_retried', 'audit_feeds', 'audit_set_aside') AND c.relowner <> t.relowner
      AND pg_get_userbyid(c.relowner) <> current_user;
    IF stranger IS NULL THEN
        SELECT format('%s belongs to role %I', p.oid::regprocedure, pg_get_userbyid(p.proowner)) INTO stranger
        FROM pg_proc p, pg_class t
        WHERE p.pronamespace = t.relnamespace AND t.oid = '{in_text}.audit_events'::regclass
          AND p.proname IN ('audit_lineage', 'audit_note_retried')
          AND p.proowner <> t.relowner AND pg_get_userbyid(p.proowner) <> current_user;
    END IF;
    IF stranger IS NOT NULL THEN
        RAISE EXCEPTION '%, which does not own audit_events: drop it or change its owner, then migrate again', stranger
            USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$audit$;

-- Transactions are counted anew after dump and restore, and in part after a failover: their ids are compared within a lineage.
CREATE OR REPLACE FUNCTION {schema}.audit_lineage() RETURNS text LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $audit$
BEGIN
    RETURN (pg_control_system()).system_identifier || '/' || CASE
        -- A standby writes no WAL. It is on the timeline that it has replayed.
        WHEN pg_is_in_recovery() THEN (pg_control_checkpoint()).timeline_id
        ELSE ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::integer
    END;
EXCEPTION WHEN insufficient_privilege OR undefined_function OR feature_not_supported THEN
    -- On a server that tells neither, a restored database needs a feed that begins anew.
    RETURN '0/0';
END
$audit$;
COMMENT ON FUNCTION {schema}.audit_lineage() IS 'The server and its timeline, within which ids of transactions only grow.';

-- The default follows the column, so that batches from before have none.
LOCK TABLE {schema}.audit_batches IN ACCESS EXCLUSIVE MODE;
ALTER TABLE {schema}.audit_batches ADD COLUMN IF NOT EXISTS lineage text;
ALTER TABLE {schema}.audit_batches ALTER COLUMN lineage SET DEFAULT {schema}.audit_lineage();
COMMENT ON COLUMN {schema}.audit_batches.lineage IS
    'The server and timeline on which xact counts: system identifier/timeline; NULL before version 11.';
CREATE INDEX IF NOT EXISTS audit_batches_arrivals ON {schema}.audit_batches (lineage, xact, id) WHERE lineage IS NOT NULL;

-- As before. Roles that store batches do not choose their order, in which a feed would have passed the batch already. The owner does,
-- who copies batches of another database.
CREATE OR REPLACE FUNCTION {schema}.audit_check_batch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $audit$
DECLARE
    caller text := CASE current_setting('role') WHEN 'none' THEN session_user::text ELSE current_setting('role') END;
BEGIN
    IF TG_RELID <> '{in_text}.audit_batches'::regclass THEN
        RAISE EXCEPTION '% is a trigger of audit_batches only', 'audit_check_batch' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NOT pg_has_role(caller, (SELECT c.relowner FROM pg_class c WHERE c.oid = TG_RELID), 'MEMBER') THEN
        NEW.lineage := {schema}.audit_lineage();
        NEW.xact := pg_current_xact_id();
        NEW.created_at := now();
    END IF;
    PERFORM {schema}.audit_bind(NEW.journal_id);
    PERFORM FROM {schema}.audit_journals j WHERE j.journal_id = NEW.journal_id FOR KEY SHARE;
    RETURN NEW;
END
$audit$;

-- Events that were stored after their batch: they arrive then.
CREATE TABLE IF NOT EXISTS {schema}.audit_retried (
    event_id       uuid        PRIMARY KEY,
    batch_id       uuid        NOT NULL,
    lineage        text        NOT NULL,
    xact           xid8        NOT NULL
);
COMMENT ON TABLE {schema}.audit_retried IS 'Events that left the quarantine, and the transaction in which they did.';
CREATE INDEX IF NOT EXISTS audit_retried_arrivals ON {schema}.audit_retried (lineage, xact, event_id);

CREATE OR REPLACE FUNCTION {schema}.audit_note_retried() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $audit$
BEGIN
    IF TG_RELID <> '{in_text}.audit_quarantine'::regclass THEN
        RAISE EXCEPTION '% is a trigger of audit_quarantine only', 'audit_note_retried' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO {schema}.audit_retried (event_id, batch_id, lineage, xact)
    VALUES (OLD.id, OLD.batch_id, {schema}.audit_lineage(), pg_current_xact_id())
    ON CONFLICT (event_id) DO UPDATE SET batch_id = excluded.batch_id, lineage = excluded.lineage, xact = excluded.xact;
    RETURN NULL;
END
$audit$;

CREATE TABLE IF NOT EXISTS {schema}.audit_feeds (
    name           text        PRIMARY KEY CHECK (name <> '' AND octet_length(name) <= 200),
    target         text        NOT NULL,
    form           text        NOT NULL,
    conditions     text        NOT NULL DEFAULT '',
    position       text        NOT NULL,
    sent           bigint      NOT NULL DEFAULT 0,
    set_aside      bigint      NOT NULL DEFAULT 0,
    has_taken      boolean     NOT NULL DEFAULT false,
    paused         boolean     NOT NULL DEFAULT false,
    waits_for      text,
    created_at     timestamptz NOT NULL DEFAULT now(),
    moved_at       timestamptz
);
COMMENT ON TABLE {schema}.audit_feeds IS 'The feeds of events to other systems, and how far each has come.';
COMMENT ON COLUMN {schema}.audit_feeds.position IS 'The last event that the target has, in the order of arrival.';
COMMENT ON COLUMN {schema}.audit_feeds.has_taken IS 'Whether this target has ever taken an event in this form.';
COMMENT ON COLUMN {schema}.audit_feeds.waits_for IS 'The reason why the feed waits, such as a target that does not answer.';

CREATE TABLE IF NOT EXISTS {schema}.audit_set_aside (
    feed           text        NOT NULL REFERENCES {schema}.audit_feeds ON UPDATE CASCADE ON DELETE CASCADE,
    event_id       uuid        NOT NULL,
    event_at       timestamptz NOT NULL,
    error          text        NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (feed, event_id)
);
COMMENT ON TABLE {schema}.audit_set_aside IS 'Events that the target of a feed refused.';

DO $audit$
DECLARE
    name    text;
    grantee text;
BEGIN
    REVOKE ALL ON FUNCTION {schema}.audit_note_retried() FROM PUBLIC;
    -- New objects belong to the owner of the trail, whoever migrates.
    SELECT pg_get_userbyid(relowner) INTO name FROM pg_class WHERE oid = '{in_text}.audit_events'::regclass;
    IF name <> current_user THEN
        EXECUTE format('ALTER TABLE {in_text}.audit_retried OWNER TO %I', name);
        EXECUTE format('ALTER TABLE {in_text}.audit_feeds OWNER TO %I', name);
        EXECUTE format('ALTER TABLE {in_text}.audit_set_aside OWNER TO %I', name);
        EXECUTE format('ALTER FUNCTION {in_text}.audit_lineage() OWNER TO %I', name);
        EXECUTE format('ALTER FUNCTION {in_text}.audit_note_retried() OWNER TO %I', name);
    END IF;
    -- Roles that store batches state the lineage, and roles that read the trail see its feeds.
    FOR grantee IN
        SELECT DISTINCT pg_get_userbyid(a.grantee) FROM pg_class c, aclexplode(c.relacl) a
        WHERE c.oid = '{in_text}.audit_events'::regclass AND a.privilege_type = 'SELECT' AND a.grantee NOT IN (0, c.relowner)
    LOOP
        EXECUTE format('GRANT SELECT ON {in_text}.audit_retried, {in_text}.audit_feeds, {in_text}.audit_set_aside TO %I', grantee);
    END LOOP;
END
$audit$;

CREATE OR REPLACE TRIGGER audit_quarantine_retried AFTER DELETE ON {schema}.audit_quarantine
    FOR EACH ROW EXECUTE FUNCTION {schema}.audit_note_retried();
