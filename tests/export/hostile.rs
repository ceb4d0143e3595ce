//! Values that break formats: in every column, and as other programs may store them.

use audit_runtime::sqlx;
use tests::Database;

/// Texts that end a field, a line, a header or an object in one form or another.
const TEXTS: [&str; 14] = [
    "=HYPERLINK(\"http://x\")",
    "a|b\\|c\\",
    "key=value other=thing",
    "line\nbreak\r\nand\ttab",
    "CEF:0|x|y|z|1|2|3|msg=x",
    "quote\" and 'apostrophe'",
    "{\"json\": [1, 2]}",
    "\u{1b}[31mred\u{7}",
    "\u{feff}\u{200b}\u{202e}unseen",
    "日本語 ÄÖÜ 😀",
    "^x09^ \\t \\n",
    "<script>alert(1)</script>",
    "%00%0a%0d",
    "",
];

/// A database with an event for each text, in all columns, and one that has every field.
pub(crate) async fn hostile_database() -> Database {
    let database = Database::new().await;
    for (number, text) in TEXTS.iter().enumerate() {
        let insert = "INSERT INTO audit_events (id, event_type, entity_type, entity_id, entity_key, targets, tenant, actor, data, created_at, outcome, \
             duration_us, correlation_id, causation_id, context, origin) \
             VALUES (gen_random_uuid(), $1, $1, gen_random_uuid(), $1, jsonb_build_array(jsonb_build_object('type', $1, 'key', $1)), $1, $1, \
             jsonb_build_object($1, $1, 'error', jsonb_build_object('message', $1)), now() - interval '1 s' * $2, $1, $2, gen_random_uuid(), gen_random_uuid(), \
             jsonb_build_object('ip', $1, 'trace_id', $1), $1)";
        sqlx::query(insert).bind(*text).bind(number as i64).execute(&database.pool).await.unwrap();
    }
    let odd = "INSERT INTO audit_events (id, event_type, entity_type, actor, data, created_at, outcome) VALUES \
         (gen_random_uuid(), 'time.infinite', 'x', 'a', '{}', 'infinity', 'ok'), (gen_random_uuid(), 'time.infinite', 'x', 'a', '[1e400]', '-infinity', 'ok'), \
         (gen_random_uuid(), 'time.old', 'x', 'a', '\"text\"', '0044-03-15 12:00Z BC', 'vanished'), (gen_random_uuid(), 'time.late', 'x', 'a', 'null', '294276-12-31 23:59:59.999999Z', 'ok')";
    sqlx::raw_sql(odd).execute(&database.pool).await.unwrap();
    let whole = "INSERT INTO audit_events (id, event_type, entity_type, entity_id, entity_key, targets, tenant, actor, data, created_at, outcome, duration_us, \
         correlation_id, causation_id, context, origin) VALUES ('11111111-1111-4111-8111-111111111111', 'whole.event', 'invoice', \
         '33333333-3333-4333-8333-333333333333', 'INV-2026-0007', '[{\"type\": \"account\", \"id\": \"44444444-4444-4444-8444-444444444444\", \"key\": \"other-key\"}]', \
         'the tenant', 'the actor', '{\"price\": 199.39999999999998, \"error\": {\"message\": \"error\"}}', '2026-01-02 03:04:05.000006Z', 'error', 42424242, \
         '22222222-2222-4222-8222-222222222222', '55555555-5555-4555-8555-555555555555', '{\"note\": \"the context\", \"ip\": \"10.0.0.7\", \
         \"trace_id\": \"0af7651916cd43dd8448eb211c80319c\"}', 'desk@host:77')";
    sqlx::raw_sql(whole).execute(&database.pool).await.unwrap();
    // A batch of its own, whose first leaf it is.
    let others = "UPDATE audit_events SET origin = origin";
    let _ = sqlx::raw_sql(others).execute(&database.pool).await;
    database
}
