//! Randomised models of servers under load, with known truth: what is linked is right, and where the evidence is
//! exact nearly everything is linked.

use super::scenario::*;
use super::sim::Sim;

const SECONDS: u64 = 2;

pub fn simulate(seed: u64, clients: u32, arrive: fn(&mut Sim, X, u32)) -> World {
    let mut sim = Sim::new(seed, SECONDS * 1000 * MS);
    sim.clients(clients, 1, arrive);
    sim.run()
}

/// More seeds than the few that run every time, by hand: `TRACER_SEEDS=50`.
fn seeds() -> Vec<(u64, u32)> {
    let more = std::env::var("TRACER_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let clients = [1, 2, 3, 4, 6, 8, 16, 32, 64, 128];
    let more = (0..more).map(|seed| (100 + seed, clients[seed as usize % clients.len()]));
    [(1, 1), (2, 2), (3, 8), (4, 64), (5, 8)].into_iter().chain(more).collect()
}

/// Nothing wrong at any concurrency; at least `share` right.
#[track_caller]
pub fn check(arrive: fn(&mut Sim, X, u32), share: f64) {
    check_with(arrive, share, |_| {});
}

#[track_caller]
pub fn check_with(arrive: fn(&mut Sim, X, u32), share: f64, prepare: fn(&mut World)) {
    for (seed, clients) in seeds() {
        let mut world = simulate(seed, clients, arrive);
        prepare(&mut world);
        let out = world.run();
        let score = out.score(&world, 1);
        eprintln!("{clients} clients: {score:?} {:.3} peak {}", score.share(), out.stats.peak);
        assert_eq!(score.wrong, 0, "{clients} clients: {score:?}");
        assert!(score.share() >= share, "{clients} clients: {score:?}");
    }
}

/// The same when the capture begins in the middle: nothing wrong, although requests are open that nobody saw.
#[track_caller]
fn check_cut(arrive: fn(&mut Sim, X, u32), share: f64) {
    check_with(arrive, share, |world| world.cut(700 * MS + 137 * US));
}

/// Each connection has its thread: read, call, call, answer.
fn thread_per_request(sim: &mut Sim, x: X, client: u32) {
    let thread = tid(1, 1 + client);
    sim.world.recv(x, sim.now, thread);
    sim.after(100 * US, move |sim| {
        sim.call(Some(x), thread, "/b", thread, move |sim, call| {
            sim.read(call, thread, thread);
            sim.after(50 * US, move |sim| {
                sim.call(Some(x), thread, "/c", thread, move |sim, call| {
                    sim.read(call, thread, thread);
                    sim.after(50 * US, move |sim| {
                        sim.world.reply(x, sim.now, thread);
                        sim.answered(x, client, thread_per_request);
                    });
                });
            });
        });
    });
}

#[test]
fn thread_per_request_is_all_right() {
    check(thread_per_request, 1.0);
    // A request that was being served when the capture began has no span, and its second call no parent.
    check_cut(thread_per_request, 0.98);
}

/// One thread, callbacks run to completion, two calls one after the other.
pub fn run_to_completion(sim: &mut Sim, x: X, client: u32) {
    let main = tid(1, 0);
    sim.ready(main, move |sim| {
        sim.world.recv(x, sim.now, main);
        sim.now += 2 * US;
        sim.call(Some(x), 0, "/b", main, move |sim, call| {
            sim.ready(main, move |sim| {
                sim.read(call, 0, main);
                sim.now += 2 * US;
                sim.call(Some(x), 0, "/c", main, move |sim, call| {
                    sim.ready(main, move |sim| {
                        sim.read(call, 0, main);
                        sim.now += 2 * US;
                        sim.world.reply(x, sim.now, main);
                        sim.answered(x, client, run_to_completion);
                    });
                });
            });
        });
    });
}

#[test]
fn run_to_completion_loops_are_all_right() {
    // All but a few calls on new connections, before it is known that its requests make one call at a time.
    check(run_to_completion, 0.85);
    // The first quarter of a second, of 1.3, is not linked.
    check_cut(run_to_completion, 0.75);
}

/// Two calls side by side, on pooled connections.
fn promise_all(sim: &mut Sim, x: X, client: u32) {
    let main = tid(1, 0);
    sim.ready(main, move |sim| {
        sim.world.recv(x, sim.now, main);
        let done = std::rc::Rc::new(std::cell::Cell::new(0));
        for target in ["/b", "/c"] {
            let done = done.clone();
            sim.now += 2 * US;
            sim.call(Some(x), 0, target, main, move |sim, call| {
                sim.ready(main, move |sim| {
                    sim.read(call, 0, main);
                    done.set(done.get() + 1);
                    if done.get() == 2 {
                        sim.world.reply(x, sim.now + US, main);
                        sim.answered(x, client, promise_all);
                    }
                });
            });
        }
    });
}

#[test]
fn calls_side_by_side_from_one_callback_are_right() {
    // While its connections are opened it is not linked: one that waits for a call may be the one that connects.
    check(promise_all, 0.8);
    check_cut(promise_all, 0.0);
}

/// asyncio: the first call is written two turns after the request was read, the next one turn after the response.
pub fn asyncio(sim: &mut Sim, x: X, client: u32) {
    let main = tid(1, 0);
    sim.ready(main, move |sim| {
        sim.world.recv(x, sim.now, main);
        sim.ready(main, move |sim| {
            sim.ready(main, move |sim| {
                sim.call(Some(x), 0, "/b", main, move |sim, call| {
                    sim.ready(main, move |sim| {
                        sim.read(call, 0, main);
                        sim.ready(main, move |sim| {
                            sim.call(Some(x), 0, "/c", main, move |sim, call| {
                                sim.ready(main, move |sim| {
                                    sim.read(call, 0, main);
                                    sim.ready(main, move |sim| {
                                        sim.world.reply(x, sim.now, main);
                                        sim.answered(x, client, asyncio);
                                    });
                                });
                            });
                        });
                    });
                });
            });
        });
    });
}

#[test]
fn asyncio_is_right_or_absent() {
    check(asyncio, 0.0);
    check_cut(asyncio, 0.0);
}

/// Go: every step on whatever thread; also with the two calls side by side.
pub fn go(sim: &mut Sim, x: X, client: u32) {
    fn any(sim: &mut Sim) -> u32 {
        tid(1, sim.below(4) as u32)
    }
    let thread = any(sim);
    sim.world.recv(x, sim.now, thread);
    let done = std::rc::Rc::new(std::cell::Cell::new(0));
    let parallel = sim.below(2) == 0;
    for n in 0..2 {
        let (done, delay) =
            (done.clone(), 20 * US + sim.below(150 * US) + if parallel { 0 } else { n * 30 * MS });
        sim.after(delay, move |sim| {
            let thread = any(sim);
            sim.call(Some(x), 0, "/b", thread, move |sim, call| {
                let thread = any(sim);
                sim.read(call, 0, thread);
                done.set(done.get() + 1);
                if done.get() == 2 {
                    sim.after(30 * US, move |sim| {
                        let thread = any(sim);
                        sim.world.reply(x, sim.now, thread);
                        sim.answered(x, client, go);
                    });
                }
            });
        });
    }
}

#[test]
fn go_is_right_or_absent_when_its_runtime_is_known() {
    check_with(go, 0.0, |world| {
        world.mn.insert(1);
    });
}

#[test]
fn go_is_right_or_absent_when_its_runtime_is_not_known() {
    check(go, 0.0);
    check_cut(go, 0.0);
}

/// tokio: a task mostly stays on its worker and is sometimes stolen; requests that come after another are read by
/// any worker.
pub fn tokio(sim: &mut Sim, x: X, client: u32) {
    fn next(sim: &mut Sim, worker: u32) -> u32 {
        if sim.below(5) == 0 { tid(1, sim.below(4) as u32) } else { worker }
    }
    let thread = tid(1, sim.below(4) as u32);
    sim.world.recv(x, sim.now, thread);
    sim.after(100 * US, move |sim| {
        let thread = next(sim, thread);
        sim.call(Some(x), 0, "/b", thread, move |sim, call| {
            let thread = next(sim, thread);
            sim.read(call, 0, thread);
            sim.after(50 * US, move |sim| {
                sim.call(Some(x), 0, "/c", thread, move |sim, call| {
                    let thread = next(sim, thread);
                    sim.read(call, 0, thread);
                    sim.after(50 * US, move |sim| {
                        sim.world.reply(x, sim.now, thread);
                        sim.answered(x, client, tokio);
                    });
                });
            });
        });
    });
}

#[test]
fn work_stealing_is_right_or_absent() {
    check(tokio, 0.0);
    check_cut(tokio, 0.0);
}

/// Java: the thread that reads hands the call to a pool and answers itself.
fn executor(sim: &mut Sim, x: X, client: u32) {
    let (thread, worker) = (tid(1, 1 + client), tid(1, 500 + sim.below(16) as u32));
    sim.world.recv(x, sim.now, thread);
    sim.after(50 * US, move |sim| {
        sim.call(Some(x), 0, "/b", worker, move |sim, call| {
            sim.read(call, 0, worker);
            sim.after(50 * US, move |sim| {
                sim.world.reply(x, sim.now, thread);
                sim.answered(x, client, executor);
            });
        });
    });
}

#[test]
fn work_handed_to_a_pool_has_no_parent() {
    check(executor, 0.0);
    let world = simulate(9, 8, executor);
    assert_eq!(world.run().stats.linked, 0);
}

/// Netty: each server connection has its loop, and each pooled client connection has its own, whoever uses it.
fn netty(sim: &mut Sim, x: X, client: u32) {
    let main = tid(1, client % 4);
    sim.ready(main, move |sim| {
        sim.world.recv(x, sim.now, main);
        let pool = sim.below(4) as u32;
        let other = tid(1, pool);
        sim.ready(other, move |sim| {
            sim.call(Some(x), pool, "/b", other, move |sim, call| {
                sim.ready(other, move |sim| {
                    sim.read(call, pool, other);
                    sim.ready(main, move |sim| {
                        sim.world.reply(x, sim.now, main);
                        sim.answered(x, client, netty);
                    });
                });
            });
        });
    });
}

#[test]
fn loops_that_write_for_each_other_are_right_or_absent() {
    check(netty, 0.0);
    check_cut(netty, 0.0);
}

/// Node with an audit call after the answer, which nobody waits for; some requests wait for a timer first.
pub fn fire_and_forget(sim: &mut Sim, x: X, client: u32) {
    let main = tid(1, 0);
    sim.ready(main, move |sim| {
        sim.world.recv(x, sim.now, main);
        let delay = if sim.below(3) == 0 { sim.below(10 * MS) } else { 0 };
        sim.after(delay, move |sim| {
            sim.ready(main, move |sim| {
                sim.call(Some(x), 0, "/b", main, move |sim, call| {
                    sim.ready(main, move |sim| {
                        sim.read(call, 0, main);
                        sim.now += US;
                        sim.world.reply(x, sim.now, main);
                        sim.answered(x, client, fire_and_forget);
                        sim.now += US;
                        sim.call(None, 0, "/audit", main, move |sim, call| {
                            sim.ready(main, move |sim| sim.read(call, 0, main));
                        });
                    });
                });
            });
        });
    });
}

#[test]
fn calls_after_the_answer_have_no_parent() {
    check(fire_and_forget, 0.0);
    check_cut(fire_and_forget, 0.0);
}

/// Node with at most eight connections: calls queue for them, and are written when another call's response is read.
pub fn limited_pool(sim: &mut Sim, x: X, client: u32) {
    let main = tid(1, 0);
    sim.ready(main, move |sim| {
        sim.world.recv(x, sim.now, main);
        queue(sim, x, client, "/b");
    });
}

fn queue(sim: &mut Sim, x: X, client: u32, target: &'static str) {
    thread_local! {
        static BUSY: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
        static QUEUE: std::cell::RefCell<std::collections::VecDeque<(X, u32, &'static str)>> =
            const { std::cell::RefCell::new(std::collections::VecDeque::new()) };
    }
    let main = tid(1, 0);
    if BUSY.get() == 8 {
        QUEUE.with_borrow_mut(|queue| queue.push_back((x, client, target)));
        return;
    }
    BUSY.set(BUSY.get() + 1);
    sim.call(Some(x), 0, target, main, move |sim, call| {
        sim.ready(main, move |sim| {
            sim.read(call, 0, main);
            BUSY.set(BUSY.get() - 1);
            sim.now += US;
            if target == "/b" {
                queue(sim, x, client, "/c");
            } else {
                sim.world.reply(x, sim.now, main);
                sim.answered(x, client, limited_pool);
            }
            if BUSY.get() < 8
                && let Some((x, client, target)) = QUEUE.with_borrow_mut(|queue| queue.pop_front())
            {
                sim.now += US;
                queue(sim, x, client, target);
            }
        });
    });
}

#[test]
fn calls_that_queued_for_a_connection_are_right_or_absent() {
    check(limited_pool, 0.0);
    check_cut(limited_pool, 0.0);
}

/// A pool of threads that call blocking, and after the answer write an audit record; a third of the calls is made by
/// a second pool.
fn mixed_pools(sim: &mut Sim, x: X, client: u32) {
    let thread = tid(1, 1 + client);
    sim.world.recv(x, sim.now, thread);
    sim.after(60 * US, move |sim| {
        sim.call(Some(x), thread, "/b", thread, move |sim, call| {
            sim.read(call, thread, thread);
            let worker = tid(1, 500 + sim.below(4) as u32);
            sim.after(50 * US, move |sim| {
                sim.call(Some(x), worker, "/c", worker, move |sim, call| {
                    sim.read(call, worker, worker);
                    sim.after(50 * US, move |sim| {
                        sim.world.reply(x, sim.now, thread);
                        sim.now += 20 * US;
                        sim.call(None, thread, "/audit", thread, move |sim, call| {
                            sim.read(call, thread, thread);
                            sim.answered(x, client, mixed_pools);
                        });
                    });
                });
            });
        });
    });
}

#[test]
fn blocking_calls_are_right_beside_a_pool_and_an_audit() {
    // One call in three is the thread's own; the worker's and the audit's have no parent.
    check(mixed_pools, 0.33);
    check_cut(mixed_pools, 0.3);
}

/// A blocking thread whose calls are written by it and read by a selector thread, which also writes what queued.
fn selector(sim: &mut Sim, x: X, client: u32) {
    let (thread, io) = (tid(1, 1 + client), tid(1, 900));
    sim.world.recv(x, sim.now, thread);
    sim.after(60 * US, move |sim| {
        let writer = if sim.below(3) == 0 { io } else { thread };
        sim.call(Some(x), 0, "/b", writer, move |sim, call| {
            sim.read(call, 0, io);
            sim.after(70 * US, move |sim| {
                sim.world.reply(x, sim.now, thread);
                sim.answered(x, client, selector);
            });
        });
    });
}

#[test]
fn calls_through_a_selector_thread_are_right_or_absent() {
    check(selector, 0.0);
    check_cut(selector, 0.0);
}
