//! Models whose calls need a connection first: what a loop does between `connect` and the first byte is not seen.

use super::models::check;
use super::scenario::*;
use super::sim::Sim;

/// Calls side by side, each on a connection of its own that has to be opened first; the name is looked up before
/// that, by another thread.
fn fan_out_with_connects(sim: &mut Sim, x: X, client: u32) {
    let main = tid(1, 0);
    sim.ready(main, move |sim| {
        sim.world.recv(x, sim.now, main);
        let done = std::rc::Rc::new(std::cell::Cell::new(0));
        for target in ["/b", "/c", "/d"] {
            let (done, lookup) = (done.clone(), target == "/d");
            let delay = if lookup { 300 * US + sim.below(2 * MS) } else { 0 };
            let open = move |sim: &mut Sim| {
                let pipe = sim.world.pipe(Some(1), Some(2));
                let connect = sim.now;
                sim.world.connected(pipe, connect, main);
                let rtt = 80 * US + sim.below(3 * MS);
                sim.after(rtt, move |sim| {
                    sim.ready(main, move |sim| {
                        let call = sim.world.exchange(pipe, target);
                        sim.world.cause(call, x);
                        sim.world.send(call, sim.now, main);
                        sim.backend(call, move |sim| {
                            sim.ready(main, move |sim| {
                                sim.world.got(call, sim.now, main);
                                done.set(done.get() + 1);
                                if done.get() == 3 {
                                    sim.world.reply(x, sim.now + US, main);
                                    sim.answered(x, client, fan_out_with_connects);
                                }
                            });
                        });
                    });
                });
            };
            if lookup {
                sim.after(delay, move |sim| sim.ready(main, open));
            } else {
                sim.now += 2 * US;
                open(sim);
            }
        }
    });
}

#[test]
fn connects_side_by_side() {
    check(fan_out_with_connects, 0.0);
}

/// A proxy that opens a connection for every call, as nginx does by default: it connects, turns to something else,
/// and writes when the connection is there.
fn connect_for_each(sim: &mut Sim, x: X, client: u32) {
    let main = tid(1, 0);
    sim.ready(main, move |sim| {
        sim.world.recv(x, sim.now, main);
        sim.now += 5 * US;
        let pipe = sim.world.pipe(Some(1), Some(2));
        let connect = sim.now;
        sim.world.connected(pipe, connect, main);
        let rtt = 30 * US + sim.below(60 * US);
        sim.after(rtt, move |sim| {
            sim.ready(main, move |sim| {
                let call = sim.world.exchange(pipe, "/b");
                sim.world.cause(call, x);
                sim.world.send(call, sim.now, main);
                sim.backend(call, move |sim| {
                    sim.ready(main, move |sim| {
                        sim.world.got(call, sim.now, main);
                        sim.world.reply(x, sim.now + US, main);
                        sim.answered(x, client, connect_for_each);
                    });
                });
            });
        });
    });
}

#[test]
fn a_connection_for_each_call() {
    check(connect_for_each, 0.8);
}
