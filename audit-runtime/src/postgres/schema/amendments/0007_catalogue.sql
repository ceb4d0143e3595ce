-- Version 7: what the annotated functions of each service record.
-- {schema} is the quoted schema of audit_events, {in_text} the same inside of a text. Every statement may run again.

CREATE TABLE IF NOT EXISTS {schema}.audit_catalogue (
    service        text        NOT NULL,
    version        text        NOT NULL,
    digest         bytea       NOT NULL CHECK (octet_length(digest) = 32),
    functions      jsonb       NOT NULL CHECK (jsonb_typeof(functions) = 'array'),
    origin         text        NOT NULL,
    first_seen_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (service, version, digest)
);
COMMENT ON TABLE {schema}.audit_catalogue IS
    'The annotated functions of each version of a service, as the first process of that version reported them; append-only.';
COMMENT ON COLUMN {schema}.audit_catalogue.version IS 'The version that the service states, or an empty text.';
COMMENT ON COLUMN {schema}.audit_catalogue.digest IS 'The SHA-256 hash of the text that the service sent as functions.';
COMMENT ON COLUMN {schema}.audit_catalogue.origin IS 'The process that reported them.';

-- In a schema where every role may create objects, somebody could have made it first.
DO $audit$
DECLARE
    stranger text;
BEGIN
    SELECT format('%s belongs to role %I', c.oid::regclass, pg_get_userbyid(c.relowner)) INTO stranger
    FROM pg_class c, pg_class t
    WHERE c.oid = '{in_text}.audit_catalogue'::regclass AND t.oid = '{in_text}.audit_events'::regclass
      AND c.relowner <> t.relowner AND pg_get_userbyid(c.relowner) <> current_user;
    IF stranger IS NOT NULL THEN
        RAISE EXCEPTION '%, which does not own audit_events: drop it or change its owner, then migrate again', stranger
            USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$audit$;

CREATE OR REPLACE TRIGGER audit_catalogue_append_only BEFORE UPDATE OR DELETE ON {schema}.audit_catalogue
    FOR EACH ROW EXECUTE FUNCTION {schema}.audit_refuse_change();
CREATE OR REPLACE TRIGGER audit_catalogue_no_truncate BEFORE TRUNCATE ON {schema}.audit_catalogue
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.audit_refuse_change();

DO $audit$
DECLARE
    name    text;
    grantee text;
BEGIN
    -- New objects belong to the owner of the trail, whoever migrates.
    SELECT pg_get_userbyid(relowner) INTO name FROM pg_class WHERE oid = '{in_text}.audit_events'::regclass;
    IF name <> current_user THEN
        EXECUTE format('ALTER TABLE {in_text}.audit_catalogue OWNER TO %I', name);
    END IF;
    -- Roles that store batches report their functions, and roles that read the trail read these.
    FOR grantee IN
        SELECT DISTINCT pg_get_userbyid(a.grantee) FROM pg_class c, aclexplode(c.relacl) a
        WHERE c.oid = '{in_text}.audit_batches'::regclass AND a.privilege_type = 'INSERT' AND a.grantee NOT IN (0, c.relowner)
    LOOP
        EXECUTE format('GRANT INSERT ON {in_text}.audit_catalogue TO %I', grantee);
    END LOOP;
    FOR grantee IN
        SELECT DISTINCT pg_get_userbyid(a.grantee) FROM pg_class c, aclexplode(c.relacl) a
        WHERE c.oid = '{in_text}.audit_events'::regclass AND a.privilege_type = 'SELECT' AND a.grantee NOT IN (0, c.relowner)
    LOOP
        EXECUTE format('GRANT SELECT ON {in_text}.audit_catalogue TO %I', grantee);
    END LOOP;
END
$audit$;
