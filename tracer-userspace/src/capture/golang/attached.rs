//! Go processes as the kernel's side knows them: what it must know of each, and two probes on the programs whose
//! `net/http` makes requests.
//!
//! A probe on a function belongs to the file, so that one serves all processes of a program; it is put there when the
//! first is seen. The kernel's side forgets a process when it ends.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use aya::programs::UProbe;
use aya::programs::uprobe::UProbeScope;
use rustc_hash::FxHashMap;
use tracer_common::golang::GoProcess;

use super::super::error::{LoadError, failed, refused};
use super::super::maps::Maps;
use super::super::object::Programs;
use super::handover::Place;
use super::{Program, examine};

/// Programs that get probes; each takes the kernel some tens of milliseconds to remove.
const MAX_PROBED: usize = 64;
/// Programs that are remembered.
const MAX_KNOWN: usize = 4096;

const ROUND_TRIP: &str = "go_round_trip";
const WRITE_LOOP: &str = "go_write_loop";

/// Names a file: device, inode, size, time of change.
type Id = (u64, u64, u64, i64);

/// What became of a program.
enum Known {
    /// Its goroutines can be told from each other.
    Program(Program),
    /// They cannot; it was said why.
    Unknown,
}

/// The Go processes.
pub struct Goroutines {
    known: FxHashMap<Id, Known>,
    /// Programs with probes.
    probed: usize,
    /// The two programs are in the kernel.
    loaded: bool,
    /// The kernel's side can find the goroutine of a thread.
    possible: bool,
    /// Processes so far.
    serial: u64,
}

const NO_POINTER: &str = "where this kernel keeps a thread's pointer is not known";

impl Goroutines {
    /// None yet. `possible`: the kernel's side can find a thread's pointer.
    pub fn new(possible: bool) -> Self {
        Self { known: FxHashMap::default(), probed: 0, loaded: false, possible, serial: 0 }
    }

    /// A process of a Go program: from now on the records tell its goroutines. What cannot be told of it is returned,
    /// once a program: sentences.
    pub fn add(&mut self, object: &mut Programs, maps: &mut Maps, pid: u32) -> Vec<String> {
        let mut notes = Vec::new();
        let path = PathBuf::from(format!("/proc/{pid}/exe"));
        // Whoever has ended meanwhile is nothing to tell of.
        let Ok(meta) = std::fs::metadata(&path) else { return notes };
        let id = (meta.dev(), meta.ino(), meta.size(), meta.mtime());
        if !self.known.contains_key(&id) {
            if self.known.len() >= MAX_KNOWN {
                return notes;
            }
            let known = self.look(&path, &mut notes);
            if let Known::Program(program) = &known {
                notes.extend(self.probe(object, program, &path));
            }
            let name = std::fs::read_link(&path).unwrap_or_else(|_| path.clone());
            for note in &mut notes {
                *note = format!("Go program {}: {note}", name.display());
            }
            self.known.insert(id, known);
        }
        if let Some(Known::Program(program)) = self.known.get(&id) {
            self.serial += 1;
            let told = process(program, pid, self.serial);
            if let Some(Err(error)) = told.map(|told| maps.add_go(pid, told)) {
                log::info!("process {pid}: {error}");
            }
        }
        notes
    }

    fn look(&self, path: &PathBuf, notes: &mut Vec<String>) -> Known {
        let why = if self.possible {
            match File::open(path).map_err(Into::into).and_then(|file| examine(&file)) {
                Ok(program) => {
                    log::info!("{}: {program}", path.display());
                    return Known::Program(program);
                }
                Err(unknown) => unknown.to_string(),
            }
        } else {
            NO_POINTER.to_owned()
        };
        notes.push(format!("its goroutines cannot be told from each other: {why}"));
        Known::Unknown
    }

    /// Puts the probes on a program, if it has a use for them.
    fn probe(&mut self, object: &mut Programs, program: &Program, path: &PathBuf) -> Option<String> {
        let handover = match program.handover {
            Ok(handover) => handover,
            Err(super::Missing::NotUsed) => return None,
            Err(missing) => return Some(not_probed(&missing.to_string())),
        };
        if self.probed >= MAX_PROBED {
            return Some(not_probed("too many other programs are watched"));
        }
        let place = |object: &mut Programs, name: &'static str, place: Place| -> Result<(), LoadError> {
            let program = uprobe(object, name)?;
            program
                .attach(place.offset, path, UProbeScope::AllProcesses)
                .map_err(|error| failed(name, &error))?;
            if !place.emulated {
                log::info!("{}: {name} at {:#x} is stepped over", path.display(), place.offset);
            }
            Ok(())
        };
        let put = self
            .load(object)
            // The writers first: a request that is asked for in between is then nobody's, not another's.
            .and_then(|()| place(object, WRITE_LOOP, handover.write_loop))
            .and_then(|()| place(object, ROUND_TRIP, handover.round_trip));
        match put {
            Ok(()) => {
                self.probed += 1;
                None
            }
            Err(error) => Some(not_probed(&error.to_string())),
        }
    }

    fn load(&mut self, object: &mut Programs) -> Result<(), LoadError> {
        if !self.loaded {
            for name in [ROUND_TRIP, WRITE_LOOP] {
                uprobe(object, name)?.load().map_err(|error| refused(name, &error))?;
            }
            self.loaded = true;
        }
        Ok(())
    }

    /// What will be missing of every Go program on this kernel: ends of sentences. Puts the programs into the kernel.
    pub fn troubles(&mut self, object: &mut Programs) -> Vec<String> {
        let mut troubles = Vec::new();
        if !self.possible {
            troubles.push(format!("which goroutine of a Go program does what ({NO_POINTER})"));
        } else if let Err(error) = self.load(object) {
            troubles.push(format!("for which goroutine Go's net/http makes a call ({error})"));
        }
        troubles
    }

    /// Takes the probes away.
    pub fn detach(&mut self, object: &mut Programs) {
        if !std::mem::take(&mut self.loaded) {
            return;
        }
        for name in [ROUND_TRIP, WRITE_LOOP] {
            // Failing is no matter: what is left goes with the program that holds it.
            if let Ok(program) = uprobe(object, name) {
                let _ = program.unload();
            }
        }
    }
}

fn not_probed(why: &str) -> String {
    format!("for whom it calls other services is not seen: {why}")
}

fn uprobe<'a>(object: &'a mut Programs, name: &'static str) -> Result<&'a mut UProbe, LoadError> {
    object.program_mut(name).and_then(|program| program.try_into().ok()).ok_or_else(|| LoadError::Failed {
        program: name.to_owned(),
        reason: "it is not in the object".to_owned(),
    })
}

/// What the kernel's side must know of a process; `None` if it has ended.
fn process(program: &Program, pid: u32, serial: u64) -> Option<GoProcess> {
    let writer = match program.handover {
        Ok(handover) if handover.writer != 0 => {
            // Position-independent programs are moved as a whole.
            let moved = entry(pid)?.wrapping_sub(program.entry);
            handover.writer.wrapping_add(moved)
        }
        _ => 0,
    };
    let layout = program.layout;
    Some(GoProcess {
        serial,
        writer,
        slot: program.slot,
        goid: layout.goid,
        parent: layout.parent,
        start: layout.start,
    })
}

/// Where a process's program began (AT_ENTRY of its auxiliary vector, include/uapi/linux/auxvec.h).
fn entry(pid: u32) -> Option<u64> {
    const AT_ENTRY: u64 = 9;
    let bytes = std::fs::read(format!("/proc/{pid}/auxv")).ok()?;
    let word = |bytes: &[u8]| Some(u64::from_ne_bytes(bytes.try_into().ok()?));
    bytes.chunks_exact(16).find_map(|pair| {
        let (kind, value) = pair.split_at(8);
        (word(kind)? == AT_ENTRY).then(|| word(value))?
    })
}
