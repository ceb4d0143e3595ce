//! Workers: loops over channels, other threads, what is given up by `select!` or a timeout, what
//! panics.

use crate::scene::{ID, Row, ended, error, ok, recorded};
use audit_runtime::{InContext, Outcome, audited, in_context};
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{JoinError, JoinSet, spawn_blocking};
use uuid::Uuid;

#[derive(Debug, thiserror::Error)]
enum JobError {
    #[error("{0} is no picture")]
    NoPicture(String),
    #[error("the thread is gone")]
    Gone(#[from] JoinError),
    #[error("nobody waits for an answer")]
    Unheard,
}

type JobResult<T = ()> = Result<T, JobError>;

#[derive(Debug, Clone, Serialize)]
struct Job {
    id: Uuid,
    file: String,
}

impl Job {
    fn new(file: &str) -> Self {
        Self { id: ID, file: file.to_owned() }
    }
}

struct Worker {
    name: &'static str,
    jobs: mpsc::Receiver<Job>,
    done: Vec<u32>,
}

impl Worker {
    // 59. The loop, which ends with its channel: 3.
    #[audited(event = "worker.ended", id = none, fields(worker = self.name))]
    async fn run(mut self) -> JobResult<usize> {
        while let Some(job) = self.jobs.recv().await {
            if job.file.is_empty() {
                break;
            }
            let _ = self.handle(job).await;
        }
        Ok(self.done.len())
    }

    // 60. One job of it: 3.
    #[audited(event = "job.done", err = "job.failed", id = job.id)]
    async fn handle(&mut self, job: Job) -> JobResult<u32> {
        let size = spawn_blocking(in_context(move || thumbnail(job.id, &job.file))).await??;
        self.done.push(size);
        Ok(size)
    }
}

// 61. Blocking work, on a thread for that: 3.
#[audited(event = "thumbnail.made", id = job, skip(job))]
fn thumbnail(job: Uuid, file: &str) -> JobResult<u32> {
    assert!(!file.contains(".."), "a path that leads out");
    match file.strip_suffix(".png") {
        Some(name) => Ok(u32::try_from(name.len()).unwrap()),
        None => Err(JobError::NoPicture(file.to_owned())),
    }
}

// 62. A call of a service that may not answer: 2.
#[audited(event = "service.asked", id = none)]
async fn ask(question: &str) -> JobResult<String> {
    match question {
        "" => std::future::pending().await,
        _ => Ok(question.to_uppercase()),
    }
}

// The block of 63 and 64: 1 beside the entity, for both.
#[audited(entity = "job", skip(queue))]
mod queues {
    use super::{Job, JobResult};
    use audit_runtime::audited;
    use std::collections::VecDeque;
    use tokio::sync::{Notify, mpsc};

    // 63. A step that is given up when the process is to end: 2.
    #[audited(event = "queue.drained", skip(begun))]
    pub(super) async fn drain(queue: &mut mpsc::Receiver<Job>, begun: &Notify) -> JobResult<u32> {
        let mut count = 0;
        begun.notify_one();
        while queue.recv().await.is_some() {
            count += 1;
        }
        Ok(count)
    }

    // 64. Takes a job, if there is one. An empty queue is not worth an event: 3.
    #[audited(event = "job.taken", id = |job| job.as_ref().map(|job| job.id), when = |job| job.is_some())]
    pub(super) fn take(queue: &mut VecDeque<Job>, worker: &str) -> Option<Job> {
        queue.pop_front()
    }
}

/// A feed that is polled by hand.
struct Feed {
    lines: VecDeque<Result<u32, std::num::ParseIntError>>,
}

impl Stream for Feed {
    type Item = Result<u32, std::num::ParseIntError>;

    // 65. `Poll<Option<Result<..>>>`: 3.
    #[audited(event = "line.read", id = none, when = |line| matches!(line, Poll::Ready(Some(_))))]
    fn poll_next(mut self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.lines.pop_front())
    }
}

/// An actor's message, with whom to answer.
enum Command {
    Add(u32, oneshot::Sender<u32>),
}

#[derive(Default)]
struct Counter {
    sum: u32,
}

// The block of 66: 1 beside the entity.
#[audited(entity = "counter", id = none)]
impl Counter {
    // 66. An actor's handler: 3.
    #[audited(event = "counter.changed", skip_all, changes(self.sum))]
    fn handle(&mut self, command: Command) -> JobResult {
        let Command::Add(number, answer) = command;
        self.sum += number;
        answer.send(self.sum).map_err(|_| JobError::Unheard)
    }
}

fn message(text: &str, causes: &[&str]) -> Value {
    json!({"message": text, "causes": causes})
}

fn job(file: &str, key: &str, value: Value) -> Value {
    json!({"job": {"id": ID, "file": file}, key: value})
}

fn by_type(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by_key(|row| format!("{row:?}"));
    rows
}

#[tokio::test]
async fn a_worker_that_is_spawned_records_its_jobs_and_what_their_threads_do() {
    let (queue, jobs) = mpsc::channel(4);
    let worker = Worker { name: "w1", jobs, done: Vec::new() };
    let ((), rows) = recorded(async {
        let running = tokio::spawn(worker.run().in_context());
        for file in ["cat.png", "cat.txt", "../cat.png"] {
            queue.send(Job::new(file)).await.unwrap();
        }
        drop(queue);
        assert_eq!(running.await.unwrap().unwrap(), 1);
    })
    .await;
    let no_picture = || message("cat.txt is no picture", &[]);
    // The number of the task is not known here.
    let cause = rows[5].data["error"]["causes"][0].as_str().unwrap();
    assert!(
        cause.starts_with("task ") && cause.ends_with(" panicked with message \"a path that leads out\""),
        "{cause}"
    );
    let expected = [
        ok("worker.ended", None, json!({"worker": "w1", "result": 1})),
        ok("job.done", ID, job("cat.png", "result", json!(3))),
        ok("thumbnail.made", ID, json!({"file": "cat.png", "result": 3})),
        error("job.failed", ID, job("cat.txt", "error", no_picture())),
        error("thumbnail.made", ID, json!({"file": "cat.txt", "error": no_picture()})),
        error("job.failed", ID, job("../cat.png", "error", message("the thread is gone", &[cause]))),
        ended(
            Outcome::Panicked,
            "thumbnail.made",
            ID,
            json!({"file": "../cat.png", "$panic": "a path that leads out"}),
        ),
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn an_abandoned_call_is_recorded_as_cancelled() {
    let (queue, mut jobs) = mpsc::channel(4);
    let (begun, shutdown) = (Notify::new(), Arc::new(Notify::new()));
    let ((), rows) = recorded(async {
        let patience = Duration::from_millis(1);
        assert_eq!(tokio::time::timeout(Duration::from_secs(60), ask("who")).await.unwrap().unwrap(), "WHO");
        tokio::time::timeout(patience, ask("")).await.unwrap_err();
        let stopper = Arc::clone(&shutdown);
        let stop = async {
            begun.notified().await;
            stopper.notify_one();
        };
        let work = async {
            tokio::select! {
                drained = queues::drain(&mut jobs, &begun) => panic!("{drained:?} before the end"),
                () = shutdown.notified() => {}
            }
        };
        tokio::join!(work, stop);
        drop(queue);
        assert_eq!(queues::drain(&mut jobs, &begun).await.unwrap(), 0);
    })
    .await;
    let expected = [
        ok("service.asked", None, json!({"question": "who", "result": "WHO"})),
        ended(Outcome::Cancelled, "service.asked", None, json!({"question": ""})),
        ended(Outcome::Cancelled, "queue.drained", None, json!({})),
        ok("queue.drained", None, json!({"result": 0})),
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn tasks_and_threads_side_by_side_are_all_of_the_same_request() {
    let ((), rows) = recorded(async {
        let mut tasks = JoinSet::new();
        for file in ["a.png", "../b.png", "c.txt"] {
            tasks.spawn(async move { thumbnail(ID, file).is_ok() }.in_context());
        }
        let mut panicked = 0;
        while let Some(task) = tasks.join_next().await {
            panicked += u32::from(task.is_err());
        }
        assert_eq!(panicked, 1);
        std::thread::scope(|threads| {
            threads.spawn(in_context(|| thumbnail(ID, "d.png")));
        });
    })
    .await;
    let expected = vec![
        ok("thumbnail.made", ID, json!({"file": "a.png", "result": 1})),
        ended(Outcome::Panicked, "thumbnail.made", ID, json!({"file": "../b.png", "$panic": "a path that leads out"})),
        error("thumbnail.made", ID, json!({"file": "c.txt", "error": message("c.txt is no picture", &[])})),
        ok("thumbnail.made", ID, json!({"file": "d.png", "result": 1})),
    ];
    assert_eq!(by_type(rows), by_type(expected));
}

#[tokio::test]
async fn polls_and_answers_are_recorded_if_they_have_a_value() {
    let mut feed = Feed { lines: ["1".parse(), "x".parse(), "2".parse()].into() };
    let mut queue = VecDeque::from([Job::new("a.png")]);
    let mut counter = Counter::default();
    let ((), rows) = recorded(async {
        assert_eq!(feed.by_ref().filter_map(async |line| line.ok()).collect::<Vec<u32>>().await, [1, 2]);
        assert!(queues::take(&mut queue, "w1").is_some() && queues::take(&mut queue, "w1").is_none());
        let (answer, answered) = oneshot::channel();
        counter.handle(Command::Add(3, answer)).unwrap();
        assert_eq!(answered.await.unwrap(), 3);
        let (unheard, _) = oneshot::channel();
        counter.handle(Command::Add(4, unheard)).unwrap_err();
    })
    .await;
    let changed = |from: u32, to: u32| json!({"sum": {"from": from, "to": to}});
    let expected = [
        ok("line.read", None, json!({"result": 1})),
        error("line.read", None, json!({"error": message("invalid digit found in string", &[])})),
        ok("line.read", None, json!({"result": 2})),
        ok("job.taken", ID, json!({"worker": "w1", "result": {"id": ID, "file": "a.png"}})),
        ok("counter.changed", None, json!({"changes": changed(0, 3)})),
        error(
            "counter.changed",
            None,
            json!({"changes": changed(3, 7), "error": message("nobody waits for an answer", &[])}),
        ),
    ];
    assert_eq!(rows, expected);
}
