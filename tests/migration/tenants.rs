//! The tenant wall: hostile SQL of a tenant's login.

use audit_runtime::Timestamp;
use audit_runtime::trail::{EventFilter, Facet, FacetCount, Find, Found, Parts, Trail, TrailEvent};
use futures_util::{StreamExt, TryStreamExt};
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor, Row};
use std::pin::pin;
use std::time::Duration;
use tests::Database;

/// A database with events of two tenants and of none, and a login of each tenant.
struct Scene {
    database: Database,
    name: String,
    acme: PgPool,
    globex: PgPool,
}

impl Scene {
    async fn new() -> Self {
        let database = Database::new().await;
        let rows = "INSERT INTO audit_events (id, event_type, entity_type, actor, data, tenant, created_at) \
                    SELECT gen_random_uuid(), 'order.filled', 'order', 'user:' || t, jsonb_build_object('secret', t || '-' || n), \
                    nullif(t, 'nobody'), now() - n * interval '1 minute' \
                    FROM unnest(ARRAY['acme', 'globex', 'nobody']) t, generate_series(1, 2000) n; ANALYZE audit_events";
        database.pool.execute(sqlx::raw_sql(rows)).await.unwrap();
        let name: String =
            sqlx::query_scalar("SELECT current_database()::text").fetch_one(&database.pool).await.unwrap();
        for tenant in ["acme", "globex"] {
            let role = format!("{name}_{tenant}");
            database.pool.execute(AssertSqlSafe(format!("CREATE ROLE {role} LOGIN"))).await.unwrap();
            database.admin().assign_tenant(&role, tenant).await.unwrap();
        }
        let pool = |tenant: &str| {
            let url = database.url.replace("postgres://postgres@", &format!("postgres://{name}_{tenant}@"));
            PgPoolOptions::new().max_connections(1).connect_lazy(&url).unwrap()
        };
        Self { acme: pool("acme"), globex: pool("globex"), name, database }
    }
}

/// Runs statements that may fail, and asserts that whatever they return or report contains nothing of the other tenant.
async fn sees_nothing_foreign(pool: &PgPool, sql: &str) {
    match pool.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await {
        Err(error) => assert!(!error.to_string().contains("globex-"), "{sql}: {error}"),
        Ok(rows) => {
            for row in rows {
                for column in 0..row.len() {
                    let text = row.try_get_unchecked::<Option<String>, _>(column).ok().flatten().unwrap_or_default();
                    assert!(!text.contains("globex-"), "{sql}: {text}");
                }
            }
        }
    }
}

async fn is_refused(pool: &PgPool, sql: &str) {
    let error = pool.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.expect_err(sql);
    let code = error.as_database_error().and_then(|error| error.code()).map(Into::<String>::into);
    assert!(matches!(code.as_deref(), Some("42501")), "{sql}: {error}");
}

async fn visible(pool: &PgPool) -> (i64, i64) {
    let sql = "SELECT count(*), count(*) FILTER (WHERE tenant = 'acme') FROM audit_tenant_events";
    sqlx::query_as(sql).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn a_login_sees_the_events_of_its_tenant_alone() {
    let scene = Scene::new().await;
    assert_eq!((visible(&scene.acme).await, visible(&scene.globex).await), ((2_000, 2_000), (2_000, 0)));
    // A login without a tenant sees nothing, even if it may ask; the owner has none either.
    assert_eq!(visible(&scene.database.pool).await, (0, 0));
    let role = format!("CREATE ROLE {0}_other LOGIN; GRANT SELECT ON audit_tenant_events TO {0}_other", scene.name);
    scene.database.pool.execute(sqlx::raw_sql(AssertSqlSafe(role))).await.unwrap();
    let url = scene.database.url.replace("postgres://postgres@", &format!("postgres://{}_other@", scene.name));
    assert_eq!(visible(&PgPool::connect(&url).await.unwrap()).await, (0, 0));
    // Nobody can assign itself.
    for pool in [&scene.acme, &scene.globex] {
        is_refused(pool, "INSERT INTO audit_tenants VALUES (session_user, 'globex')").await;
        is_refused(pool, "UPDATE audit_tenants SET tenant = 'globex'").await;
        is_refused(pool, "SELECT * FROM audit_tenants").await;
    }
}

#[tokio::test]
async fn tables_and_other_identities_are_refused() {
    let scene = Scene::new().await;
    let month = format!("audit_events_{}", chrono::Utc::now().format("%Y_%m"));
    for table in
        ["audit_events", &month, "audit_events_default", "audit_batches", "audit_keys", "audit_late", "audit_journals"]
    {
        is_refused(&scene.acme, &format!("SELECT * FROM {table}")).await;
        is_refused(&scene.acme, &format!("COPY {table} TO STDOUT")).await;
    }
    for statement in [
        "UPDATE audit_tenant_events SET tenant = 'acme'",
        "DELETE FROM audit_tenant_events",
        "INSERT INTO audit_tenant_events (id, event_type, entity_type, tenant) VALUES (gen_random_uuid(), 'a.b', 'a', 'globex')",
        "CREATE OR REPLACE VIEW audit_tenant_events AS SELECT * FROM audit_events",
        "ALTER VIEW audit_tenant_events RESET (security_barrier)",
        "SELECT audit_open_intents(gen_random_uuid())",
        "SELECT audit_unfinished(gen_random_uuid())",
        "COPY (SELECT 1) TO PROGRAM 'cat'",
        "SELECT pg_read_file('postgresql.conf')",
    ] {
        let error = scene.acme.execute(sqlx::raw_sql(statement)).await.expect_err(statement);
        let code = error.as_database_error().and_then(|error| error.code()).map(Into::<String>::into);
        assert!(matches!(code.as_deref(), Some("42501")), "{statement}: {error}");
    }
    for identity in [
        format!("SET ROLE {}_globex", scene.name),
        format!("SET SESSION AUTHORIZATION {}_globex", scene.name),
        "SET SESSION AUTHORIZATION postgres".into(),
        "SET ROLE postgres".into(),
    ] {
        is_refused(&scene.acme, &identity).await;
    }
    // A role that it may take does not change whose session it is.
    let member = format!("GRANT {0}_globex TO {0}_acme", scene.name);
    scene.database.pool.execute(AssertSqlSafe(member)).await.unwrap();
    let as_globex = format!("SET ROLE {}_globex", scene.name);
    scene.acme.execute(AssertSqlSafe(as_globex)).await.unwrap();
    assert_eq!(visible(&scene.acme).await, (2_000, 2_000));
}

#[tokio::test]
async fn functions_operators_settings_and_plans_show_nothing_foreign() {
    let scene = Scene::new().await;
    let leaky = "CREATE FUNCTION pg_temp.leak(value text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN \
                 IF value LIKE 'globex-%' THEN RAISE EXCEPTION 'seen: %', value; END IF; RETURN true; END $$; \
                 CREATE FUNCTION pg_temp.leak(value jsonb) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN \
                 RETURN pg_temp.leak(value ->> 'secret'); END $$; \
                 CREATE FUNCTION pg_temp.leak(value text, other text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN \
                 RETURN pg_temp.leak(value); END $$; \
                 CREATE OPERATOR pg_temp.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.leak); \
                 CREATE FUNCTION pg_temp.equal(a text, b text) RETURNS boolean LANGUAGE sql AS 'SELECT true'; \
                 CREATE OPERATOR pg_temp.= (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.equal); \
                 CREATE TEMP TABLE audit_tenants (role text, tenant text); INSERT INTO audit_tenants VALUES (session_user, 'globex'); \
                 CREATE FUNCTION pg_temp.all_events() RETURNS SETOF audit_tenant_events LANGUAGE sql SECURITY DEFINER \
                 AS 'SELECT * FROM audit_tenant_events'; \
                 CREATE TEMP VIEW mine AS SELECT * FROM audit_tenant_events";
    for pool in [&scene.acme, &scene.globex] {
        pool.execute(sqlx::raw_sql(leaky)).await.unwrap();
    }
    for statement in [
        "SELECT count(*)::text FROM audit_tenant_events WHERE pg_temp.leak(data ->> 'secret')",
        "SELECT count(*)::text FROM audit_tenant_events WHERE (data ->> 'secret') OPERATOR(pg_temp.===) 'x'",
        "SELECT data::text FROM audit_tenant_events WHERE 1 / (CASE WHEN data ->> 'secret' LIKE 'globex-%' THEN 0 ELSE 1 END) = 1",
        "SELECT count(*)::text FROM audit_tenant_events WHERE (data ->> 'secret')::int > 0",
        "SELECT count(*)::text FROM audit_tenant_events WHERE tenant = 'globex' AND pg_temp.leak(data ->> 'secret')",
        "SELECT count(*)::text FROM audit_tenant_events a JOIN audit_tenant_events b ON pg_temp.leak(b.data ->> 'secret') LIMIT 1",
        "SELECT data::text FROM pg_temp.all_events()",
        "SELECT data::text FROM mine WHERE pg_temp.leak(data ->> 'secret')",
        "SET search_path = pg_temp, public; SELECT data::text FROM public.audit_tenant_events; RESET search_path",
        "SET audit.tenant = 'globex'; SELECT data::text FROM audit_tenant_events",
        "SET row_security = off; SELECT data::text FROM audit_tenant_events",
        // Cheaper than the view's own condition, so that it would be asked first.
        "SET enable_indexscan = off; SET enable_bitmapscan = off; SELECT count(*)::text FROM audit_tenant_events WHERE pg_temp.leak(data)",
        "EXPLAIN (ANALYZE, VERBOSE, COSTS OFF) SELECT * FROM audit_tenant_events WHERE pg_temp.leak(data ->> 'secret')",
        "EXPLAIN (VERBOSE) SELECT * FROM audit_tenant_events WHERE actor = 'user:globex'",
        "COPY (SELECT * FROM audit_tenant_events WHERE pg_temp.leak(data ->> 'secret')) TO STDOUT",
        "SELECT most_common_vals::text, histogram_bounds::text FROM pg_stats WHERE tablename LIKE 'audit_events%'",
        "DECLARE c CURSOR WITH HOLD FOR SELECT data::text FROM audit_tenant_events; FETCH ALL FROM c; CLOSE c",
        "SELECT query FROM pg_stat_activity",
    ] {
        sees_nothing_foreign(&scene.acme, statement).await;
    }
    assert_eq!(visible(&scene.acme).await, (2_000, 2_000));
    // The same statements see the events of whose session it is: they work.
    let error = scene.globex.fetch_all("SELECT 1 FROM audit_tenant_events WHERE pg_temp.leak(data ->> 'secret')").await;
    assert!(error.unwrap_err().to_string().contains("seen: globex-"));
}

#[tokio::test]
async fn its_index_serves_the_view() {
    let scene = Scene::new().await;
    // In the first hours of a month, its partition would be so small that it is read as a whole.
    let more = "INSERT INTO audit_events (id, event_type, entity_type, tenant) SELECT gen_random_uuid(), 'order.filled', 'order', 'globex' \
                FROM generate_series(1, 3000); ANALYZE audit_events";
    sqlx::raw_sql(more).execute(&scene.database.pool).await.unwrap();
    let sql = "EXPLAIN SELECT * FROM audit_tenant_events WHERE created_at > now() - interval '10 minutes' ORDER BY created_at DESC LIMIT 5";
    let plan: Vec<String> = sqlx::query_scalar(sql).fetch_all(&scene.acme).await.unwrap();
    assert!(plan.iter().any(|line| line.contains("_tenant_created_at_idx")), "{plan:#?}");
}

#[tokio::test]
async fn a_trail_with_a_tenants_login_shows_and_counts_the_tenant_alone_without_any_filter() {
    let scene = Scene::new().await;
    let trail = Trail::new(scene.database.pool.clone()).tenant_login(scene.acme.clone());
    let is_acme = |event: &TrailEvent| event.tenant.as_deref() == Some("acme");
    let filters = [
        EventFilter::new(),
        EventFilter::new().newest_first(),
        EventFilter::new().tenant("globex"),
        EventFilter::new().tenant_any(["globex", "acme"]),
        EventFilter::new().actor("user:globex"),
        EventFilter::new().event("order.*").data(serde_json::json!({"secret": "globex-7"})),
    ];
    for filter in &filters {
        let events: Vec<TrailEvent> = trail.stream(filter.clone().limit(500)).try_collect().await.unwrap();
        assert!(events.iter().all(is_acme), "{filter:?}");
    }
    let all: Vec<TrailEvent> = trail.stream(EventFilter::new()).try_collect().await.unwrap();
    let order = all.windows(2).all(|two| (two[0].created_at, two[0].id) <= (two[1].created_at, two[1].id));
    assert!(all.len() == 2_000 && order, "{}", all.len());
    let newest: Vec<TrailEvent> = trail.newest(EventFilter::new().tenant("acme"), 7).try_collect().await.unwrap();
    assert_eq!(newest, all[1_993..]);
    let found = |text: &'static str| {
        let found = trail.find(Find::new(text)).try_collect::<Vec<Found>>();
        async move { found.await.unwrap().into_iter().filter(|step| matches!(step, Found::Event(_))).count() }
    };
    assert_eq!((found("globex-7").await, found("acme-1777").await, found("user:globex").await), (0, 1, 0));
    let of = |facet: Facet, counts: &[FacetCount]| -> Vec<(String, u64)> {
        counts.iter().filter(|count| count.facet == facet).map(|count| (count.value.clone(), count.events)).collect()
    };
    let within = Duration::from_secs(30);
    let facets = trail.facets(&EventFilter::new(), 1_000_000, within).await.unwrap().unwrap();
    assert_eq!(of(Facet::Tenant, &facets), [("acme".into(), 2_000)]);
    assert_eq!(of(Facet::Actor, &facets), [("user:acme".into(), 2_000)]);
    let now = Timestamp::now();
    let parts = Parts::new(now.saturating_sub(Duration::from_secs(400_000)), now, 1).unwrap();
    let counts = trail.histogram(&EventFilter::new(), parts, within).await.unwrap().unwrap();
    assert_eq!(counts.iter().map(|count| count.events).sum::<u64>(), 2_000);
    assert_eq!(trail.arrivals(parts, within).await.unwrap(), None);
    let recorded = trail.recorded_types().await.unwrap();
    assert_eq!(recorded.len(), 1);
    let mut following = pin!(trail.follow(EventFilter::new().limit(3)));
    let mut followed = Vec::new();
    let arrives = async {
        loop {
            let sql = "INSERT INTO audit_events (id, event_type, entity_type, tenant, created_at) SELECT gen_random_uuid(), 'note.left', 'note', t, now() \
                       FROM unnest(ARRAY['globex', 'acme']) t";
            scene.database.pool.execute(sql).await.unwrap();
            tokio::task::yield_now().await;
            if let Ok(Some(event)) = tokio::time::timeout(Duration::from_millis(50), following.next()).await {
                followed.push(event.unwrap());
            }
            if followed.iter().any(|event| event.event_type == "note.left") {
                break;
            }
        }
    };
    tokio::time::timeout(tests::wait::PATIENCE, arrives).await.unwrap();
    assert!(followed.iter().all(is_acme), "{followed:?}");
}
