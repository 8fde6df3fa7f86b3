//! Secrets never leave the tracer: planted wherever a message, a command line or an environment can carry one, and searched
//! for in all that it writes and says.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tracer_tests::process::{Process, Spec};
use tracer_tests::scratch::Scratch;
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tcap;
use tracer_tests::tracer::{self, Tracer};

const NEEDS: &[Need] = &[Need::Tracer, Need::Command("python3")];

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![
            test("nothing_planted_is_found", nothing_planted_is_found),
            test("unmask_is_loud", unmask_is_loud),
            test("raw_is_loud", raw_is_loud),
            test("raw_needs_a_capture", || {
                tracer::refuses(&[], &["record", "-d", "1s", "--raw", "-o", "/dev/null"], &["--raw", ".tcap"])
            }),
        ],
    )
}

/// Numbered, so that what is found tells where it was planted.
fn secret(number: usize) -> String {
    format!("Xq7planted{number:03}")
}

/// Request targets in which `{}` is the secret.
const TARGETS: [&str; 22] = [
    "/a?token={}",
    "/a?access_token={}&b=1",
    "/a?b=1&password={}",
    "/a?api_key={}#f",
    "/a?apikey={}",
    "/a?X-Amz-Signature={}&X-Amz-Date=1",
    "/a?X-Amz-Credential={}",
    "/a?user[password]={}&user[name]=n",
    "/a?user%5Bpassword%5D={}",
    "/a?acc%65ss%5Ftoken={}",
    "/a?ACCESS-TOKEN={}",
    "/a?session={}&sid={}&sig={}&code={}",
    "/a;jsessionid={}/b",
    "/a?next=https%3A%2F%2Fh%2F%3Ftoken%3D{}",
    "/a?next=https://user:{}@h/x",
    "/a?b=1;secret={}",
    "/a?client_secret={}=={}",
    "http://user:{}@h/path?q=1",
    "http://{}@h/path",
    "user:{}@h:443",
    "/a?SAMLResponse={}",
    "/proxy/http://u:{}@h/x?auth={}",
];

/// Header fields in which `{}` is the secret.
const FIELDS: [&str; 14] = [
    "Authorization: Basic {}",
    "Authorization: Bearer {}",
    "authorization:{}",
    "Proxy-Authorization: Basic {}",
    "Cookie: session={}; other=1",
    "X-Api-Key: {}",
    "X-Auth-Token: {}",
    "X-Anything: {}",
    "Referer: http://h/?token={}",
    "Host: user:{}@h",
    "Authorization: Digest username=\"u\",\r\n response=\"{}\"",
    "Forwarded: for={}",
    "tracestate: vendor={}",
    "Content-Type: multipart/form-data; boundary={}",
];

/// Bytes of other protocols in which `{}` is the secret.
const OTHERS: [&str; 7] = [
    "*2\r\n$4\r\nAUTH\r\n$13\r\n{}\r\n",
    "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$13\r\n{}\r\n",
    "AUTH PLAIN {}\r\n",
    "p\x00\x00\x00\x12{}\x00",
    "\x20\x00\x00\x00\x03SELECT * FROM users WHERE password = '{}'",
    "Q\x00\x00\x00\x40SELECT 1 WHERE token = '{}'\x00",
    "USER me\r\nPASS {}\r\n",
];

/// Reads what comes and answers it as HTTP, with secrets in the response's head and body.
fn answering(secrets: [String; 4]) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let [cookie, location, body, header] = secrets;
    let answer = format!(
        "HTTP/1.1 200 OK\r\nSet-Cookie: id={cookie}; HttpOnly\r\nLocation: /x?token={location}\r\nX-Secret: {header}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let answer = answer.clone();
            thread::spawn(move || {
                let mut taken = Vec::<u8>::new();
                let mut buffer = [0; 65536];
                while let Ok(some @ 1..) = stream.read(&mut buffer) {
                    taken.extend(buffer.iter().take(some));
                    if taken.windows(4).any(|window| window == b"\r\n\r\n") {
                        taken.clear();
                        if stream.write_all(answer.as_bytes()).is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    Ok(port)
}

/// Sends it in pieces of that size on a connection of its own, and waits for what comes back.
fn send(port: u16, bytes: &[u8], piece: usize) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_millis(30)))?;
    for piece in bytes.chunks(piece) {
        stream.write_all(piece)?;
    }
    let _answered_or_not = stream.read(&mut [0; 4096]);
    Ok(())
}

/// What was planted.
struct Planted {
    secrets: Vec<String>,
    /// Of them, those in targets and command lines, which `--unmask` shows.
    shown: Vec<String>,
    _server: Process,
}

fn plant(scratch: &Scratch) -> Result<(Planted, impl FnOnce() -> Result<()>)> {
    let mut secrets = Vec::new();
    let mut next = || {
        let new = secret(secrets.len());
        secrets.push(new.clone());
        new
    };
    let port = answering([next(), next(), next(), next()])?;
    let mut messages: Vec<Vec<u8>> = Vec::new();
    let mut shown = Vec::new();
    for target in TARGETS {
        let secret = next();
        let target = target.replace("{}", &secret);
        messages.push(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n").into_bytes());
        shown.push(secret);
    }
    for field in FIELDS {
        messages.push(format!("GET /f HTTP/1.1\r\n{}\r\n\r\n", field.replace("{}", &next())).into_bytes());
    }
    for other in OTHERS {
        messages.push(other.replace("{}", &next()).into_bytes());
    }
    let (form, chunk, trailer, late, second) = (next(), next(), next(), next(), next());
    let body = format!("user=u&password={form}");
    messages.push(
        format!("POST /form HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            .into_bytes(),
    );
    messages.push(
        format!(
            "POST /chunked HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{chunk}\r\n0\r\nX-T: {trailer}\r\n\r\n",
            chunk.len()
        )
        .into_bytes(),
    );
    // Beyond what is captured of a head, and in the second of two requests in one call.
    let long = "v".repeat(5000);
    messages.push(format!("GET /long HTTP/1.1\r\nX-Long: {long}\r\nCookie: {late}\r\n\r\n").into_bytes());
    let two = format!("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2?token={second} HTTP/1.1\r\nHost: h\r\n\r\n");
    messages.push(two.into_bytes());
    shown.push(second);
    // A command line and an environment. The program is one that takes part, so that it is looked at.
    let (option, separate, url, variable) = (next(), next(), next(), next());
    let script = "import socket, time\n\
                  server = socket.create_server(('127.0.0.1', 0))\n\
                  open('port', 'w').write(str(server.getsockname()[1]))\n\
                  while True:\n\
                  \x20   connection, _ = server.accept()\n\
                  \x20   connection.recv(65536)\n\
                  \x20   connection.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n')\n\
                  \x20   connection.close()\n";
    scratch.write("service.py", script)?;
    let server = Spec::new("python3")?
        .args(["service.py", &format!("--db-password={option}"), "--secret", &separate])
        .arg(format!("postgres://u:{url}@h/d"))
        .env("DB_PASSWORD", variable)
        .in_directory(scratch.path())
        .start(scratch.path())?;
    shown.extend([option, separate, url]);
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    let place = scratch.join("port");
    let of_server: u16 = loop {
        if let Ok(text) = std::fs::read_to_string(&place)
            && let Ok(port) = text.parse()
        {
            break port;
        }
        ensure!(std::time::Instant::now() < deadline, "the service does not begin: {}", server.output());
        thread::sleep(Duration::from_millis(10));
    };
    let act = move || {
        for message in &messages {
            for piece in [usize::MAX, 7] {
                send(port, message, piece)?;
            }
        }
        send(of_server, b"GET /named HTTP/1.1\r\nHost: h\r\n\r\n", usize::MAX)
    };
    Ok((Planted { secrets, shown, _server: server }, act))
}

/// What was written and said, with its name.
type Outputs = Vec<(&'static str, Vec<u8>)>;

/// Everything that was written and said.
fn outputs(args: &[&str]) -> Result<(Planted, Outputs)> {
    let scratch = Scratch::new()?;
    let (planted, act) = plant(&scratch)?;
    let capture = scratch.join("planted.tcap");
    let mut all = vec!["-v", "-o", capture.to_str().context("path")?];
    all.extend(args);
    let tracer = Tracer::record(&all)?;
    act()?;
    let recording = tracer.stop()?;
    let requests = recording.trace.servers("").len() + recording.trace.clients("").len();
    ensure!(requests > 100, "only {requests} spans: nothing was asked of the masking");
    let offline = scratch.join("offline.json");
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let (_, _, analysed) = tracer::run(&[], &["analyze", &text(&capture), "-o", &text(&offline)])?;
    let (_, shown, _) = tracer::run(&[], &["show", &text(&offline), "--slowest", "1000", "--width", "400"])?;
    let unpacked = tcap::unpacked(&std::fs::read(&capture)?)?;
    let named = recording.trace.servers("/named");
    ensure!(!named.is_empty(), "the service with secrets in its command line was not seen");
    Ok((
        planted,
        vec![
            ("traces.json", std::fs::read(&recording.output)?),
            ("the traces of analyze", std::fs::read(&offline)?),
            ("the ledger", recording.ledger.value().to_string().into_bytes()),
            ("the capture, unpacked", unpacked),
            ("the capture, as it is", std::fs::read(&capture)?),
            ("what record said", recording.said.into_bytes()),
            ("what analyze said", analysed.into_bytes()),
            ("what show printed", shown.into_bytes()),
        ],
    ))
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn nothing_planted_is_found() -> Result<String> {
    let (planted, outputs) = outputs(&[])?;
    for (name, bytes) in &outputs {
        for secret in &planted.secrets {
            ensure!(!contains(bytes, secret), "{secret} is in {name}");
        }
    }
    let masked = outputs.iter().filter(|(_, bytes)| contains(bytes, "***")).count();
    ensure!(masked >= 4, "only {masked} outputs have a masked value: where are the others' targets?");
    let bytes: usize = outputs.iter().map(|(_, bytes)| bytes.len()).sum();
    Ok(format!("{} secrets, {bytes} bytes searched", planted.secrets.len()))
}

/// With `--raw` the capture, and nothing else, has what headers and bodies hold.
fn raw_is_loud() -> Result<String> {
    let (planted, outputs) = outputs(&["--raw"])?;
    let of = |wanted: &str| -> Result<&Vec<u8>> {
        let found = outputs.iter().find(|(name, _)| *name == wanted);
        Ok(&found.with_context(|| format!("no {wanted}"))?.1)
    };
    let capture = of("the capture, unpacked")?;
    let there = planted.secrets.iter().filter(|secret| contains(capture, secret)).count();
    // Not those of the command line and the environment, the one beyond what is captured of a head, and the bytes of protocols
    // that are not looked at.
    ensure!(there + 15 >= planted.secrets.len(), "only {there} of {} are there", planted.secrets.len());
    for (name, bytes) in outputs.iter().filter(|(name, _)| !name.starts_with("the capture")) {
        for secret in &planted.secrets {
            ensure!(!contains(bytes, secret), "{secret} is in {name}");
        }
    }
    let said = String::from_utf8_lossy(of("what record said")?).into_owned();
    ensure!(said.matches("RAW BYTES ARE KEPT").count() == 2, "not at the beginning and at the end:\n{said}");
    ensure!(contains(of("what analyze said")?, "--raw"), "analyze does not say so");
    Ok(format!("{there} secrets in the capture only"))
}

/// Without masking the same secrets are there (so the search above can find them), and nobody can overlook why.
fn unmask_is_loud() -> Result<String> {
    let (planted, outputs) = outputs(&["--unmask"])?;
    let of = |wanted: &str| -> Result<&Vec<u8>> {
        let found = outputs.iter().find(|(name, _)| *name == wanted);
        Ok(&found.with_context(|| format!("no {wanted}"))?.1)
    };
    let capture = of("the capture, unpacked")?;
    for secret in &planted.shown {
        ensure!(contains(capture, secret), "{secret} is not in the capture");
    }
    let said = String::from_utf8_lossy(of("what record said")?).into_owned();
    let (begun, ended) = said.split_once("\ntracing ").context("it never began")?;
    ensure!(begun.contains("MASKING IS OFF"), "nothing is said at the beginning:\n{begun}");
    ensure!(ended.contains("MASKING IS OFF"), "nothing is said at the end:\n{ended}");
    ensure!(contains(of("what analyze said")?, "--unmask"), "analyze does not say so");
    ensure!(contains(of("the ledger")?, "\"unmasked\":true"), "the ledger does not say so");
    // Headers and bodies are not kept at all.
    let hidden = planted.secrets.iter().filter(|secret| !planted.shown.contains(secret));
    for secret in hidden {
        ensure!(!contains(capture, secret), "{secret}, of a header or a body, is in the capture");
    }
    Ok(format!("{} secrets shown", planted.shown.len()))
}
