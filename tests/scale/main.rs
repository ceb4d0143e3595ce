//! A year of events: all of it in PostgreSQL, then the newest month there and the rest in a lake.
//! `scripts/scale.sh` runs it.

#![allow(clippy::unwrap_used, reason = "a test's program fails by panicking")]

use audit_runtime::evidence::SigningKey;
use sqlx::AssertSqlSafe;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use tests::{Cluster, Config, Database, secret_file};

/// Months, of which the current one is the last.
const MONTHS: u32 = 12;
/// Rows of one measurement of the ingest.
const ROWS: u32 = 300_000;
/// Accounts of a million rows. One row of a hundred is an account's, so that each has five a month.
const ACCOUNTS: u32 = 160;
/// Trails of one measurement.
const TRAILS: u32 = 21;

struct Scene {
    database: Database,
    directory: tempfile::TempDir,
    key: String,
    public: String,
    millions: u32,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, millions, rounds] = &*arguments else { panic!("millions of rows, rounds of the ingest") };
    let (millions, rounds): (u32, usize) = (millions.parse().unwrap(), rounds.parse().unwrap());
    let settings = "shared_buffers = 1GB\nmax_wal_size = 8GB\nmaintenance_work_mem = 512MB";
    let cluster = Cluster::start(Config { settings, hba: None });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let key = SigningKey::generate("audit.example.com/scale").unwrap();
    let public = key.public().to_string();
    let key = secret_file(directory.path(), "key", key.secret());
    let database = runtime.block_on(Database::migrated_in(&cluster));
    let scene = Scene { database, directory, key, public, millions };
    runtime.block_on(scene.fill());
    scene.timed("checkpoint, which seals all rows", &["checkpoint", "--key", &scene.key]);
    runtime.block_on(scene.vacuum());
    runtime.block_on(scene.sizes("a year in PostgreSQL"));
    scene.timed("verify", &["verify", "--public-key", &scene.public]);
    scene.trails("a year in PostgreSQL", &[]);
    runtime.block_on(scene.ingest("a year in PostgreSQL", rounds));
    scene.run(&["checkpoint", "--key", &scene.key]);

    let lake = scene.directory.path().join("lake");
    let url = lake.to_str().unwrap();
    scene.timed("lake sync", &["lake", "sync", url, "--key", &scene.key]);
    let begin: String = runtime.block_on(scene.text("SELECT date_trunc('month', now())::date::text"));
    scene.timed("prune, each row compared", &["prune", "--before", &begin, "--archive", url, "--key", &scene.key]);
    scene.run(&["lake", "sync", url, "--key", &scene.key]);
    let bytes = size(&lake);
    println!("the lake: {:.2} GB, {:.1} bytes a row", bytes as f64 / 1e9, bytes as f64 / scene.rows());
    runtime.block_on(scene.vacuum());
    runtime.block_on(scene.sizes("the newest month in PostgreSQL"));
    scene.timed("verify --lake", &["verify", "--lake", url, "--public-key", &scene.public]);
    scene.timed("verify, of what is left", &["verify", "--public-key", &scene.public]);
    scene.trails("over PostgreSQL and the lake", &["--lake", url]);
    scene.trails("the newest month alone", &[]);
    runtime.block_on(scene.ingest("the newest month in PostgreSQL", rounds));
}

impl Scene {
    fn rows(&self) -> f64 {
        f64::from(self.millions) * 1e6
    }

    /// Events of a year. An order has ten of them within minutes, and an account has some in each month.
    async fn fill(&self) {
        let first = "INSERT INTO audit_events (id, event_type, entity_type, data, created_at) \
                     SELECT gen_random_uuid(), 'month.begun', 'month', '{}', date_trunc('month', now()) - interval '1 month' * n \
                     FROM generate_series(0, $1 - 1) n";
        sqlx::query(first).bind(MONTHS.cast_signed()).execute(&self.database.pool).await.unwrap();
        self.database.admin().make_partitions(|_| {}).await.unwrap();
        let (rows, accounts) = (self.millions * 1_000_000, self.millions * ACCOUNTS);
        for million in 0..self.millions {
            let insert = format!(
                "INSERT INTO audit_events (id, event_type, entity_type, entity_id, actor, data, created_at, duration_us, correlation_id, context, origin) \
                 SELECT (lpad(to_hex((extract(epoch FROM t) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid, \
                 (ARRAY['order.submitted', 'order.accepted', 'order.filled', 'risk.evaluated', 'position.updated'])[1 + n % 5], \
                 CASE n % 100 WHEN 7 THEN 'account' ELSE 'order' END, \
                 CASE n % 100 WHEN 7 THEN md5('account ' || n / 100 % {accounts})::uuid ELSE md5((n / 10)::text)::uuid END, \
                 CASE n % 5 WHEN 0 THEN 'desk' ELSE 'user:' || n % 9973 END, \
                 jsonb_build_object('ticker', 'T' || n % 500, 'quantity', n % 1000, 'number', n, 'price', round((n % 100000) * 0.01, 2), \
                 'recommendation_id', md5((n / 10 + 1)::text)::uuid, 'side', 'buy', 'order_type', 'limit'), t, 100 + n % 1000, \
                 md5((n / 10 + 2)::text)::uuid, '{{\"ip\": \"10.1.2.3\", \"app\": \"desk\"}}', 'desk@host:' || n % 4 \
                 FROM generate_series({million} * 1000000::bigint, {million} * 1000000::bigint + 999999) n, \
                 LATERAL (SELECT begin + (now() - begin) * (n / {rows}.0) AS t \
                 FROM (SELECT date_trunc('month', now()) - interval '{} months' AS begin) b) times",
                MONTHS - 1
            );
            sqlx::query(AssertSqlSafe(insert)).execute(&self.database.pool).await.unwrap();
            eprintln!("{} million rows", million + 1);
        }
    }

    async fn vacuum(&self) {
        sqlx::raw_sql("VACUUM ANALYZE audit_events").execute(&self.database.pool).await.unwrap();
        sqlx::raw_sql("CHECKPOINT").execute(&self.database.pool).await.unwrap();
    }

    async fn text(&self, sql: &'static str) -> String {
        sqlx::query_scalar(sql).fetch_one(&self.database.pool).await.unwrap()
    }

    async fn sizes(&self, of: &str) {
        let tables = "FROM pg_class WHERE relkind = 'r' AND relname LIKE 'audit\\_%'";
        let total = format!("SELECT sum(pg_total_relation_size(oid))::bigint {tables}");
        let heap = format!("SELECT sum(pg_table_size(oid))::bigint {tables}");
        let number = async |sql: String| -> i64 {
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&self.database.pool).await.unwrap()
        };
        let (total, heap, rows) =
            (number(total).await as f64, number(heap).await as f64, self.database.events().await as f64);
        println!(
            "{of}: {rows} rows, {:.2} GB, {:.1} bytes a row, of which indexes {:.1}",
            total / 1e9,
            total / rows,
            (total - heap) / rows
        );
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(beside("audit-trail"));
        command.args(arguments).env("DATABASE_URL", &self.database.url);
        command
    }

    /// # Panics
    /// It fails.
    fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    fn timed(&self, name: &str, arguments: &[&str]) {
        let begin = Instant::now();
        self.run(arguments);
        let took = begin.elapsed().as_secs_f64();
        println!("{name}: {took:.1} s, {:.0} rows/s of the year", self.rows() / took);
    }

    /// The time of the command for the trail of an account, from its start to its end.
    fn trails(&self, of: &str, more: &[&str]) {
        let (mut times, mut events) = (Vec::new(), 0);
        for number in 0..TRAILS {
            let sql = format!("SELECT md5('account {}')::uuid::text", number * 37 % (self.millions * ACCOUNTS));
            let psql = self.database_text(&sql);
            let begin = Instant::now();
            let lines = self.run(&[&["entity", "account", psql.trim(), "--output", "ndjson"], more].concat());
            times.push(begin.elapsed());
            events += lines.lines().count();
        }
        times.sort_unstable();
        let ms = |at: usize| times[at].as_secs_f64() * 1e3;
        println!(
            "the trail of an account, {of}: {:.0} ms in the median, {:.0} at most, {} events each",
            ms(times.len() / 2),
            ms(times.len() - 1),
            events / times.len()
        );
    }

    fn database_text(&self, sql: &str) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let pool = audit_runtime::sqlx::PgPool::connect(&self.database.url).await.unwrap();
            let text = sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&pool).await.unwrap();
            pool.close().await;
            text
        })
    }

    async fn ingest(&self, into: &str, rounds: usize) {
        let mut times = Vec::new();
        for _ in 0..rounds {
            sqlx::raw_sql("CHECKPOINT").execute(&self.database.pool).await.unwrap();
            let journals = tempfile::tempdir_in(self.directory.path()).unwrap();
            let mut program = Command::new(beside("ingest-program"));
            program.arg(&self.database.url).arg(journals.path()).args([&ROWS.to_string(), "distinct"]);
            let output = program.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            times.push(String::from_utf8(output.stdout).unwrap().trim().parse::<u32>().unwrap());
        }
        times.sort_unstable();
        let rate = f64::from(ROWS) * 1e6 / f64::from(times[times.len() / 2]);
        println!("ingest, {into}: {rate:.0} rows/s, the median of {rounds} rounds");
    }
}

/// A program that Cargo made together with this one.
fn beside(name: &str) -> PathBuf {
    std::env::current_exe().unwrap().with_file_name(name)
}

/// The bytes of the files of a directory.
fn size(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries.map(|entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().unwrap().len() }).sum()
}
