//! Many threads asleep in a receive, as in a server with a thread for each client: the situation in which kretprobes fail.
//!
//! The kernel prepares a fixed number of returns for each kretprobe, as few as one on a host with one processor, and a
//! sleeper holds one until it wakes. Calls that find none left are not seen at all. Whether a kernel has enough cannot be
//! read anywhere, so it is tried: the self-check must pass while this many of our own threads sleep.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// More threads than this are unusual for the kind of server that has a thread for each client.
pub const SLEEPERS: usize = 256;
/// How long to wait for all of them to sleep.
const PATIENCE: Duration = Duration::from_secs(2);
/// Each sleeper has little to keep.
const STACK: usize = 64 << 10;

/// Threads of ours that sleep in a receive on a socket of ours, until this is dropped.
pub struct Crowd {
    socket: Arc<UdpSocket>,
    address: SocketAddr,
    threads: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// Makes it, and waits until all sleep.
    pub fn gather(sleepers: usize) -> io::Result<Self> {
        let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
        // Should waking them fail, they end by themselves.
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        let address = socket.local_addr()?;
        let before = sleeping();
        let mut crowd = Self { socket, address, threads: Vec::with_capacity(sleepers) };
        for _ in 0..sleepers {
            let socket = Arc::clone(&crowd.socket);
            let sleeper = thread::Builder::new().stack_size(STACK).spawn(move || {
                let _ = socket.recv(&mut [0u8; 1]);
            })?;
            crowd.threads.push(sleeper);
        }
        let begun = Instant::now();
        while sleeping() < before + sleepers {
            if begun.elapsed() > PATIENCE {
                return Err(io::Error::other("threads of the tracer's own did not come to rest"));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(crowd)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for thread in self.threads.drain(..) {
            while !thread.is_finished() {
                // One datagram wakes one of them; which, does not matter.
                if self.socket.send_to(&[0], self.address).is_err() {
                    break;
                }
                thread::sleep(Duration::from_micros(50));
            }
            let _ = thread.join();
        }
    }
}

/// How many threads of this process sleep.
fn sleeping() -> usize {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0 };
    tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok())
        // The state follows the command's closing bracket (proc_pid_stat(5)).
        .filter(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S')))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_sleep_and_they_wake() {
        let crowd = Crowd::gather(20).unwrap();
        assert!(crowd.threads.iter().all(|thread| !thread.is_finished()));
        let begun = Instant::now();
        drop(crowd);
        assert!(begun.elapsed() < Duration::from_secs(9), "they were not woken");
    }
}
