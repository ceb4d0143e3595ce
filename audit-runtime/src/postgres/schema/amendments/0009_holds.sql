-- Version 9: what may not be pruned or forgotten, and rows that a prune removes one by one.
-- {schema} is the quoted schema of audit_events, {in_text} the same inside of a text. Every statement may run again.

CREATE TABLE IF NOT EXISTS {schema}.audit_holds (
    id             uuid        PRIMARY KEY,
    entity_type    text,
    entity_id      uuid,
    entity_key     text,
    tenant         text,
    event_type     text,
    event_actor    text,
    reason         text        NOT NULL CHECK (reason <> ''),
    actor          text        NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    lifted_at      timestamptz,
    lifted_by      text,
    lift_reason    text,
    CHECK (num_nonnulls(entity_type, tenant, event_type, event_actor) > 0),
    CHECK ((entity_type IS NULL) = (entity_id IS NULL)),
    CHECK (num_nonnulls(lifted_at, lifted_by, lift_reason) IN (0, 3))
);
COMMENT ON TABLE {schema}.audit_holds IS
    'Events that may be neither pruned nor forgotten: those that match all conditions of a hold; append-only, except that a hold is lifted once.';
COMMENT ON COLUMN {schema}.audit_holds.entity_key IS 'The key of the entity where it is no UUID, as in audit_events.';
COMMENT ON COLUMN {schema}.audit_holds.event_type IS 'The type of the events; * stands for any text.';
COMMENT ON COLUMN {schema}.audit_holds.event_actor IS 'The actor of the events.';
COMMENT ON COLUMN {schema}.audit_holds.actor IS 'By whom the events are held.';

-- In a schema where every role may create objects, somebody could have made them first.
DO $audit$
DECLARE
    stranger text;
BEGIN
    SELECT format('%s belongs to role %I', c.oid::regclass, pg_get_userbyid(c.relowner)) INTO stranger
    FROM pg_class c, pg_class t
    WHERE c.oid = '{in_text}.audit_holds'::regclass AND t.oid = '{in_text}.audit_events'::regclass
      AND c.relowner <> t.relowner AND pg_get_userbyid(c.relowner) <> current_user;
    IF stranger IS NULL THEN
        SELECT format('%s belongs to role %I', p.oid::regprocedure, pg_get_userbyid(p.proowner)) INTO stranger
        FROM pg_proc p, pg_class t
        WHERE p.pronamespace = t.relnamespace AND t.oid = '{in_text}.audit_events'::regclass
          AND p.proname IN ('audit_is_held', 'audit_lift_only', 'audit_check_pruned')
          AND p.proowner <> t.relowner AND pg_get_userbyid(p.proowner) <> current_user;
    END IF;
    IF stranger IS NOT NULL THEN
        RAISE EXCEPTION '%, which does not own audit_events: drop it or change its owner, then migrate again', stranger
            USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$audit$;

-- Returns whether an event matches all conditions of a hold. An entity matches as the event's own, as a further one, and where the
-- data name it as <type>_id.
CREATE OR REPLACE FUNCTION {schema}.audit_is_held(
    held_type text, held_id uuid, held_key text, held_tenant text, held_event text, held_actor text,
    entity_type text, entity_id uuid, data jsonb, targets jsonb, tenant text, event_type text, actor text
) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
RETURN (held_type IS NULL OR coalesce(entity_type = held_type AND entity_id = held_id, false)
        OR coalesce(entity_type = held_type AND entity_id IS NULL AND data ->> '$entity_id' = coalesce(held_key, held_id::text), false)
        OR coalesce(data ->> (held_type || '_id') = coalesce(held_key, held_id::text), false)
        OR coalesce(targets @> jsonb_build_array(jsonb_build_object('type', held_type, 'id', held_id)), false))
   AND (held_tenant IS NULL OR coalesce(tenant = held_tenant, false))
   AND (held_event IS NULL
        OR event_type LIKE replace(replace(replace(replace(held_event, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'))
   AND (held_actor IS NULL OR actor = held_actor);
COMMENT ON FUNCTION {schema}.audit_is_held(text, uuid, text, text, text, text, text, uuid, jsonb, jsonb, text, text, text) IS
    'Returns whether an event matches all conditions of a hold.';
GRANT EXECUTE ON FUNCTION {schema}.audit_is_held(text, uuid, text, text, text, text, text, uuid, jsonb, jsonb, text, text, text) TO PUBLIC;

-- A hold is lifted once, in a transaction that reports it as an event.
CREATE OR REPLACE FUNCTION {schema}.audit_lift_only() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $audit$
BEGIN
    IF OLD.lifted_at IS NULL AND NEW.lifted_at IS NOT NULL
        AND to_jsonb(NEW) - '{lifted_at,lifted_by,lift_reason}'::text[] = to_jsonb(OLD) - '{lifted_at,lifted_by,lift_reason}'::text[]
        AND EXISTS (
            SELECT FROM {schema}.audit_events e
            WHERE e.created_at = transaction_timestamp() AND e.event_type = 'audit.released' AND e.data ->> 'hold' = OLD.id::text
        )
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'UPDATE on audit_holds is refused: a hold is only lifted, by audit-trail hold lift, which records that'
        USING ERRCODE = 'insufficient_privilege';
END
$audit$;

-- An older program would prune rows that are held. It reports this error instead.
CREATE OR REPLACE FUNCTION {schema}.audit_check_pruned() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $audit$
DECLARE
    hold uuid;
BEGIN
    IF current_setting('audit.holds', true) IS DISTINCT FROM '1' THEN
        SELECT h.id INTO hold FROM {schema}.audit_holds h WHERE h.lifted_at IS NULL ORDER BY h.created_at LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'hold % is in force, which this program does not know: use a newer audit-trail', hold
                USING ERRCODE = 'feature_not_supported';
        END IF;
    END IF;
    RETURN NULL;
END
$audit$;

-- As before, except that rows of audit_events go which the same transaction has accounted for: in audit_pruned, and by an event
-- audit.pruned that states an interval in which the row lies. A transaction that ended cannot account for any further row.
CREATE OR REPLACE FUNCTION {schema}.audit_refuse_change() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $audit$
BEGIN
    IF TG_OP = 'DELETE' AND TG_NAME = 'audit_events_append_only' THEN
        IF EXISTS (
            SELECT FROM {schema}.audit_pruned p JOIN {schema}.audit_events a ON a.id = p.event_id AND a.created_at = transaction_timestamp()
            WHERE p.batch_id = coalesce(OLD.batch_id, (
                SELECT l.batch_id FROM {schema}.audit_late l WHERE l.event_id = OLD.id AND l.created_at = OLD.created_at
            ))
              AND p.xmin = pg_current_xact_id()::xid
              AND (p.ids IS NULL OR (position(uuid_send(OLD.id) IN p.ids) - 1) % 16 = 0)
              AND a.event_type = 'audit.pruned'
              AND (a.data ->> 'from')::timestamptz <= OLD.created_at AND OLD.created_at < (a.data ->> 'to')::timestamptz
        ) THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION '% on % is refused: the audit trail is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$audit$;

-- As before, except for subjects whose personal data a hold needs.
CREATE OR REPLACE FUNCTION {schema}.audit_forget(forgotten text, event uuid, acting text, program text)
RETURNS SETOF uuid LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $audit$
DECLARE
    keys uuid[];
    hold uuid;
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
    -- A hold that is added meanwhile waits.
    LOCK TABLE {schema}.audit_holds IN SHARE MODE;
    -- The hold is about the subject itself, or an event that it keeps has a value of the subject.
    SELECT h.id INTO hold FROM {schema}.audit_holds h
    WHERE h.lifted_at IS NULL AND (
        h.entity_type || ':' || coalesce(h.entity_key, h.entity_id::text) = forgotten
            AND num_nonnulls(h.tenant, h.event_type, h.event_actor) = 0
        OR EXISTS (
            SELECT FROM {schema}.audit_events e
            WHERE {schema}.audit_is_held(h.entity_type, h.entity_id, h.entity_key, h.tenant, h.event_type, h.event_actor,
                                         e.entity_type, e.entity_id, e.data, e.targets, e.tenant, e.event_type, e.actor)
              AND EXISTS (SELECT FROM unnest(keys) AS k (id) WHERE strpos(concat(e.data, e.context, e.actor), k.id::text) > 0)
        )
    )
    ORDER BY h.created_at, h.id LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'hold % keeps personal data of this subject', hold
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = format('audit-trail hold lift %s --reason .. ends it', hold);
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

CREATE OR REPLACE TRIGGER audit_holds_lift_once BEFORE UPDATE ON {schema}.audit_holds
    FOR EACH ROW EXECUTE FUNCTION {schema}.audit_lift_only();
CREATE OR REPLACE TRIGGER audit_holds_append_only BEFORE DELETE ON {schema}.audit_holds
    FOR EACH ROW EXECUTE FUNCTION {schema}.audit_refuse_change();
CREATE OR REPLACE TRIGGER audit_holds_no_truncate BEFORE TRUNCATE ON {schema}.audit_holds
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.audit_refuse_change();
CREATE OR REPLACE TRIGGER audit_pruned_heeds_holds BEFORE INSERT ON {schema}.audit_pruned
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.audit_check_pruned();

DO $audit$
DECLARE
    name    text;
    grantee text;
BEGIN
    -- New objects belong to the owner of the trail, whoever migrates.
    SELECT pg_get_userbyid(relowner) INTO name FROM pg_class WHERE oid = '{in_text}.audit_events'::regclass;
    IF name <> current_user THEN
        EXECUTE format('ALTER TABLE {in_text}.audit_holds OWNER TO %I', name);
        EXECUTE format('ALTER FUNCTION {in_text}.audit_is_held OWNER TO %I', name);
        EXECUTE format('ALTER FUNCTION {in_text}.audit_lift_only() OWNER TO %I', name);
        EXECUTE format('ALTER FUNCTION {in_text}.audit_check_pruned() OWNER TO %I', name);
    END IF;
    -- Roles that read the trail read what is held.
    FOR grantee IN
        SELECT DISTINCT pg_get_userbyid(a.grantee) FROM pg_class c, aclexplode(c.relacl) a
        WHERE c.oid = '{in_text}.audit_events'::regclass AND a.privilege_type = 'SELECT' AND a.grantee NOT IN (0, c.relowner)
    LOOP
        EXECUTE format('GRANT SELECT ON {in_text}.audit_holds TO %I', grantee);
    END LOOP;
END
$audit$;
