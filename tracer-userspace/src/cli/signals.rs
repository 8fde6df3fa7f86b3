//! Signals that ask for an end, for commands that work through a file: what was written until then is to be whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The exit code of a program that SIGINT ended, as shells have it.
pub const INTERRUPTED: u8 = 130;

/// A flag that is set by the first SIGINT, SIGTERM or SIGHUP. The second ends the program at once.
pub fn stop_flag() -> Result<Arc<AtomicBool>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot set up signals")?;
    let signals = {
        let _entered = runtime.enter();
        [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal)
    };
    let [interrupt, terminate, hangup] = signals;
    let (mut interrupt, mut terminate, mut hangup) = (interrupt?, terminate?, hangup?);
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    std::thread::Builder::new()
        .name("tracer-signals".to_owned())
        .spawn(move || {
            runtime.block_on(async move {
                any(&mut interrupt, &mut terminate, &mut hangup).await;
                told.store(true, Ordering::Relaxed);
                any(&mut interrupt, &mut terminate, &mut hangup).await;
                std::process::exit(INTERRUPTED.into());
            });
        })
        .context("cannot start a thread")?;
    Ok(stop)
}

async fn any(interrupt: &mut Signal, terminate: &mut Signal, hangup: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}
