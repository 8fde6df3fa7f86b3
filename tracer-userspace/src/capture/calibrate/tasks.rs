//! Tasks of our own to look at: threads that stand still, one of them with a descriptor table of its own, and a child
//! process, whose process id is another.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Scope;

use super::super::peek::{self, Peek, Told};
use super::joint::Table;
use super::memory::{KernelMemory, task_size};
use super::registers;
use super::sample::{Evidence, Sample, Want};

/// More than any kernel stack above the frame of a program.
const STACK: usize = 65_536;

/// Descriptors of the tracer's own that all its threads share.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Two of one file.
    pub same: (RawFd, RawFd),
    /// One of another.
    pub other: RawFd,
}

/// What a thread tells of itself.
#[derive(Debug)]
struct Facts {
    told: Told,
    /// Its kernel stack from the program's frame upwards.
    stack: Vec<u8>,
    /// Its thread pointer.
    pointer: Option<u64>,
    /// Its descriptor table, without the task's structure.
    table: Table,
}

/// A thread that waits for the next instruction, and ends when this is dropped.
struct Parked {
    facts: Facts,
    go: Sender<()>,
    done: Receiver<io::Result<()>>,
}

/// The tasks of one round.
pub struct Tasks {
    /// The current thread.
    pub current: Told,
    /// Tables to find the descriptors by: the current thread's and one of its own.
    pub tables: Vec<Table>,
    _parked: Vec<Parked>,
}

/// Makes the tasks of one round and adds what they show.
pub fn round<'s>(
    scope: &'s Scope<'s, '_>,
    peek: &'s Peek,
    memory: &dyn KernelMemory,
    known: Known,
    evidence: &mut Evidence,
) -> io::Result<Tasks> {
    let mine = facts(peek, known)?;
    let own_table = park(scope, peek, move || table_of_its_own(known))?;
    let plain = park(scope, peek, move || Ok(known))?;
    let child = Child::start(peek)?;
    let size = task_size();
    let task = |told: &Told| -> io::Result<Rc<[u8]>> {
        let bytes = memory.read(told.task, size);
        Ok(bytes.ok_or_else(|| io::Error::other("a task's structure cannot be read"))?.into())
    };

    let mut tasks = Vec::new();
    for told in [mine.told, own_table.facts.told, plain.facts.told, child.told] {
        tasks.push((told, task(&told)?));
    }
    let samples = |want: &dyn Fn(&Told) -> Want| -> Vec<Sample> {
        tasks.iter().map(|(told, bytes)| Sample { bytes: Rc::clone(bytes), want: want(told) }).collect()
    };
    // The process id has always followed the thread id; 7.3 has a copy of the latter elsewhere (sched_ext_entity.tid).
    let pair = |told: &Told| [told.tid.to_ne_bytes(), told.tgid.to_ne_bytes()].concat();
    evidence.add("task_pid", &samples(&|told| Want::Bytes(pair(told))));
    evidence.add("task_tgid", &samples(&|told| Want::U32(told.tgid)));
    evidence.add("task_stack", &samples(&|told| Want::StackOf(told.frame)));
    thread_pointers([&mine, &own_table.facts, &plain.facts], &tasks, evidence);
    saved_registers([&mine, &own_table.facts, &plain.facts], &tasks, evidence);
    io_uring(&own_table, &plain, &task, evidence)?;

    let mut tables = Vec::new();
    for facts in [&mine, &own_table.facts] {
        tables.push(Table { task: task(&facts.told)?.to_vec(), ..facts.table.clone() });
    }
    Ok(Tasks { current: mine.told, tables, _parked: vec![own_table, plain] })
}

/// Each thread has another thread pointer, which its structure holds since it was set by a system call.
fn thread_pointers(facts: [&Facts; 3], tasks: &[(Told, Rc<[u8]>)], evidence: &mut Evidence) {
    let sample = |facts: &&Facts| {
        let (_, bytes) = tasks.iter().find(|(told, _)| told.task == facts.told.task)?;
        Some(Sample { bytes: Rc::clone(bytes), want: Want::U64(facts.pointer?) })
    };
    match facts.iter().map(sample).collect::<Option<Vec<_>>>() {
        Some(samples) => evidence.add("thread_fsbase", &samples),
        None => {
            evidence.unneeded(&["thread_fsbase"], "only x86-64 keeps what Go says of its goroutines there")
        }
    }
}

/// Where the registers lie, measured from the stack's base, once that is known.
fn saved_registers(facts: [&Facts; 3], tasks: &[(Told, Rc<[u8]>)], evidence: &mut Evidence) {
    let Some(task_stack) = evidence.only("task_stack") else {
        return evidence.missing(&[super::PT_REGS], "the kernel stack was not found");
    };
    for facts in facts {
        let task = tasks.iter().find(|(told, _)| told.task == facts.told.task);
        let base = task.and_then(|(_, bytes)| super::memory::word(bytes, task_stack as usize));
        let above = base.and_then(|base| facts.told.frame.checked_sub(base)).unwrap_or(u64::MAX);
        let fits = registers::search(&facts.stack)
            .into_iter()
            .filter_map(|at| u32::try_from(above.checked_add(at as u64)?).ok())
            .collect();
        evidence.intersect(super::PT_REGS, &fits);
    }
}

/// A thread sets up a ring between two looks at it, and another does not.
fn io_uring(
    parked: &Parked,
    without: &Parked,
    task: &dyn Fn(&Told) -> io::Result<Rc<[u8]>>,
    evidence: &mut Evidence,
) -> io::Result<()> {
    let before = task(&parked.facts.told)?;
    let done = match parked.go.send(()) {
        Ok(()) => parked.done.recv().unwrap_or_else(|_| Err(io::Error::other("the thread ended"))),
        Err(_) => Err(io::Error::other("the thread ended")),
    };
    match done {
        Ok(()) => {
            let bytes = task(&parked.facts.told)?;
            let never = Sample { bytes: task(&without.facts.told)?, want: Want::U64(0) };
            evidence.add("task_io_uring", &[Sample { bytes, want: Want::Appeared(before) }, never]);
        }
        Err(error) => {
            evidence.missing(&["task_io_uring"], &format!("io_uring cannot be used here ({error})"));
        }
    }
    Ok(())
}

fn park<'s>(
    scope: &'s Scope<'s, '_>,
    peek: &'s Peek,
    prepare: impl FnOnce() -> io::Result<Known> + Send + 's,
) -> io::Result<Parked> {
    let (go, next) = channel();
    let (tell, told) = channel();
    let (ready, done) = channel();
    std::thread::Builder::new().name("calibrate".to_owned()).spawn_scoped(scope, move || {
        let _ = tell.send(prepare().and_then(|known| facts(peek, known)));
        if next.recv().is_ok() {
            let _ = ready.send(use_io_uring());
            let _ = next.recv();
        }
    })?;
    let facts = told.recv().unwrap_or_else(|_| Err(io::Error::other("a thread ended early")))?;
    Ok(Parked { facts, go, done })
}

/// What the current thread can tell of itself.
fn facts(peek: &Peek, known: Known) -> io::Result<Facts> {
    let told = peek.current()?;
    let stack = peek.read(told.frame, STACK).unwrap_or_default();
    let pointer = thread_pointer()?;
    let len = table_len()?;
    let number = |fd: RawFd| u32::try_from(fd).map_err(io::Error::other);
    let closed = (0..len).rev().find(|fd| !is_open(*fd));
    let table = Table {
        task: Vec::new(),
        len,
        same: (number(known.same.0)?, number(known.same.1)?),
        other: number(known.other)?,
        closed: closed.ok_or_else(|| io::Error::other("all descriptors are in use"))?,
    };
    Ok(Facts { told, stack, pointer, table })
}

/// The current thread's thread pointer (arch_prctl(2), arch/x86/include/uapi/asm/prctl.h).
#[cfg(target_arch = "x86_64")]
fn thread_pointer() -> io::Result<Option<u64>> {
    const ARCH_GET_FS: libc::c_int = 0x1003;
    let mut pointer = 0u64;
    // SAFETY: the kernel writes eight bytes to a local.
    if unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_GET_FS, &raw mut pointer) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Some(pointer))
}

/// Not needed: a register leads to the goroutine.
#[cfg(not(target_arch = "x86_64"))]
fn thread_pointer() -> io::Result<Option<u64>> {
    Ok(None)
}

/// Length of the current thread's descriptor table.
fn table_len() -> io::Result<u32> {
    let path = "/proc/thread-self/status";
    let status = std::fs::read_to_string(path)?;
    let line = status.lines().find_map(|line| line.strip_prefix("FDSize:"));
    line.and_then(|number| number.trim().parse().ok())
        .ok_or_else(|| io::Error::other(format!("{path} has no FDSize")))
}

fn is_open(fd: u32) -> bool {
    // SAFETY: asks for flags of a number; no pointers.
    unsafe { libc::fcntl(fd as RawFd, libc::F_GETFD) >= 0 }
}

/// Gives the current thread a descriptor table of its own, longer than it was, and in it one more descriptor.
fn table_of_its_own(known: Known) -> io::Result<Known> {
    // SAFETY: no pointers; the thread's own table is a copy, which goes with the thread.
    if unsafe { libc::unshare(libc::CLONE_FILES) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let longer = RawFd::try_from(table_len()?).map_err(io::Error::other)?;
    // Where the limit of descriptors forbids a longer table, another number will do.
    for number in [longer + 3, longer - 1] {
        // SAFETY: no pointers; the number is free in this thread's table or beyond its end.
        let copy = unsafe { libc::fcntl(known.same.0, libc::F_DUPFD_CLOEXEC, number) };
        if copy >= 0 {
            return Ok(Known { same: (known.same.0, copy), ..known });
        }
    }
    Ok(known)
}

/// Makes the current thread one that has used io_uring.
fn use_io_uring() -> io::Result<()> {
    // `struct io_uring_params` is 120 bytes; zeros ask for nothing special.
    let mut parameters = [0u64; 15];
    // SAFETY: the parameters are as long as the kernel's structure and outlive the call.
    let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr()) };
    let fd = RawFd::try_from(fd).unwrap_or(-1);
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor, and nobody else knows it.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(())
}

/// A child process that stands still until this is dropped.
struct Child {
    told: Told,
    pid: libc::pid_t,
    hold: Option<io::PipeWriter>,
}

impl Child {
    fn start(peek: &Peek) -> io::Result<Self> {
        let (mut ready, tell) = io::pipe()?;
        let (wait, hold) = io::pipe()?;
        let (program, tell_fd, wait_fd, hold_fd) =
            (peek.descriptor(), tell.as_raw_fd(), wait.as_raw_fd(), hold.as_raw_fd());
        let (told, pid) = peek.told_to(move || {
            // SAFETY: the child only makes system calls on descriptors and memory of its own, and exits without
            // running anything of this program, so that no lock of another thread matters.
            let pid = unsafe {
                let pid = libc::fork();
                if pid == 0 {
                    libc::close(hold_fd);
                    let fine = u8::from(peek::run(program, 0, 0).is_ok());
                    libc::write(tell_fd, (&raw const fine).cast(), 1);
                    let mut byte = 0u8;
                    // Ends when the parent drops its end, or ends itself.
                    libc::read(wait_fd, (&raw mut byte).cast(), 1);
                    libc::_exit(0);
                }
                pid
            };
            if pid < 0 {
                return Err(io::Error::last_os_error());
            }
            drop(tell);
            let mut fine = [0u8];
            let read = ready.read_exact(&mut fine);
            if read.is_err() || fine != [1] {
                reap(pid);
                return Err(io::Error::other(
                    "a child process of the tracer's own could not run the program",
                ));
            }
            Ok(pid)
        })?;
        Ok(Self { told, pid, hold: Some(hold) })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(mut hold) = self.hold.take() {
            let _ = hold.flush();
        }
        reap(self.pid);
    }
}

fn reap(pid: libc::pid_t) {
    // SAFETY: a child of ours that nobody else waits for; a kill of one that has ended already does nothing.
    unsafe {
        libc::kill(pid, libc::SIGKILL);
        libc::waitpid(pid, std::ptr::null_mut(), 0);
    }
}
