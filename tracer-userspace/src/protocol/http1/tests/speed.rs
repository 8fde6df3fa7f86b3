//! A measurement, not a test: `cargo test --release -p tracer-userspace --lib speed -- --ignored --nocapture`.

use std::time::Instant;

use super::*;
use crate::stream::simulate::Recorded;

#[test]
#[ignore = "a measurement: run it in release"]
fn nanoseconds_per_exchange() {
    const CONNECTIONS: u64 = 64;
    const ROUNDS: u64 = 200;
    let request = b"GET /users/12345?page=2 HTTP/1.1\r\nHost: shop.example:8080\r\nUser-Agent: wrk/4.1.0\r\n\
        Accept: */*\r\nAccept-Encoding: gzip, deflate\r\nX-Request-Id: 0af7651916cd43dd8448eb211c80319c\r\n\r\n";
    let response = b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n\
        Content-Type: application/json\r\nContent-Length: 13\r\nConnection: keep-alive\r\n\r\n{\"id\": 12345}";
    let mut events: Vec<Recorded> = Vec::new();
    let mut kernels: Vec<Kernel> =
        (0..CONNECTIONS).map(|number| Kernel::new(number, Role::Passive)).collect();
    for round in 0..ROUNDS {
        for kernel in &mut kernels {
            kernel.call(Rx, request, 100 * round);
            kernel.call(Tx, response, 100 * round + 50);
            events.append(&mut kernel.events);
        }
    }
    let mut best = f64::MAX;
    for _ in 0..50 {
        let (mut streams, mut steps) = (Streams::new(Limits::default()), Vec::with_capacity(4096));
        let start = Instant::now();
        let mut told = 0;
        for event in &events {
            event.feed(&mut streams, &mut steps);
            if steps.len() > 3000 {
                told += steps.len();
                steps.clear();
            }
        }
        let spent = start.elapsed().as_nanos() as f64;
        assert_eq!(told + steps.len(), (CONNECTIONS * ROUNDS * 3) as usize);
        best = best.min(spent / (CONNECTIONS * ROUNDS) as f64);
    }
    println!("{best:.0} ns per exchange");
}
