//! What the probes see of threads beside the bytes: turns of a loop, hand-overs by waking and by creating, and who moved a
//! response's last byte. The traced process is this one, whose threads do exactly what is to be seen.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tracer_tests::observed::{self, Exchange};
use tracer_tests::pace;
use tracer_tests::scratch::Scratch;
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::Tracer;

const NEEDS: &[Need] = &[Need::Tracer];

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![
            test("turns_are_counted", turns_are_counted),
            test("a_woken_worker_names_its_waker", a_woken_worker_names_its_waker),
            test("a_lock_hands_nothing_over", a_lock_hands_nothing_over),
            test("a_new_thread_names_its_creator", a_new_thread_names_its_creator),
            test("who_moved_the_last_byte", who_moved_the_last_byte),
            test("sockets_only", sockets_only),
        ],
    )
}

fn tid() -> u32 {
    // SAFETY: no arguments, no conditions.
    unsafe { libc::gettid() as u32 }
}

/// Looks, without waiting, whether there is something to read: once through the loop.
fn look(stream: &TcpStream) {
    let mut entry = libc::pollfd { fd: stream.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, which is a local.
    unsafe { libc::poll(&raw mut entry, 1, 0) };
}

fn until(stream: &mut TcpStream, end: &[u8]) -> Result<Vec<u8>> {
    let mut got = Vec::new();
    let mut buffer = [0; 1024];
    while !got.ends_with(end) {
        let count = stream.read(&mut buffer).context("cannot read")?;
        ensure!(count > 0, "the connection ended after {:?}", String::from_utf8_lossy(&got));
        got.extend_from_slice(buffer.get(..count).unwrap_or_default());
    }
    Ok(got)
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A connection to a server that answers each request, in a thread of its own.
struct Backend(u16);

impl Backend {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen")?;
        let port = listener.local_addr()?.port();
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                while until(&mut stream, b"\r\n\r\n").is_ok() {
                    // Long enough for whoever waits for the result to have gone to sleep.
                    thread::sleep(pace::limit(Duration::from_millis(20)));
                    if stream.write_all(ANSWER).is_err() {
                        break;
                    }
                }
            }
        });
        Ok(Self(port))
    }

    fn call(&self, target: &str) -> Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.0)).context("cannot connect")?;
        stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: b\r\n\r\n").as_bytes())?;
        until(&mut stream, b"ok").map(drop)
    }
}

/// A connection with both its ends here.
fn pair() -> Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen")?;
    let client = TcpStream::connect(listener.local_addr()?).context("cannot connect")?;
    Ok((client, listener.accept().context("cannot accept")?.0))
}

fn request(stream: &mut TcpStream, target: &str) -> Result<()> {
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).context("cannot send")
}

/// Traces this process while something is done, and returns the exchanges.
fn traced(arguments: &[&str], work: impl FnOnce() -> Result<()>) -> Result<Vec<Exchange>> {
    let scratch = Scratch::new()?;
    let capture = scratch.join("evidence.tcap");
    let pid = std::process::id().to_string();
    let tracer = Tracer::record(&[&["--pid", &*pid, "-o", &*capture.to_string_lossy()], arguments].concat())?;
    work()?;
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    ensure!(!recording.said.contains("does not show"), "something is missing:\n{}", recording.said);
    observed::exchanges(&capture)
}

/// The exchange with this target, seen by whoever received the request, or by whoever sent it.
fn served<'a>(all: &'a [Exchange], target: &str) -> Result<&'a Exchange> {
    let mut found = all.iter().filter(|one| !one.client && one.target == target);
    found.next().with_context(|| format!("no request {target} in {all:?}"))
}

fn called<'a>(all: &'a [Exchange], target: &str) -> Result<&'a Exchange> {
    let mut found = all.iter().filter(|one| one.client && one.target == target);
    found.next().with_context(|| format!("no call {target} in {all:?}"))
}

/// Between a request and its response the loop goes round as often as it does.
fn turns_are_counted() -> Result<String> {
    const ROUNDS: u64 = 5;
    let all = traced(&[], || {
        let (mut client, mut server) = pair()?;
        for round in 0..ROUNDS {
            request(&mut client, &format!("/turns/{round}"))?;
            look(&server);
            until(&mut server, b"\r\n\r\n")?;
            (0..round).for_each(|_| look(&server));
            server.write_all(ANSWER)?;
            until(&mut client, b"ok")?;
        }
        Ok(())
    })?;
    let mut before = None;
    for round in 0..ROUNDS {
        let one = served(&all, &format!("/turns/{round}"))?;
        let (read, wrote) = (one.request.turn, one.response.turn);
        ensure!(read > 0, "no turns: {one:?}");
        ensure!(wrote - read == round, "{round} turns were taken: {one:?}");
        ensure!(one.last.1 == wrote, "the response was one piece: {one:?}");
        if let Some(before) = before {
            ensure!(read == before + 1, "one look before it is read: {before}, then {one:?}");
        }
        before = Some(wrote);
    }
    Ok(format!("{ROUNDS} rounds"))
}

/// One thread reads requests and hands them to another one, which makes the calls.
fn a_woken_worker_names_its_waker() -> Result<String> {
    const ROUNDS: usize = 3;
    let backend = Backend::start()?;
    let (jobs, waiting) = mpsc::channel::<String>();
    let (done, results) = mpsc::channel::<Result<()>>();
    let (name, worker) = mpsc::channel();
    thread::spawn(move || {
        let _ = name.send(tid());
        for job in waiting {
            let _ = done.send(backend.call(&job));
        }
    });
    let worker = worker.recv()?;
    let me = tid();
    let all = traced(&[], || {
        let (mut client, mut server) = pair()?;
        for round in 0..ROUNDS {
            // It must be asleep in order to be woken.
            thread::sleep(pace::limit(Duration::from_millis(30)));
            request(&mut client, &format!("/front/{round}"))?;
            until(&mut server, b"\r\n\r\n")?;
            look(&server);
            jobs.send(format!("/called/{round}")).context("the worker is gone")?;
            results.recv().context("the worker is gone")??;
            server.write_all(ANSWER)?;
            until(&mut client, b"ok")?;
        }
        Ok(())
    })?;
    for round in 0..ROUNDS {
        let front = served(&all, &format!("/front/{round}"))?;
        let call = called(&all, &format!("/called/{round}"))?;
        ensure!(call.request.thread == u64::from(worker), "who called: {call:?}");
        ensure!(call.request.waker == u64::from(me), "{me} woke it: {call:?}");
        let turns = call.request.waker_turn - front.request.turn;
        ensure!(turns == 1, "{me} looked once before it handed on: {front:?}, {call:?}");
        let woken = call.request.woken;
        let (read, called) = (front.request.at, call.request.at);
        ensure!(read <= woken && woken <= called, "not in this order: {read}, {woken}, {called}");
        // The result came back the same way.
        ensure!(front.response.waker == u64::from(worker), "woken by {worker}: {front:?}");
    }
    Ok(format!("{ROUNDS} hand-overs there and back"))
}

/// futex(2) on a word of this process.
fn futex(word: &AtomicU32, operation: libc::c_int, value: u32) {
    let no_limit = std::ptr::null::<libc::timespec>();
    // SAFETY: the word outlives the call, and no other pointer is given.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, no_limit) };
}

/// Who lets go of a lock that another one waits for has handed nothing to it.
fn a_lock_hands_nothing_over() -> Result<String> {
    /// What glibc's mutexes are while somebody waits for them.
    const CONTENDED: u32 = 2;
    static LOCK: AtomicU32 = AtomicU32::new(CONTENDED);
    let backend = Backend::start()?;
    let (go, may_go) = mpsc::channel::<()>();
    let waiter = thread::spawn(move || -> Result<()> {
        let _ = may_go.recv();
        while LOCK.load(Ordering::SeqCst) == CONTENDED {
            futex(&LOCK, libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG, CONTENDED);
        }
        backend.call("/after-the-lock")
    });
    let all = traced(&[], || {
        // Before anything was read, so that this hands nothing over either.
        go.send(()).context("the waiter is gone")?;
        thread::sleep(pace::limit(Duration::from_millis(50)));
        let (mut client, mut server) = pair()?;
        request(&mut client, "/front")?;
        until(&mut server, b"\r\n\r\n")?;
        LOCK.store(0, Ordering::SeqCst);
        futex(&LOCK, libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1);
        waiter.join().ok().context("the waiter panicked")??;
        server.write_all(ANSWER).context("cannot send")
    })?;
    let call = called(&all, "/after-the-lock")?;
    ensure!(call.request.waker == 0, "taken for a hand-over: {call:?}");
    Ok(String::new())
}

/// A thread for each job.
fn a_new_thread_names_its_creator() -> Result<String> {
    const ROUNDS: usize = 3;
    let backend = Backend::start()?;
    let me = tid();
    let all = traced(&[], || {
        let (mut client, mut server) = pair()?;
        for round in 0..ROUNDS {
            request(&mut client, &format!("/front/{round}"))?;
            until(&mut server, b"\r\n\r\n")?;
            let target = format!("/created/{round}");
            thread::scope(|scope| scope.spawn(|| backend.call(&target)).join())
                .ok()
                .context("the thread panicked")??;
            server.write_all(ANSWER)?;
            until(&mut client, b"ok")?;
        }
        Ok(())
    })?;
    for round in 0..ROUNDS {
        let call = called(&all, &format!("/created/{round}"))?;
        ensure!(call.request.thread != u64::from(me), "another thread called: {call:?}");
        ensure!(call.request.waker == u64::from(me), "{me} created it: {call:?}");
    }
    Ok(format!("{ROUNDS} threads"))
}

/// One thread sends the head of a response, another one a body of which most is only counted.
fn who_moved_the_last_byte() -> Result<String> {
    const BODY: usize = 50_000;
    const PIECE: usize = 10_000;
    let (mut client, mut server) = pair()?;
    let (head, body) = (tid(), AtomicU32::new(0));
    let all = traced(&[], || {
        request(&mut client, "/in-pieces")?;
        until(&mut server, b"\r\n\r\n")?;
        server.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n").as_bytes())?;
        let drain = thread::spawn(move || client.read_to_end(&mut Vec::new()));
        thread::scope(|scope| {
            let other = scope.spawn(|| -> Result<()> {
                body.store(tid(), Ordering::SeqCst);
                for _ in 0..BODY / PIECE {
                    look(&server);
                    (&server).write_all(&[b'x'; PIECE]).context("cannot send")?;
                }
                Ok(())
            });
            other.join().ok().context("the thread panicked")?
        })?;
        server.shutdown(Shutdown::Both).context("cannot close")?;
        drain.join().ok().context("the reader panicked")?.map(drop).context("cannot read")
    })?;
    let one = served(&all, "/in-pieces")?;
    ensure!(one.response.thread == u64::from(head), "the head is {head}'s: {one:?}");
    let body = body.load(Ordering::SeqCst);
    ensure!(one.last.0 == u64::from(body), "the body is {body}'s: {one:?}");
    ensure!(one.last.1 == (BODY / PIECE) as u64, "each piece in a turn: {one:?}");
    Ok(String::new())
}

/// With `--evidence sockets` none of it is looked at, and nothing is said to be missing.
fn sockets_only() -> Result<String> {
    let backend = Backend::start()?;
    let all = traced(&["--evidence", "sockets"], || {
        let (mut client, mut server) = pair()?;
        request(&mut client, "/front")?;
        look(&server);
        until(&mut server, b"\r\n\r\n")?;
        thread::scope(|scope| scope.spawn(|| backend.call("/called")).join())
            .ok()
            .context("the thread panicked")??;
        server.write_all(ANSWER)?;
        until(&mut client, b"ok").map(drop)
    })?;
    let (front, call) = (served(&all, "/front")?, called(&all, "/called")?);
    ensure!(front.response.turn == 0, "turns: {front:?}");
    ensure!(call.request.waker == 0, "a waker: {call:?}");
    ensure!(front.last.0 != 0, "who moved bytes is seen all the same: {front:?}");
    Ok(String::new())
}
