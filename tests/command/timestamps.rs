//! Time stamps of checkpoints: stored, carried in proofs, and verified by this command and by OpenSSL.

use super::authority::{Authority, Kind, Reply, Server, granted, verified_by_openssl};
use super::evidence::Desk;
use super::{Ran, run};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sqlx::Executor;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

impl Desk {
    fn is_stamped(&self, server: &Server, ca: &str) {
        let made = self.stamped(server, ca);
        assert_eq!(made.code, 0, "{}", made.stderr);
    }

    fn stamped(&self, server: &Server, ca: &str) -> Ran {
        self.checkpoint(&["--timestamp", &server.url(), "--timestamp-ca", ca])
    }

    async fn stamps(&self) -> i64 {
        self.database.count("SELECT count(*) FROM audit_timestamps").await
    }

    async fn some_event(&self) -> String {
        sqlx::query_scalar("SELECT min(id::text) FROM audit_events").fetch_one(&self.database.pool).await.unwrap()
    }

    async fn as_attacker(&self, sql: &str) {
        let sql = format!("SET session_replication_role TO replica; {sql}; RESET session_replication_role");
        self.database.pool.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await.unwrap();
    }

    fn proof(&self, event: &str) -> Value {
        let proof = run(&self.database, &["proof", event]);
        assert_eq!(proof.code, 0, "{}", proof.stderr);
        serde_json::from_str(&proof.stdout).unwrap()
    }

    fn verify_proof(&self, proof: &Value, ca: &[&str]) -> Ran {
        fs::write(self.path("proof"), proof.to_string()).unwrap();
        self.verify(&[&["--proof", &self.path("proof")], ca].concat())
    }
}

fn token(proof: &Value) -> Vec<u8> {
    STANDARD.decode(proof["time_stamp"]["token"].as_str().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_stamp_is_verified_offline_and_by_openssl() {
    for kind in [Kind::Rsa, Kind::Ec] {
        let (desk, authority) = (Desk::new().await, Arc::new(Authority::new(kind)));
        let (server, ca) = (authority.honest(), authority.ca());
        let event = desk.some_event().await;
        assert_eq!(desk.checkpoint(&[]).code, 0);
        let without = desk.proof(&event);
        assert!(without.get("time_stamp").is_none());

        let made = desk.stamped(&server, &ca);
        assert_eq!(made.code, 0, "{kind:?}: {}", made.stderr);
        assert!(
            made.stderr.contains("existed at 20") && made.stderr.contains("(time stamp of Example TSA, to within 1s)"),
            "{}",
            made.stderr
        );
        assert!(made.stdout.starts_with("audit.example.com/desk\n"), "{}", made.stdout);

        let verified = desk.verify(&["--timestamp-ca", &ca]);
        assert_eq!(verified.code, 0, "{}{}", verified.stdout, verified.stderr);
        let note = "note: existed: checkpoint 2, and with it every row that it covers, existed at 20";
        assert!(verified.stdout.contains(note), "{}", verified.stdout);
        assert!(verified.stdout.contains("time stamps   1 of checkpoints verified"), "{}", verified.stdout);
        let unsure = desk.verify(&[]);
        assert!(unsure.code == 0 && unsure.stdout.contains("not verified by a CA certificate"), "{}", unsure.stdout);

        // The proof has the first checkpoint, which has no time stamp, and the later one, which has.
        let proof = desk.proof(&event);
        assert_eq!((&proof["checkpoint"], &proof["tree_path"]), (&without["checkpoint"], &without["tree_path"]));
        let later = proof["time_stamp"]["later"]["checkpoint"].as_str().unwrap();
        assert_eq!(later, made.stdout);
        assert!(verified_by_openssl(authority.path("").as_path(), later, &token(&proof), &ca));
        assert!(!verified_by_openssl(
            authority.path("").as_path(),
            &later.replace("time", "tide"),
            &token(&proof),
            &ca
        ));
        drop(server);
        let offline = desk.verify_proof(&proof, &["--timestamp-ca", &ca]);
        assert_eq!(offline.code, 0, "{}", offline.stderr);
        let line = offline.stdout.lines().nth(1).unwrap();
        assert!(line.starts_with(&format!("event {event} existed at 20")), "{line}");
        assert!(line.contains("time stamp of Example TSA") && line.contains("recorded as 2026-05-04"), "{line}");
        let json = desk.verify_proof(&proof, &["--timestamp-ca", &ca, "--json"]);
        let json: Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!(
            (&json["proven"]["existed"]["is_trusted"], json["proven"]["existed"]["at"].is_string()),
            (&true.into(), true)
        );
        // An older proof stays valid.
        assert_eq!(desk.verify_proof(&without, &["--timestamp-ca", &ca]).stdout.lines().count(), 1);
        let shown = run(&desk.database, &["event", &event, "--output", "timeline"]);
        assert!(
            shown.stdout.contains("\nexisted     at 20") && shown.stdout.contains(", recorded as 2026-05-04"),
            "{}",
            shown.stdout
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_altered_byte_of_a_token_changes_what_it_proves() {
    let (desk, authority) = (Desk::new().await, Arc::new(Authority::new(Kind::Ec)));
    desk.is_stamped(&authority.honest(), &authority.ca());
    let proof = desk.proof(&desk.some_event().await);
    assert!(proof["time_stamp"].get("later").is_none());
    let authorities = audit_runtime::evidence::Authorities::from_file(authority.ca()).unwrap();
    let read = |proof: &Value| audit_runtime::evidence::Proof::from_json(&proof.to_string()).unwrap();
    let expected = read(&proof).existence(Some(&authorities)).unwrap().unwrap();
    let (genuine, mut refused) = (token(&proof), 0);
    for at in 0..genuine.len() {
        let (mut altered, mut forged) = (genuine.clone(), proof.clone());
        altered[at] ^= 1;
        forged["time_stamp"]["token"] = STANDARD.encode(altered).into();
        match read(&forged).existence(Some(&authorities)) {
            Ok(existence) => assert_eq!(existence.as_ref(), Some(&expected), "byte {at}"),
            Err(_) => refused += 1,
        }
    }
    // What is left is signed by nobody: the hash algorithms that the token announces, and the like.
    assert!(refused > genuine.len() * 9 / 10, "{refused} of {}", genuine.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_proves_nothing_is_refused_and_the_checkpoint_stays() {
    let desk = Desk::new().await;
    let [authority, other] = [Kind::Rsa, Kind::Ec].map(|kind| Arc::new(Authority::new(kind)));
    let honest = |authority: &Authority, query: &[u8]| authority.reply(query, "tsa.conf", "tsa");
    // A query of another time, with another note and another nonce.
    let earlier = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&earlier);
    let keeping = authority.serve(move |authority, query| {
        *kept.lock().unwrap() = query.to_vec();
        Reply::Answer(honest(authority, query))
    });
    desk.is_stamped(&keeping, &authority.ca());
    let of_another_note = earlier.lock().unwrap().clone();

    type Hostile = Box<dyn Fn(&Authority, &[u8]) -> Reply + Send>;
    let answers: [(&str, Hostile); 11] = [
        ("of another note", Box::new(move |tsa, _| Reply::Answer(honest(tsa, &of_another_note)))),
        (
            "its nonce differs",
            Box::new(move |tsa, query| {
                // The nonce is the last but one field, of eight bytes, before the request for a certificate.
                let mut query = query.to_vec();
                let at = query.len() - 4;
                query[at] ^= 1;
                Reply::Answer(honest(tsa, &query))
            }),
        ),
        (
            "does not verify",
            Box::new(move |tsa, query| {
                let mut answer = honest(tsa, query);
                *answer.last_mut().unwrap() ^= 1;
                Reply::Answer(answer)
            }),
        ),
        ("valid from", Box::new(|tsa, query| Reply::Answer(tsa.reply(query, "tsa.conf", "old")))),
        (
            "its key usage is another",
            Box::new(move |tsa, query| Reply::Answer(tsa.signed_by(&honest(tsa, query), "tls"))),
        ),
        ("unsupported hash algorithm", Box::new(|tsa, query| Reply::Answer(tsa.reply(query, "refusing.conf", "tsa")))),
        ("more than 65536 bytes", Box::new(|_, _| Reply::Answer(vec![0x30; 10 << 20]))),
        ("has the type \"text/html\"", Box::new(|_, _| Reply::Http("200 OK", "text/html", b"<html>".to_vec()))),
        ("HTTP status 503", Box::new(|_, _| Reply::Http("503 Service Unavailable", "text/plain", Vec::new()))),
        ("invalid time stamp", Box::new(|_, _| Reply::Answer(granted(&[0x30, 0])))),
        ("no answer within 10 seconds", Box::new(|_, _| Reply::Silence)),
    ];
    for (number, (why, hostile)) in answers.into_iter().enumerate() {
        let server = authority.serve(move |authority, query| hostile(authority, query));
        let begin = Instant::now();
        let made = desk.stamped(&server, &authority.ca());
        assert!(begin.elapsed() < Duration::from_secs(60), "{why}");
        assert_eq!(made.code, 1, "{why}: {}", made.stderr);
        for part in [
            why,
            "the checkpoint is in the database, but without a time stamp of http://127.0.0.1",
            "--timestamp again",
        ] {
            assert!(made.stderr.contains(part), "{part}: {}", made.stderr);
        }
        assert!(made.stdout.contains(&format!("\nnumber {}\n", number + 1)), "{}", made.stdout);
        assert_eq!(desk.stamps().await, 1, "{why}");
    }
    // Of another CA, and by nobody at all.
    let made = desk.stamped(&authority.honest(), &other.ca());
    assert!(
        made.code == 1 && made.stderr.contains("is not one that the given CA certificates lead to"),
        "{}",
        made.stderr
    );
    let gone = authority.honest().url();
    let made = desk.checkpoint(&["--timestamp", &gone]);
    assert!(made.code == 1 && made.stderr.contains("without a time stamp of http://127.0.0.1"), "{}", made.stderr);
    assert_eq!(desk.stamps().await, 1);
    // The next one stamps the same rows.
    desk.is_stamped(&authority.honest(), &authority.ca());
    assert_eq!(desk.stamps().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_has_the_time_stamps_and_its_proofs_carry_them() {
    let (desk, authority) = (Desk::new().await, Arc::new(Authority::new(Kind::Ec)));
    let (server, ca) = (authority.honest(), authority.ca());
    let event = desk.some_event().await;
    let lake = desk.path("lake");
    let sync = || {
        let synced = run(&desk.database, &["lake", "sync", &lake, "--key", &desk.path("key")]);
        assert_eq!(synced.code, 0, "{}", synced.stderr);
    };
    let of_lake = || -> Value {
        let proof = run(&desk.database, &["proof", &event, "--lake", &lake]);
        assert_eq!(proof.code, 0, "{}", proof.stderr);
        serde_json::from_str(&proof.stdout).unwrap()
    };
    assert_eq!(desk.checkpoint(&[]).code, 0);
    sync();
    assert!(of_lake().get("time_stamp").is_none());
    // A later checkpoint is stamped, and then one more.
    for _ in 0..2 {
        desk.is_stamped(&server, &ca);
        sync();
        let proof = of_lake();
        assert_eq!(proof, desk.proof(&event));
        assert!(proof["time_stamp"]["later"]["checkpoint"].is_string());
        let verified = desk.verify_proof(&proof, &["--timestamp-ca", &ca]);
        assert!(verified.code == 0 && verified.stdout.contains("existed at 20"), "{}", verified.stdout);
    }
    let verified = desk.verify(&["--lake", &lake, "--timestamp-ca", &ca]);
    assert_eq!(verified.code, 0, "{}{}", verified.stdout, verified.stderr);
    assert!(verified.stdout.contains("time stamps   2 of checkpoints verified"), "{}", verified.stdout);
    let other = Authority::new(Kind::Rsa);
    let elsewhere = desk.verify(&["--lake", &lake, "--timestamp-ca", &other.ca()]);
    assert!(elsewhere.code == 1 && elsewhere.stderr.contains("2 problems"), "{}{}", elsewhere.stdout, elsewhere.stderr);
    // Nothing is left to sync.
    let again = run(&desk.database, &["lake", "sync", &lake, "--key", &desk.path("key")]);
    assert!(again.code == 0 && !again.stderr.contains("batches"), "{}", again.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_time_stamp_that_was_changed_is_a_problem() {
    let desk = Desk::new().await;
    let [authority, other] = [Kind::Ec, Kind::Rsa].map(|kind| Arc::new(Authority::new(kind)));
    let (server, ca) = (authority.honest(), authority.ca());
    desk.is_stamped(&server, &ca);
    desk.is_stamped(&server, &ca);
    for sql in
        ["UPDATE audit_timestamps SET authority = 'x'", "DELETE FROM audit_timestamps", "TRUNCATE audit_timestamps"]
    {
        let refused = desk.database.pool.execute(sql).await.unwrap_err().to_string();
        assert!(refused.contains("refused"), "{refused}");
    }
    let elsewhere = desk.verify(&["--timestamp-ca", &other.ca()]);
    assert!(elsewhere.code == 1 && elsewhere.stderr.contains("2 problems"), "{}{}", elsewhere.stdout, elsewhere.stderr);
    let proof = desk.proof(&desk.some_event().await);
    let elsewhere = desk.verify_proof(&proof, &["--timestamp-ca", &other.ca()]);
    assert!(
        elsewhere.code == 1 && elsewhere.stderr.contains("the time stamp in the proof proves nothing"),
        "{}",
        elsewhere.stderr
    );

    for (change, why) in [
        (
            "UPDATE audit_timestamps SET token = (SELECT token FROM audit_timestamps WHERE checkpoint_id = 1) WHERE checkpoint_id = 2",
            "is of another note",
        ),
        (
            "UPDATE audit_timestamps SET token = set_byte(token, octet_length(token) - 1, 255 - get_byte(token, octet_length(token) - 1)) WHERE checkpoint_id = 1",
            "does not verify",
        ),
        ("UPDATE audit_timestamps SET token = '' WHERE checkpoint_id = 1", "invalid time stamp"),
        (
            "UPDATE audit_timestamps SET checkpoint_id = 7 WHERE checkpoint_id = 1",
            "checkpoint 7, time stamp of http://127.0.0.1",
        ),
    ] {
        desk.as_attacker("CREATE TABLE kept AS TABLE audit_timestamps").await;
        desk.as_attacker(change).await;
        let found = desk.verify(&["--timestamp-ca", &ca]);
        let line = found.stdout.lines().next().unwrap();
        assert!(
            found.code == 1 && line.starts_with("time stamp: checkpoint ") && line.contains(why),
            "{why}: {}",
            found.stdout
        );
        desk.as_attacker(
            "DELETE FROM audit_timestamps; INSERT INTO audit_timestamps SELECT * FROM kept; DROP TABLE kept",
        )
        .await;
    }
    let shown = run(&desk.database, &["verify", "--timestamp-ca", &desk.path("key")]);
    assert!(shown.code == 2 && shown.stderr.contains("invalid CA certificates"), "{}", shown.stderr);
    for (url, code) in [("ftp://x", 2), ("nowhere", 2)] {
        assert_eq!(desk.checkpoint(&["--timestamp", url]).code, code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpointer_stamps_and_a_schema_without_the_table_is_named() {
    let (desk, authority) = (Desk::new().await, Arc::new(Authority::new(Kind::Rsa)));
    let name: String =
        sqlx::query_scalar("SELECT current_database() || '_c'").fetch_one(&desk.database.pool).await.unwrap();
    desk.database.pool.execute(sqlx::AssertSqlSafe(format!("CREATE ROLE {name} LOGIN"))).await.unwrap();
    assert_eq!(run(&desk.database, &["migrate", "--checkpointer", &name]).code, 0);
    let url = desk.database.url.replace("postgres://postgres@", &format!("postgres://{name}@"));
    let server = authority.honest();
    let with_password = server.url().replace("http://", "http://desk:secret@");
    let made = desk.checkpoint(&["--database-url", &url, "--timestamp", &with_password]);
    assert!(made.code == 0 && made.stderr.contains("not verified without --timestamp-ca"), "{}", made.stderr);
    let stored: String =
        sqlx::query_scalar("SELECT authority FROM audit_timestamps").fetch_one(&desk.database.pool).await.unwrap();
    assert_eq!(stored, server.url());

    desk.database.pool.execute(sqlx::raw_sql("DROP TABLE audit_timestamps")).await.unwrap();
    let made = desk.stamped(&server, &authority.ca());
    assert!(made.code == 1 && made.stderr.contains("run audit-trail migrate"), "{}", made.stderr);
    let verified = desk.verify(&[]);
    assert_eq!(verified.code, 0, "{}", verified.stdout);
    assert_eq!(desk.verify_proof(&desk.proof(&desk.some_event().await), &[]).code, 0);
}
