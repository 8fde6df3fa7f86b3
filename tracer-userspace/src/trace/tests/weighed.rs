//! What is weighed together, on models of servers whose truth is known: few links are wrong, and where a server has a
//! habit most are found.

use super::models::{asyncio, fire_and_forget, go, limited_pool, run_to_completion, simulate, tokio};
use super::scenario::X;
use super::sim::Sim;
use crate::trace::Settings;

/// At most one link in a hundred is wrong, and so many of a hundred calls are linked.
#[track_caller]
fn check(arrive: fn(&mut Sim, X, u32), least: u32) {
    for (seed, clients) in [(3, 8), (4, 24)] {
        let mut world = simulate(seed, clients, arrive);
        world.settings = Settings::default();
        let score = world.run().score(&world, 1);
        eprintln!("{clients} clients: {score:?}");
        let all = score.right + score.wrong + score.absent;
        assert!(score.wrong * 100 <= all, "{clients} clients: {score:?}");
        assert!(score.right * 100 >= least * all, "{clients} clients: {score:?}");
    }
}

#[test]
fn callbacks_put_off_to_later_turns() {
    check(asyncio, 80);
}

#[test]
fn callbacks_run_to_completion() {
    check(run_to_completion, 95);
}

#[test]
fn calls_that_queue_for_a_connection() {
    check(limited_pool, 80);
}

#[test]
fn goroutines_on_any_thread() {
    check(go, 0);
}

#[test]
fn tasks_that_are_stolen_now_and_then() {
    check(tokio, 50);
}

#[test]
fn work_after_the_answer_is_not_squeezed_into_another_request() {
    check(fire_and_forget, 0);
}
