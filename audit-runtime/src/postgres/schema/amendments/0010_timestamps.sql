-- Version 10: tokens of time-stamping authorities (RFC 3161) for checkpoints.
-- {schema} is the quoted schema of audit_events, {in_text} the same inside of a text. Every statement may run again.

CREATE TABLE IF NOT EXISTS {schema}.audit_timestamps (
    checkpoint_id  bigint      NOT NULL,
    authority      text        NOT NULL,
    token          bytea       NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (checkpoint_id, authority)
);
COMMENT ON TABLE {schema}.audit_timestamps IS 'Time stamps of checkpoints by authorities; append-only.';
COMMENT ON COLUMN {schema}.audit_timestamps.checkpoint_id IS 'The id in audit_checkpoints.';
COMMENT ON COLUMN {schema}.audit_timestamps.authority IS 'The URL that the token came from.';
COMMENT ON COLUMN {schema}.audit_timestamps.token IS 'A TimeStampToken (RFC 3161) in DER, over the SHA-256 hash of the note.';

-- In a schema where every role may create objects, somebody could have made it first.
DO $audit$
DECLARE
    stranger text;
BEGIN
    SELECT format('%s belongs to role %I', c.oid::regclass, pg_get_userbyid(c.relowner)) INTO stranger
    FROM pg_class c, pg_class t
    WHERE c.oid = '{in_text}.audit_timestamps'::regclass AND t.oid = '{in_text}.audit_events'::regclass
      AND c.relowner <> t.relowner AND pg_get_userbyid(c.relowner) <> current_user;
    IF stranger IS NOT NULL THEN
        RAISE EXCEPTION '%, which does not own audit_events: drop it or change its owner, then migrate again', stranger
            USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$audit$;

CREATE OR REPLACE TRIGGER audit_timestamps_append_only BEFORE UPDATE OR DELETE ON {schema}.audit_timestamps
    FOR EACH ROW EXECUTE FUNCTION {schema}.audit_refuse_change();
CREATE OR REPLACE TRIGGER audit_timestamps_no_truncate BEFORE TRUNCATE ON {schema}.audit_timestamps
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.audit_refuse_change();

DO $audit$
DECLARE
    name    text;
    grantee text;
BEGIN
    -- New objects belong to the owner of the trail, whoever migrates.
    SELECT pg_get_userbyid(relowner) INTO name FROM pg_class WHERE oid = '{in_text}.audit_events'::regclass;
    IF name <> current_user THEN
        EXECUTE format('ALTER TABLE {in_text}.audit_timestamps OWNER TO %I', name);
    END IF;
    -- Roles that make checkpoints store time stamps, and roles that read checkpoints read these.
    FOR grantee IN
        SELECT DISTINCT pg_get_userbyid(a.grantee) FROM pg_class c, aclexplode(c.relacl) a
        WHERE c.oid = '{in_text}.audit_checkpoints'::regclass AND a.privilege_type = 'INSERT' AND a.grantee NOT IN (0, c.relowner)
    LOOP
        EXECUTE format('GRANT INSERT ON {in_text}.audit_timestamps TO %I', grantee);
    END LOOP;
    FOR grantee IN
        SELECT DISTINCT pg_get_userbyid(a.grantee) FROM pg_class c, aclexplode(c.relacl) a
        WHERE c.oid = '{in_text}.audit_checkpoints'::regclass AND a.privilege_type = 'SELECT' AND a.grantee NOT IN (0, c.relowner)
    LOOP
        EXECUTE format('GRANT SELECT ON {in_text}.audit_timestamps TO %I', grantee);
    END LOOP;
END
$audit$;
