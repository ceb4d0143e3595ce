//! The actor and the cause: inherited, carried, and never a neighbour's.

use crate::support::ID;
use audit_runtime::testing::Probe;
use audit_runtime::trail::TrailEvent;
use audit_runtime::{Context, InContext, audited, in_context};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rand::RngExt;
use std::collections::HashMap;
use uuid::Uuid;

#[audited(event = "order.placed", id = ID)]
async fn place(number: usize, yields: [u8; 3]) {
    pause(yields[0]).await;
    check(number);
    pause(yields[1]).await;
    send(number, yields[2]).await;
}

#[audited(event = "order.checked", id = ID)]
fn check(number: usize) {}

#[audited(event = "order.sent", id = ID)]
async fn send(number: usize, yields: u8) {
    pause(yields).await;
    check(number);
}

async fn pause(times: u8) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

/// Each of the events contains the actor of its number, and has its cause and correlation among
/// those of the same number.
fn none_is_a_neighbours(events: &[TrailEvent], tasks: usize) {
    assert_eq!(events.len(), 4 * tasks);
    let ids: HashMap<Uuid, &TrailEvent> = events.iter().map(|event| (event.id, event)).collect();
    for event in events {
        let number = &event.data["number"];
        assert_eq!(event.actor, format!("user:{number}"));
        assert_eq!(event.context.as_ref().unwrap()["tenant"], *number);
        assert_eq!(event.causation_id.is_none(), event.event_type == "order.placed");
        if let Some(cause) = event.causation_id {
            let cause = ids[&cause];
            assert_eq!((&cause.data["number"], cause.correlation_id), (number, event.correlation_id));
        }
    }
}

fn task(number: usize) -> impl Future<Output = ()> {
    let yields = rand::rng().random::<[u8; 3]>().map(|random| random % 4);
    Context::new().actor(format!("user:{number}")).attribute("tenant", number).scope(place(number, yields))
}

const TASKS: usize = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_tasks_that_steal_each_others_threads_keep_their_contexts() {
    let probe = Probe::new();
    let tasks: Vec<_> = (0..TASKS).map(|number| tokio::spawn(probe.scope(task(number)))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    none_is_a_neighbours(&probe.events(), TASKS);
}

#[test]
fn so_do_ten_thousand_futures_on_one_thread_whatever_polls_them() {
    let probe = Probe::new();
    let all = || (0..TASKS).map(task).collect::<FuturesUnordered<_>>().collect::<()>();
    pollster::block_on(probe.scope(all()));
    none_is_a_neighbours(&probe.events(), TASKS);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let probe = Probe::new();
    runtime.block_on(probe.scope(all()));
    none_is_a_neighbours(&probe.events(), TASKS);
}

#[audited(event = "request.handled", id = ID)]
async fn handle(carried: bool) {
    let (task, blocking, thread) = if carried {
        (
            tokio::spawn(async { check(1) }.in_context()),
            tokio::task::spawn_blocking(in_context(|| check(2))),
            std::thread::spawn(in_context(|| check(3))),
        )
    } else {
        let probe = || Probe::new().audit().clone();
        let (one, two, three) = (probe(), probe(), probe());
        (
            tokio::spawn(one.scope(async { check(1) })),
            tokio::task::spawn_blocking(move || {
                let _entered = two.enter();
                check(2);
            }),
            std::thread::spawn(move || {
                let _entered = three.enter();
                check(3);
            }),
        )
    };
    task.await.unwrap();
    blocking.await.unwrap();
    thread.join().unwrap();
    check(4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_carried_into_tasks_and_threads_where_it_is_asked_for() {
    for (carried, expected) in [(true, 5), (false, 2)] {
        let probe = Probe::new();
        let context = Context::new().actor("ann").correlation(Uuid::max());
        probe.scope(context.scope(handle(carried))).await;
        let events = probe.events();
        assert_eq!(events.len(), expected);
        let handled = probe.only("request.handled");
        assert!(events.iter().all(|event| event.actor == "ann" && event.correlation_id == Some(Uuid::max())));
        let checks = events.iter().filter(|event| event.event_type == "order.checked");
        assert!(checks.into_iter().all(|event| event.causation_id == Some(handled.id)));
    }
}

#[test]
fn a_carried_context_is_left_again() {
    let probe = Probe::new();
    let entered = probe.enter();
    let inside = Context::new().actor("ann").enter();
    let carried = in_context(|| check(1));
    drop(inside);
    carried();
    check(2);
    drop(entered);
    let actors: Vec<String> = probe.events().into_iter().map(|event| event.actor).collect();
    assert_eq!(actors, ["ann", "system"]);
}
