//! The queue between whoever makes spans and the thread that delivers them: bounded in spans and in bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

/// So many spans wait at most,
pub const SPANS: usize = 16 << 10;
/// of so many bytes together.
pub const BYTES: usize = 8 << 20;

/// The end that spans go in by.
pub struct Giver {
    sender: mpsc::Sender<Box<[u8]>>,
    bytes: Arc<AtomicUsize>,
}

/// The end that they come out by.
pub struct Taker {
    receiver: mpsc::Receiver<Box<[u8]>>,
    bytes: Arc<AtomicUsize>,
}

/// Why a span was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// There is no room.
    Full,
    /// Nobody takes any more.
    Over,
}

/// A queue.
pub fn queue() -> (Giver, Taker) {
    let (sender, receiver) = mpsc::channel(SPANS);
    let bytes = Arc::new(AtomicUsize::new(0));
    (Giver { sender, bytes: Arc::clone(&bytes) }, Taker { receiver, bytes })
}

impl Giver {
    /// Puts a span in if there is room. Never waits.
    pub fn try_give(&self, span: Box<[u8]>) -> Result<(), Full> {
        let bytes = span.len();
        // There is one giver: nobody else adds in between.
        if self.bytes.load(Ordering::Relaxed) + bytes > BYTES {
            return Err(if self.sender.is_closed() { Full::Over } else { Full::Full });
        }
        // Before it can come out.
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.sender.try_send(span).map_err(|error| {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            match error {
                mpsc::error::TrySendError::Full(_) => Full::Full,
                mpsc::error::TrySendError::Closed(_) => Full::Over,
            }
        })
    }

    /// Whether nobody takes any more.
    pub fn is_over(&self) -> bool {
        self.sender.is_closed()
    }

    /// Puts a span in as soon as there is room. Not for threads of a runtime.
    pub fn give(&self, span: Box<[u8]>) -> Result<(), Full> {
        let bytes = span.len();
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.sender.blocking_send(span).map_err(|_| {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            Full::Over
        })
    }
}

impl Taker {
    /// The next span; none once the queue is empty and its other end gone.
    pub async fn take(&mut self) -> Option<Box<[u8]>> {
        let span = self.receiver.recv().await?;
        self.bytes.fetch_sub(span.len(), Ordering::Relaxed);
        Some(span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(taker: &mut Taker) -> Option<Box<[u8]>> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(taker.take())
    }

    #[test]
    fn it_holds_so_many_spans_and_never_waits() {
        let (giver, mut taker) = queue();
        for _ in 0..SPANS {
            giver.try_give(Box::from([0])).unwrap();
        }
        assert_eq!(giver.try_give(Box::from([0])), Err(Full::Full));
        taken(&mut taker).unwrap();
        giver.try_give(Box::from([0])).unwrap();
        drop(taker);
        assert_eq!(giver.try_give(Box::from([0])), Err(Full::Over));
        assert_eq!(giver.give(Box::from([0])), Err(Full::Over));
    }

    #[test]
    fn it_holds_so_many_bytes() {
        let (giver, mut taker) = queue();
        let half: Box<[u8]> = vec![0; BYTES / 2].into();
        giver.try_give(half.clone()).unwrap();
        giver.try_give(half.clone()).unwrap();
        assert_eq!(giver.try_give(Box::from([0])), Err(Full::Full));
        assert_eq!(taken(&mut taker).unwrap().len(), BYTES / 2);
        giver.try_give(half).unwrap();
        drop(giver);
        assert!(taken(&mut taker).is_some() && taken(&mut taker).is_some());
        assert_eq!(taken(&mut taker), None);
    }
}
