-- A call by its correlation: all of a request's events, and the completion of an intent, which has its time.
CREATE INDEX audit_events_correlation ON audit_events (correlation_id, created_at);

-- The intents of a journal, for the adopter that looks for those without a completion.
CREATE INDEX audit_events_intent ON audit_events (batch_id) WHERE outcome = 'started';

COMMENT ON COLUMN audit_events.outcome IS
    'ok, error, panicked, cancelled; started: an intent, whose completion names it as its cause; interrupted: there will be none.';
