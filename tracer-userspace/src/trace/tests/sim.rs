//! A discrete-event simulation of servers: threads, loops, clients and backends with random delays.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use super::scenario::*;

pub type Action = Box<dyn FnOnce(&mut Sim)>;

struct Planned(u64, u64, Action);

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Planned {}
impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Planned {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

#[derive(Default)]
struct Loop {
    ready: VecDeque<Action>,
    planned: bool,
    free: u64,
}

/// The simulation.
pub struct Sim {
    pub now: u64,
    pub world: World,
    pub until: u64,
    plan: BinaryHeap<Reverse<Planned>>,
    count: u64,
    random: u64,
    loops: BTreeMap<u32, Loop>,
    /// Free keep-alive connections by pool.
    pools: BTreeMap<u32, Vec<Pipe>>,
    /// Backend threads.
    backends: u32,
}

/// Time one callback takes.
const CALLBACK: u64 = 20 * US;

impl Sim {
    pub fn new(seed: u64, until: u64) -> Sim {
        Sim {
            now: 0,
            world: World::default(),
            until,
            plan: BinaryHeap::new(),
            count: 0,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            loops: BTreeMap::new(),
            pools: BTreeMap::new(),
            backends: 0,
        }
    }

    /// A random number below `n` (xorshift64*).
    pub fn below(&mut self, n: u64) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    pub fn after(&mut self, delay: u64, action: impl FnOnce(&mut Sim) + 'static) {
        self.count += 1;
        self.plan.push(Reverse(Planned(self.now + delay, self.count, Box::new(action))));
    }

    pub fn run(mut self) -> World {
        while let Some(Reverse(Planned(at, _, action))) = self.plan.pop() {
            self.now = at;
            action(&mut self);
        }
        self.world
    }

    /// Puts a callback into a loop's ready queue. Each turn of the loop runs what was ready when it began.
    pub fn ready(&mut self, tid: u32, action: impl FnOnce(&mut Sim) + 'static) {
        let now = self.now;
        let state = self.loops.entry(tid).or_default();
        state.ready.push_back(Box::new(action));
        if !std::mem::replace(&mut state.planned, true) {
            let delay = state.free.saturating_sub(now);
            self.after(delay, move |sim| sim.turn(tid));
        }
    }

    fn turn(&mut self, tid: u32) {
        let batch = std::mem::take(&mut self.loops.get_mut(&tid).unwrap().ready);
        for action in batch {
            action(self);
            self.now += CALLBACK;
        }
        let now = self.now;
        let state = self.loops.get_mut(&tid).unwrap();
        state.free = now;
        state.planned = !state.ready.is_empty();
        if state.planned {
            self.after(0, move |sim| sim.turn(tid));
        }
    }

    /// A connection of a pool, an idle one if there is one; `true` when it is new.
    pub fn checkout(&mut self, pool: u32, client: u32, server: u32) -> (Pipe, bool) {
        match self.pools.entry(pool).or_default().pop() {
            Some(pipe) => (pipe, false),
            None => (self.world.pipe(Some(client), Some(server)), true),
        }
    }

    pub fn checkin(&mut self, pool: u32, pipe: Pipe) {
        self.pools.entry(pool).or_default().push(pipe);
    }

    /// The backend (process 2, a thread for each call) works on a call that was just sent; `got` runs when the
    /// response has reached the client.
    pub fn backend(&mut self, x: X, got: impl FnOnce(&mut Sim) + 'static) {
        let thread = self.backends % 500;
        self.backends += 1;
        self.after(30 * US, move |sim| {
            let now = sim.now;
            sim.world.recv(x, now, tid(2, thread));
            let delay = MS + sim.below(19 * MS);
            sim.after(delay, move |sim| {
                let now = sim.now;
                sim.world.reply(x, now, tid(2, thread));
                sim.after(30 * US, got);
            });
        });
    }

    /// `clients` clients outside the host, each with a keep-alive connection to process `pid` and a closed loop of
    /// requests. `arrive` is called when a request has arrived (and not been read); it must call [`Sim::answered`].
    pub fn clients(&mut self, clients: u32, pid: u32, arrive: fn(&mut Sim, X, u32)) {
        for client in 0..clients {
            let pipe = self.world.pipe(None, Some(pid));
            let delay = self.below(5 * MS);
            self.after(delay, move |sim| sim.ask(pipe, client, arrive));
        }
    }

    fn ask(&mut self, pipe: Pipe, client: u32, arrive: fn(&mut Sim, X, u32)) {
        if self.now < self.until {
            let x = self.world.exchange(pipe, "/in");
            arrive(self, x, client);
        }
    }

    /// The client has the response and asks again.
    pub fn answered(&mut self, x: X, client: u32, arrive: fn(&mut Sim, X, u32)) {
        let think = 50 * US + self.below(2 * MS);
        self.after(think, move |sim| sim.ask(x.0, client, arrive));
    }

    /// A call of `request` on a pooled connection, written now by `thread`. `then` runs when its response arrived
    /// (and is not read yet).
    pub fn call(
        &mut self,
        request: Option<X>,
        pool: u32,
        target: &str,
        thread: u32,
        then: impl FnOnce(&mut Sim, X) + 'static,
    ) {
        let (pipe, new) = self.checkout(pool, 1, 2);
        let x = self.world.exchange(pipe, target);
        if let Some(request) = request {
            self.world.cause(x, request);
        }
        let now = self.now;
        if new {
            self.world.connected(pipe, now, thread);
        }
        self.world.send(x, now, thread);
        self.backend(x, move |sim| then(sim, x));
    }

    /// The response to a call is read by a thread and its connection becomes free.
    pub fn read(&mut self, call: X, pool: u32, thread: u32) {
        let now = self.now;
        self.world.got(call, now, thread);
        self.checkin(pool, call.0);
    }
}
