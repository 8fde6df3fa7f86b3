//! A client that decides about every byte: connections opened early, requests in pieces, answers read slowly.
//!
//! wrk, hey and curl are the real clients; this one does what they cannot.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::{net, pace};

/// A connection to a server on 127.0.0.1.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
}

/// An answer, its body counted and dropped.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Bytes of the body.
    pub body: u64,
    /// When its last byte was read.
    pub last: Instant,
}

impl Connection {
    /// Connects.
    pub fn open(port: u16) -> Result<Self> {
        let stream =
            TcpStream::connect(net::local(port)).with_context(|| format!("cannot connect to port {port}"))?;
        stream.set_nodelay(true).context("cannot set TCP_NODELAY")?;
        // No test waits longer for one read.
        stream
            .set_read_timeout(Some(pace::limit(Duration::from_secs(20))))
            .context("cannot set a timeout")?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref()).context("cannot send")
    }

    /// Sends a GET request.
    pub fn get(&mut self, target: &str) -> Result<()> {
        self.send(get(target))
    }

    /// Sends a GET request and reads the answer, which must be 200.
    pub fn fetch(&mut self, target: &str) -> Result<Answer> {
        self.get(target)?;
        let answer = self.answer()?;
        ensure!(answer.status == 200, "{target} was answered with {}", answer.status);
        Ok(answer)
    }

    /// Reads one answer.
    pub fn answer(&mut self) -> Result<Answer> {
        self.answer_to(false, |_| ())
    }

    /// Reads one answer to a HEAD request: never a body.
    pub fn answer_to_head(&mut self) -> Result<Answer> {
        self.answer_to(true, |_| ())
    }

    /// Reads one answer, `pause` being called after each piece of the body with the bytes so far.
    pub fn answer_slowly(&mut self, pause: impl FnMut(u64)) -> Result<Answer> {
        self.answer_to(false, pause)
    }

    fn answer_to(&mut self, head_only: bool, mut pause: impl FnMut(u64)) -> Result<Answer> {
        let line = self.line()?;
        let status: u16 = line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .with_context(|| format!("not a status line: {line:?}"))?;
        let (mut length, mut chunked) = (None, false);
        loop {
            let field = self.line()?.to_ascii_lowercase();
            if field.is_empty() {
                break;
            }
            match field.split_once(':') {
                Some(("content-length", value)) => length = value.trim().parse::<u64>().ok(),
                Some(("transfer-encoding", value)) => chunked = value.contains("chunked"),
                _ => {}
            }
        }
        let bodiless = head_only || matches!(status, 100..=199 | 204 | 304);
        let body = match (bodiless, chunked, length) {
            (true, ..) => 0,
            (_, true, _) => self.chunks(&mut pause)?,
            (_, _, Some(length)) => self.exactly(length, &mut pause)?,
            // Ended by the close.
            (_, _, None) => std::io::copy(&mut self.stream, &mut std::io::sink()).context("cannot read")?,
        };
        Ok(Answer { status, body, last: Instant::now() })
    }

    /// One line without its end; an error if the connection is closed.
    pub fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).context("cannot read an answer")?;
        ensure!(line.ends_with(b"\n"), "the connection was closed in the middle of an answer's head");
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    fn exactly(&mut self, length: u64, pause: &mut impl FnMut(u64)) -> Result<u64> {
        let mut buffer = vec![0; 64 * 1024];
        let mut done = 0;
        while done < length {
            let want = usize::try_from(length - done).unwrap_or(usize::MAX).min(buffer.len());
            let got =
                self.stream.read(buffer.get_mut(..want).unwrap_or_default()).context("cannot read a body")?;
            ensure!(got > 0, "the body ended after {done} of {length} bytes");
            done += got as u64;
            pause(done);
        }
        Ok(done)
    }

    fn chunks(&mut self, pause: &mut impl FnMut(u64)) -> Result<u64> {
        let mut body = 0;
        loop {
            let size = self.line()?;
            let size = u64::from_str_radix(size.split(';').next().unwrap_or_default(), 16)
                .with_context(|| format!("not the size of a chunk: {size:?}"))?;
            body += self.exactly(size, pause)?;
            self.line()?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
}

/// The bytes of a GET request.
pub fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    /// The answer to one request, from a server that sends `bytes` and closes.
    fn answer(bytes: &'static [u8]) -> Result<Answer> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(bytes).unwrap();
        });
        let answer = Connection::open(port).unwrap().answer();
        server.join().unwrap();
        answer
    }

    #[test]
    fn bodies_of_every_framing_are_read_to_their_end() {
        assert_eq!(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc").unwrap().body, 3);
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        assert_eq!(answer(chunked).unwrap().body, 5);
        assert_eq!(answer(b"HTTP/1.0 404 Not Found\r\n\r\nto the end").unwrap().body, 10);
        assert_eq!(answer(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().status, 204);
    }

    #[test]
    fn a_body_cut_off_is_an_error() {
        assert!(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nabc").is_err());
    }
}
