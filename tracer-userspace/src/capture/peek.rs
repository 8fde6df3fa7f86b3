//! Reads kernel memory at addresses of our choice, through a program that is never attached but run by
//! BPF_PROG_TEST_RUN (raw tracepoints since Linux 5.10). What this may do, the probes may do too; it serves to find
//! and to check the offsets that they read at, on sockets and tasks of the tracer's own.

#![expect(
    clippy::disallowed_types,
    reason = "an object of its own, gone before the probes are attached to anybody's calls"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aya::maps::{Array, MapData};
use aya::programs::RawTracePoint;
use aya::{Ebpf, EbpfLoader};
use aya_obj::generated::bpf_attr;
use thiserror::Error;
use tracer_common::peek::{Answer, MAX_BYTES};

/// The program, built by `cargo xtask build-ebpf`.
#[cfg(target_arch = "x86_64")]
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/bpf/peek.x86_64.o"));
#[cfg(target_arch = "aarch64")]
static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/bpf/peek.aarch64.o"));

/// `BPF_PROG_TEST_RUN` (include/uapi/linux/bpf.h).
const TEST_RUN: u64 = 10;
const PAGE: u64 = 4096;

/// What the system call's fourth to sixth arguments hold, which bpf(2) does not look at: the saved registers are
/// known by them.
pub const MARKS: [u64; 3] = [0x7472_6163_6572_0001, 0x7472_6163_6572_0002, 0x7472_6163_6572_0003];

/// Why kernel memory cannot be read.
#[derive(Debug, Error)]
#[error("cannot look into kernel memory with a program of the tracer's own ({0})")]
pub struct PeekError(String);

/// The task that ran the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Address of its `struct task_struct`.
    pub task: u64,
    /// Process id, in the initial pid namespace.
    pub tgid: u32,
    /// Thread id, likewise.
    pub tid: u32,
    /// An address on its kernel stack, below the saved registers.
    pub frame: u64,
}

/// The loaded program. May be shared by threads.
pub struct Peek {
    answer: Mutex<Array<MapData, Answer>>,
    program: OwnedFd,
    _ebpf: Ebpf,
}

impl Peek {
    /// Loads the program.
    pub fn load() -> Result<Self, PeekError> {
        let failed = |what: &str, error: &dyn std::error::Error| {
            let mut reason = format!("{what}: {error}");
            let mut source = error.source();
            while let Some(inner) = source {
                reason = format!("{reason}: {inner}");
                source = inner.source();
            }
            PeekError(reason)
        };
        // Nothing in the object is to be relocated, so the kernel's types need not be parsed.
        let mut ebpf = EbpfLoader::new().btf(None).load(OBJECT).map_err(|error| failed("its map", &error))?;
        let map = ebpf.take_map("ANSWER").ok_or_else(|| PeekError("it has no map".to_owned()))?;
        let program: &mut RawTracePoint = ebpf
            .program_mut("peek")
            .and_then(|program| program.try_into().ok())
            .ok_or_else(|| PeekError("it is not in its object".to_owned()))?;
        program.load().map_err(|error| failed("loading it", &error))?;
        let fd = program.fd().map_err(|error| failed("loading it", &error))?;
        let program = fd.as_fd().try_clone_to_owned().map_err(|error| failed("its descriptor", &error))?;
        let answer = Mutex::new(Array::try_from(map).map_err(|error| failed("its map", &error))?);
        let peek = Self { answer, program, _ebpf: ebpf };
        match peek.current() {
            Ok(told) if told.task != 0 => Ok(peek),
            Ok(_) => Err(PeekError("it does not tell its task".to_owned())),
            Err(error) => Err(failed("running it", &error)),
        }
    }

    /// Who runs the program when the current thread does.
    pub fn current(&self) -> io::Result<Told> {
        let answer = self.lock();
        run(self.program.as_raw_fd(), 0, 0)?;
        told(&answer)
    }

    /// What a run by another process told, which `body` must have made happen (see [`Peek::descriptor`]).
    pub fn told_to<T>(&self, body: impl FnOnce() -> io::Result<T>) -> io::Result<(Told, T)> {
        let answer = self.lock();
        let result = body()?;
        Ok((told(&answer)?, result))
    }

    /// The program's descriptor, for [`run`] in a child process.
    pub fn descriptor(&self) -> RawFd {
        self.program.as_raw_fd()
    }

    /// Reads kernel memory. Shorter than asked for where a page cannot be read; `None` if the first one cannot.
    pub fn read(&self, address: u64, len: usize) -> Option<Vec<u8>> {
        let answer = self.lock();
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let from = address.checked_add(bytes.len() as u64)?;
            let want = (len - bytes.len()).min(MAX_BYTES);
            let to_page_end = (PAGE - from % PAGE) as usize;
            let read = |len: usize| {
                run(self.program.as_raw_fd(), from, len as u64).ok()?;
                let read = answer.get(&0, 0).ok()?;
                (read.status == 0).then_some((read, len))
            };
            let Some((read, got)) = read(want).or_else(|| read(want.min(to_page_end))) else { break };
            bytes.extend_from_slice(read.bytes.get(..got)?);
            if got < want && got < to_page_end {
                break;
            }
        }
        (!bytes.is_empty()).then_some(bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Array<MapData, Answer>> {
        // The map has no state that a panic could leave half done.
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn told(answer: &Array<MapData, Answer>) -> io::Result<Told> {
    let read = answer.get(&0, 0).map_err(io::Error::other)?;
    Ok(Told {
        task: read.task,
        tgid: (read.pid_tgid >> 32) as u32,
        tid: read.pid_tgid as u32,
        frame: read.frame,
    })
}

/// Runs the program in the current thread. Allocates nothing, so that a forked child may call it.
pub fn run(program: RawFd, address: u64, len: u64) -> io::Result<()> {
    run_with(program, &[address, len])
}

/// Runs a program for raw tracepoints that is not attached, with these arguments.
pub(super) fn run_with(program: RawFd, arguments: &[u64]) -> io::Result<()> {
    // SAFETY: a union of structures of integers, for which zeros are valid.
    let mut attr: bpf_attr = unsafe { std::mem::zeroed() };
    attr.test.prog_fd = program as u32;
    attr.test.ctx_in = arguments.as_ptr() as u64;
    attr.test.ctx_size_in = size_of_val(arguments) as u32;
    // SAFETY: the attributes and the arguments outlive the call, which writes inside the attributes only.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            TEST_RUN,
            &raw mut attr,
            size_of::<bpf_attr>(),
            MARKS[0],
            MARKS[1],
            MARKS[2],
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
