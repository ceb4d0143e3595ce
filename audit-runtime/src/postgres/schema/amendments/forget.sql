-- Subjects are forgotten by functions, so that a role may forget and do nothing else.

-- In a schema where every role may create objects, somebody could have made them first.
DO $audit$
DECLARE
    stranger text;
BEGIN
    SELECT format('%s belongs to role %I', p.oid::regprocedure, pg_get_userbyid(p.proowner)) INTO stranger
    FROM pg_proc p, pg_class t
    WHERE p.pronamespace = t.relnamespace AND t.oid = '{in_text}.audit_events'::regclass
      AND p.proname IN ('audit_forget', 'audit_rewrite_keys')
      AND p.proowner <> t.relowner AND pg_get_userbyid(p.proowner) <> current_user;
    IF stranger IS NOT NULL THEN
        RAISE EXCEPTION '%, which does not own audit_events: drop it or change its owner, then migrate again', stranger
            USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$audit$;

-- Destroys the keys of a subject and reports it as an event. Returns the keys, its own one first, and nothing if there are none.
CREATE OR REPLACE FUNCTION {schema}.audit_forget(forgotten text, event uuid, acting text, program text)
RETURNS SETOF uuid LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $audit$
DECLARE
    keys uuid[];
BEGIN
    -- Further keys of the subject begin with its name.
    SELECT array_agg(k.id ORDER BY k.subject COLLATE "C") INTO keys
    FROM (
        SELECT a.id, a.subject FROM {schema}.audit_keys a
        WHERE a.subject = forgotten OR starts_with(a.subject, forgotten || E'\x1Faudit-key:') FOR UPDATE
    ) k;
    IF keys IS NULL THEN
        RETURN;
    END IF;
    UPDATE {schema}.audit_keys k SET subject = NULL, wrapped = NULL, destroyed_at = now() WHERE k.id = ANY (keys);
    INSERT INTO {schema}.audit_events (id, event_type, entity_type, actor, data, origin)
    VALUES (
        event, 'audit.forgotten', 'audit', coalesce(acting, session_user::text),
        jsonb_build_object('key', keys[1], 'database_user', session_user::text)
            || CASE WHEN cardinality(keys) > 1 THEN jsonb_build_object('further_keys', to_jsonb(keys[2:])) ELSE '{}' END,
        program
    );
    RETURN QUERY SELECT unnest(keys);
END
$audit$;

-- Writes the table of keys anew, so that its files no longer contain those that were destroyed. Returns false if another session
-- holds the table.
CREATE OR REPLACE FUNCTION {schema}.audit_rewrite_keys() RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $audit$
DECLARE
    name text := (SELECT quote_ident(c.relname) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                  WHERE i.indrelid = '{in_text}.audit_keys'::regclass AND i.indisprimary);
BEGIN
    EXECUTE 'CLUSTER {in_text}.audit_keys USING ' || name;
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END
$audit$;

DO $audit$
DECLARE
    name text;
BEGIN
    REVOKE ALL ON FUNCTION {schema}.audit_forget(text, uuid, text, text), {schema}.audit_rewrite_keys() FROM PUBLIC;
    -- New objects belong to the owner of the trail, whoever migrates.
    SELECT pg_get_userbyid(relowner) INTO name FROM pg_class WHERE oid = '{in_text}.audit_events'::regclass;
    IF name <> current_user THEN
        EXECUTE format('ALTER FUNCTION {in_text}.audit_forget(text, uuid, text, text) OWNER TO %I', name);
        EXECUTE format('ALTER FUNCTION {in_text}.audit_rewrite_keys() OWNER TO %I', name);
    END IF;
END
$audit$;

