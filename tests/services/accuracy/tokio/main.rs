//! tokio with four workers, axum, reqwest: `front tasks` makes each call in a task of its own, `front` in the handler's.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, process};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const WAIT: &str = "db";
const NOBODY: &str = "-";
/// The call that sends a body, as the request does that asks for it.
const SAVE: &str = "save";
const BODY: &str = r#"{"item": "0123456789abcdef0123456789abcdef", "count": 12}"#;

struct Front {
    client: reqwest::Client,
    backend: String,
    database: String,
    idle: Mutex<Vec<TcpStream>>,
    truth: File,
    tasks: bool,
}

fn plan(path: &str) -> &'static [&'static [&'static str]] {
    match path {
        "front" | "skip" => &[&["b"], &["c"]],
        "other" => &[&["c"], &["d"]],
        "fan" => &[&["b", "c"]],
        "repeat" => &[&["b"], &["b"], &["b"]],
        "db" => &[&[WAIT], &["b"]],
        "post" => &[&[SAVE], &["c"]],
        _ => &[],
    }
}

impl Front {
    async fn call(&self, incoming: &str, name: &str) {
        if name == WAIT {
            return self.query().await;
        }
        let fresh = format!("{:016x}", random());
        (&self.truth).write_all(format!("{incoming} {fresh}\n").as_bytes()).expect("the truth file");
        let url = format!("http://{}/{name}", self.backend);
        let request =
            if name == SAVE { self.client.post(url).body(BODY) } else { self.client.get(url) };
        match request.header("x-truth-id", fresh).send().await {
            Ok(response) => drop(response.bytes().await),
            Err(error) => eprintln!("{error}"),
        }
    }

    /// One question to the database, on a connection of a pool.
    async fn query(&self) {
        let idle = self.idle.lock().expect("nobody panics").pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => TcpStream::connect(&self.database).await.expect("the database"),
        };
        connection.write_all(b"*1\r\n$4\r\nPING\r\n").await.expect("the database");
        let mut answer = [0; 64];
        let _length = connection.read(&mut answer).await.expect("the database");
        self.idle.lock().expect("nobody panics").push(connection);
    }
}

async fn serve(
    State(front): State<Arc<Front>>,
    Path(path): Path<String>,
    headers: HeaderMap,
    _body: Bytes,
) -> &'static str {
    let incoming = headers.get("x-truth-id").and_then(|id| id.to_str().ok()).unwrap_or(NOBODY).to_owned();
    for &step in plan(&path) {
        if path == "skip" && random() % 10 < 3 {
            continue;
        }
        if front.tasks {
            let spawned: Vec<_> = step
                .iter()
                .map(|&name| {
                    let (front, incoming) = (Arc::clone(&front), incoming.clone());
                    tokio::spawn(async move { front.call(&incoming, name).await })
                })
                .collect();
            for task in spawned {
                task.await.expect("the task");
            }
        } else {
            futures_util::future::join_all(step.iter().map(|name| front.call(&incoming, name))).await;
        }
    }
    "ok\n"
}

fn random() -> u64 {
    getrandom::u64().expect("random bytes")
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        eprintln!("{name} is not set");
        process::exit(2)
    })
}

#[tokio::main(worker_threads = 4)]
async fn main() {
    let front = Arc::new(Front {
        client: reqwest::Client::new(),
        backend: variable("BACKEND"),
        database: variable("DATABASE"),
        idle: Mutex::default(),
        truth: File::options().append(true).open(variable("TRUTH")).expect("the truth file"),
        tasks: env::args().nth(1).is_some_and(|mode| mode == "tasks"),
    });
    let background: u64 = env::var("BACKGROUND").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    if background > 0 {
        let front = Arc::clone(&front);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(background)).await;
                front.call(NOBODY, "tick").await;
            }
        });
    }
    let address: SocketAddr = format!("127.0.0.1:{}", variable("PORT")).parse().expect("a port");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option");
    socket.bind(address).expect("the port");
    let listener = socket.listen(512).expect("a listener");
    let app = axum::Router::new().route("/{path}", axum::routing::get(serve).post(serve)).with_state(front);
    axum::serve(listener, app).await.expect("the server");
}
