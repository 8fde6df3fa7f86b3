//! The way out of the guest: a virtio-serial port for frames, the console for what comes before or instead.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tracer_guest::frame::Frame;
use tracer_guest::plan::PORT;

use crate::devices;

/// The port, shared by the threads that pass on output.
#[derive(Clone)]
pub struct Report {
    port: Arc<Mutex<File>>,
}

impl Report {
    /// Waits for the port and opens it.
    pub fn open() -> Result<Self> {
        let port = devices::wait_for("the virtio-serial port", Duration::from_secs(30), find_port)?;
        let file = File::options()
            .write(true)
            .open(&port)
            .with_context(|| format!("cannot open {}", port.display()))?;
        Ok(Self { port: Arc::new(Mutex::new(file)) })
    }

    /// Sends one frame; returns when the host has taken it.
    pub fn send(&self, frame: &Frame) -> Result<()> {
        let mut port = self.port.lock().unwrap_or_else(PoisonError::into_inner);
        frame.write(&mut *port).context("cannot write to the report port")
    }
}

/// The device of the port called [`PORT`].
fn find_port() -> Option<PathBuf> {
    for entry in fs::read_dir("/sys/class/virtio-ports").ok()?.flatten() {
        let name = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        if name.trim() == PORT {
            let device = PathBuf::from("/dev").join(entry.file_name());
            return device.exists().then_some(device);
        }
    }
    None
}

/// Says something on the console, through the kernel's log, at a level that is always shown.
pub fn console(text: &str) {
    // Where this fails, too, nobody is left to be told.
    let _unheard = fs::write("/dev/kmsg", format!("<2>{text}\n"));
}
