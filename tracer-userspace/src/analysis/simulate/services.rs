//! What the simulated services do with a request, stage by stage.

use std::collections::VecDeque;

use super::cast::{self, PROXY, SHOP, STOCK, main_thread};
use super::pipes::{Words, scramble};
use super::{BEGIN, MS, Planned, Random, Traffic, US};
use crate::arena::{Arena, Key};
use crate::event::Stamp;
use crate::exchange::{Side, TraceContext};
use crate::time::Nanos;

/// People outside, each with a connection.
const PEOPLE: u64 = 1500;
/// The longest that one of them thinks.
const THINK: u64 = 300 * MS;
/// Threads of the shop.
const THREADS: usize = 128;
/// What one turn of a loop takes.
const TURN: u64 = 20 * US;
/// From one process's write to another's read.
const WIRE: u64 = 40 * US;
/// The proxy uses a connection this often, the shop one of its own.
const PROXY_USES: u32 = 200;
const SHOP_USES: u32 = 500;
/// One short-lived process this often.
const JOB: u64 = 100 * MS;

/// What happens to a request next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The proxy reads it.
    Arrive,
    /// The proxy has a new connection to the shop.
    Connected,
    /// A thread of the shop reads it.
    Serve,
    /// That thread calls the stock keeper.
    Call,
    /// It has a connection for that.
    Write,
    /// The stock keeper reads the call.
    Look,
    /// The stock keeper has found out.
    Found,
    /// The shop reads the stock keeper's answer.
    Got,
    /// The shop answers.
    Answer,
    /// The proxy passes that on.
    Back,
    /// A short-lived process has its answer, and ends.
    JobDone,
}

/// A request to the proxy, and all that follows from it.
#[derive(Clone, Copy, Debug)]
struct Request {
    number: u64,
    outside: Key,
    /// The short-lived process that made it; else somebody outside.
    job: Option<u32>,
    upstream: Option<Key>,
    thread: usize,
    shelf: Option<Key>,
    calls: u32,
    status: u16,
}

/// The services' state.
#[derive(Debug)]
pub struct Services {
    random: Random,
    words: Words,
    requests: Arena<Request>,
    begun: u64,
    /// Until when the loops are busy: the proxy's workers, the stock keepers.
    loops: [u64; 4],
    /// Connections to the shop that nobody uses, by worker.
    upstream: [Vec<Key>; 2],
    threads: Vec<usize>,
    /// Each thread's own connection to a stock keeper.
    shelves: Vec<Option<Key>>,
    queue: VecDeque<Key>,
}

impl Default for Services {
    fn default() -> Self {
        Services {
            random: Random(0x9e37_79b9_7f4a_7c15),
            words: Words::default(),
            requests: Arena::default(),
            begun: 0,
            loops: [0; 4],
            upstream: [Vec::new(), Vec::new()],
            threads: (0..THREADS).collect(),
            shelves: vec![None; THREADS],
            queue: VecDeque::new(),
        }
    }
}

impl Request {
    fn worker(&self) -> usize {
        self.outside.index() as usize % 2
    }

    fn proxy(&self, at: u64) -> Stamp {
        main_thread(if self.worker() == 0 { PROXY[0] } else { PROXY[1] }, at)
    }

    fn shop(&self, at: u64) -> Stamp {
        Stamp { at: Nanos(at), tgid: SHOP, tid: SHOP + 1 + self.thread as u32, ..Stamp::default() }
    }

    fn stock(&self, at: u64) -> Stamp {
        main_thread(if self.thread.is_multiple_of(2) { STOCK[0] } else { STOCK[1] }, at)
    }

    /// The loop that must be free for a stage.
    fn on(&self, stage: Stage) -> Option<usize> {
        match stage {
            Stage::Arrive | Stage::Connected | Stage::Back => Some(self.worker()),
            Stage::Look | Stage::Found => Some(2 + self.thread % 2),
            _ => None,
        }
    }

    fn target(&self) -> Box<str> {
        let id = scramble(self.number) % 100_000;
        match self.number % 5 {
            0 => format!("/products/{id}"),
            1 => format!("/search?q=w{id}&page=1"),
            2 => format!("/cart/{id}/items?currency=EUR"),
            _ => format!("/api/v1/orders/{id}"),
        }
        .into()
    }
}

impl Traffic {
    pub(super) fn begin(&mut self) {
        for _ in 0..PEOPLE {
            self.comes(BEGIN);
        }
        self.plan(BEGIN + JOB, Planned::Job(cast::JOBS));
    }

    /// Somebody outside opens a connection.
    fn comes(&mut self, now: u64) {
        let pipe = self.pipes.connect(None, 80, now);
        let at = now + self.services.random.below(THINK);
        self.plan(at, Planned::Ask(pipe));
    }

    pub(super) fn ask(&mut self, now: u64, pipe: Key) {
        self.request(now, pipe, None);
    }

    pub(super) fn job(&mut self, now: u64, pid: u32) {
        for observation in cast::begins(pid, now) {
            self.pipes.say(observation);
        }
        let pipe = self.pipes.connect(Some(main_thread(pid, now + 100 * US)), 80, now + 100 * US);
        self.request(now + 200 * US, pipe, Some(pid));
        let head = self.services.words.to_proxy("/health".into(), None);
        self.pipes.request(pipe, Side::Client, main_thread(pid, now + 200 * US), head);
        self.plan(now + JOB, Planned::Job(pid + 1));
    }

    fn request(&mut self, now: u64, outside: Key, job: Option<u32>) {
        self.pipes.begin(outside);
        self.services.begun += 1;
        let request = self.services.requests.insert(Request {
            number: self.services.begun,
            outside,
            job,
            upstream: None,
            thread: 0,
            shelf: None,
            calls: 0,
            status: 200,
        });
        self.plan(now + WIRE, Planned::Stage(Stage::Arrive, request));
    }

    pub(super) fn stage(&mut self, now: u64, stage: Stage, key: Key) {
        let Some(mut request) = self.services.requests.get(key).copied() else { return };
        if let Some(free) = request.on(stage).and_then(|which| self.services.loops.get_mut(which)) {
            if *free > now {
                let later = *free;
                self.plan(later, Planned::Stage(stage, key));
                return;
            }
            *free = now + TURN;
        }
        let next = self.act(now, stage, key, &mut request);
        if let Some(place) = self.services.requests.get_mut(key) {
            *place = request;
        }
        if let Some((after, next)) = next {
            self.plan(now + after, Planned::Stage(next, key));
        }
    }

    /// Does what a stage says, and says what comes next, and when.
    fn act(&mut self, now: u64, stage: Stage, key: Key, request: &mut Request) -> Option<(u64, Stage)> {
        match stage {
            Stage::Arrive => self.arrive(now, key, request),
            Stage::Connected => {
                self.call_shop(now, request);
                Some((WIRE, Stage::Serve))
            }
            Stage::Serve => {
                let Some(thread) = self.services.threads.pop() else {
                    self.services.queue.push_back(key);
                    return None;
                };
                request.thread = thread;
                let head = self.services.words.to_shop(request.target());
                self.pipes.request(request.upstream?, Side::Server, request.shop(now), head);
                request.calls = [0, 1, 1, 1, 2].get(self.services.random.below(5) as usize).copied()?;
                Some(self.goes_on(request))
            }
            Stage::Call => {
                let short = self.services.random.once_in(80);
                let own = self.services.shelves.get_mut(request.thread)?;
                request.shelf = own.take_if(|_| !short);
                if request.shelf.is_some() {
                    return self.act(now, Stage::Write, key, request);
                }
                let pipe = self.pipes.connect(Some(request.shop(now)), 9000, now);
                request.shelf = Some(pipe);
                Some((60 * US, Stage::Write))
            }
            Stage::Write => {
                self.pipes.begin(request.shelf?);
                let target = format!("/stock/{}", scramble(request.number) % 1000);
                let head = self.services.words.to_stock(target.into());
                self.pipes.request(request.shelf?, Side::Client, request.shop(now), head);
                Some((WIRE, Stage::Look))
            }
            Stage::Look => {
                let target = format!("/stock/{}", scramble(request.number) % 1000);
                let head = self.services.words.to_stock(target.into());
                self.pipes.request(request.shelf?, Side::Server, request.stock(now), head);
                if self.services.random.once_in(2) {
                    return self.found(now + 8 * US, request);
                }
                Some((MS + self.services.random.below(4 * MS), Stage::Found))
            }
            Stage::Found => self.found(now, request),
            Stage::Got => {
                let shelf = request.shelf.take()?;
                let answer = answer(request, 300);
                self.pipes.response(shelf, Side::Client, request.shop(now), answer, false);
                let own = self.services.shelves.get_mut(request.thread)?;
                if own.is_some() || self.pipes.uses(shelf) >= SHOP_USES {
                    self.pipes.close(shelf, now + 5 * US);
                } else {
                    *own = Some(shelf);
                }
                request.calls = request.calls.saturating_sub(1);
                Some(self.goes_on(request))
            }
            Stage::Answer => {
                let answer = answer(request, 1500);
                self.pipes.response(request.upstream?, Side::Server, request.shop(now), answer, false);
                self.services.threads.push(request.thread);
                if let Some(next) = self.services.queue.pop_front() {
                    self.plan(now + US, Planned::Stage(Stage::Serve, next));
                }
                Some((WIRE, Stage::Back))
            }
            Stage::Back => self.back(now, key, request),
            Stage::JobDone => {
                let pid = request.job?;
                let answer = answer(request, 1500);
                self.pipes.response(request.outside, Side::Client, main_thread(pid, now), answer, false);
                self.pipes.close(request.outside, now + 10 * US);
                self.pipes.say(cast::ends(pid, now + 500 * US));
                self.services.requests.remove(key);
                None
            }
        }
    }

    fn arrive(&mut self, now: u64, key: Key, request: &mut Request) -> Option<(u64, Stage)> {
        let target = if request.job.is_some() { "/health".into() } else { request.target() };
        let context = request.number.is_multiple_of(16).then(|| {
            TraceContext::w3c(u128::from(scramble(request.number)) << 64 | 1, scramble(!request.number))
        });
        let head = self.services.words.to_proxy(target, context);
        self.pipes.request(request.outside, Side::Server, request.proxy(now), head);
        if request.job.is_some() || self.services.random.once_in(10) {
            // Answered without asking anybody.
            return self.reply(now + 8 * US, key, request);
        }
        request.upstream = self.services.upstream.get_mut(request.worker())?.pop();
        if request.upstream.is_some() {
            self.call_shop(now + 8 * US, request);
            return Some((8 * US + WIRE, Stage::Serve));
        }
        request.upstream = Some(self.pipes.connect(Some(request.proxy(now + 8 * US)), 8080, now + 8 * US));
        Some((100 * US, Stage::Connected))
    }

    fn call_shop(&mut self, now: u64, request: &Request) {
        let Some(upstream) = request.upstream else { return };
        self.pipes.begin(upstream);
        let head = self.services.words.to_shop(request.target());
        self.pipes.request(upstream, Side::Client, request.proxy(now), head);
    }

    /// The thread works, and then calls or answers.
    fn goes_on(&mut self, request: &Request) -> (u64, Stage) {
        let work = 50 * US + self.services.random.below(MS);
        (work, if request.calls > 0 { Stage::Call } else { Stage::Answer })
    }

    fn found(&mut self, now: u64, request: &mut Request) -> Option<(u64, Stage)> {
        if self.services.random.once_in(200) {
            request.status = 500;
        }
        self.pipes.response(request.shelf?, Side::Server, request.stock(now), answer(request, 300), false);
        Some((8 * US + WIRE, Stage::Got))
    }

    fn back(&mut self, now: u64, key: Key, request: &mut Request) -> Option<(u64, Stage)> {
        let upstream = request.upstream?;
        self.pipes.response(upstream, Side::Client, request.proxy(now), answer(request, 1500), false);
        if self.pipes.uses(upstream) >= PROXY_USES || self.services.random.once_in(150) {
            self.pipes.close(upstream, now + 2 * US);
        } else {
            self.services.upstream.get_mut(request.worker())?.push(upstream);
        }
        self.reply(now + 8 * US, key, request)
    }

    /// The proxy answers whoever asked.
    fn reply(&mut self, now: u64, key: Key, request: &mut Request) -> Option<(u64, Stage)> {
        let late = request.job.is_none() && self.services.random.once_in(5);
        self.pipes.response(request.outside, Side::Server, request.proxy(now), answer(request, 1500), late);
        if request.job.is_some() {
            return Some((WIRE, Stage::JobDone));
        }
        self.services.requests.remove(key);
        let first = self.pipes.uses(request.outside) == 1;
        if self.services.random.once_in(if first { 5 } else { 120 }) {
            self.pipes.close(request.outside, now + 100 * US);
            self.comes(now + 100 * US);
        } else {
            let at = now + self.services.random.below(THINK);
            self.plan(at, Planned::Ask(request.outside));
        }
        None
    }
}

/// Status and length of an answer.
fn answer(request: &Request, bytes: u64) -> (u16, u64) {
    (request.status, bytes + scramble(request.number) % 1000)
}
