//! The `tracer` command.

use tracer_userspace::capture::{drain::kernel_now, load::{Options, Probes}, probes::Provider, selfcheck};
fn main() {
    let t = std::time::Instant::now();
    let provider = match std::env::args().nth(1).as_deref() { Some("sys") => Some(Provider::SyscallExit), _ => None };
    let secs: u64 = std::env::args().nth(2).and_then(|s| s.parse().ok()).unwrap_or(3);
    let quiet = std::env::args().nth(3).is_some();
    let pid: Option<u32> = std::env::args().nth(4).and_then(|s| s.parse().ok());
    let mut p = match Probes::attach(&Options { kernel: (6, 18), pid_max: 32768, provider, select: if pid.is_some() {1} else {0}, pids: pid.into_iter().collect(), ..Options::default() }) {
        Ok(p) => p,
        Err(e) => { eprintln!("{e}"); std::process::exit(1) }
    };
    eprintln!("loaded {:?} {:?}", t.elapsed(), p.programs());
    if let Err(e) = selfcheck::run(&mut p) { eprintln!("{e}"); std::process::exit(1) }
    eprintln!("attached {:?}", t.elapsed());
    p.set_mode(2).unwrap();
    let mut n = 0u64; let mut b = 0u64;
    for _ in 0..secs * 20 {
        std::thread::sleep(std::time::Duration::from_millis(50));
        let d = p.drain(|e| if !quiet { println!("{e:?}") });
        n += d.records; b += d.bytes;
    }
    let d = p.detach();
    p.sweep(kernel_now(), true, |c| if !quiet { println!("{c:?}") });
    eprintln!("detached {d:?} records {n} bytes {b} {:?}", p.counters());
}
