-- An older program would move rows without their new columns, through a table of this name. It reports that the name is taken.
DO $audit$
BEGIN
    IF to_regclass('{in_text}.audit_moving') IS NULL THEN
        CREATE VIEW {schema}.audit_moving AS SELECT 'this audit-trail is too old to move rows: use a newer one'::text AS reason;
        COMMENT ON VIEW {schema}.audit_moving IS 'Stops an audit-trail that is too old to move rows; newer ones need it no more.';
    END IF;
END
$audit$;
