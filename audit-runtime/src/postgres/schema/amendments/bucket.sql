-- The minute of a time: equal keys of an index are stored once. A time before the origin would be rounded up by some versions.
CREATE OR REPLACE FUNCTION {schema}.audit_bucket(moment timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN date_bin('1 minute', moment, CASE WHEN moment >= '2000-01-01 00:00:00+00' THEN timestamptz '2000-01-01 00:00:00+00'
                                         ELSE timestamptz '4714-11-24 00:00:00+00 BC' END);
COMMENT ON FUNCTION {schema}.audit_bucket(timestamptz) IS 'The minute of a time, as the indexes of audit_events have it.';
GRANT EXECUTE ON FUNCTION {schema}.audit_bucket(timestamptz) TO PUBLIC;

