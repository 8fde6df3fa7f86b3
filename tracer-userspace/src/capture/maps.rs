//! The maps of the probes while they are in the kernel, and the only way to them.
//!
//! While a thread is inside a system call on a map, the kernel leaves programs out on that processor (`undisturbed`): no such
//! call may be interrupted, and a single one that was cost others' socket calls on Linux 7.3. So nobody else has a
//! map in hand. They lie here in [`Guarded`], which has no other way in than at a real-time priority; what is left of the object has only
//! its programs ([`super::object::Programs`]), and clippy refuses the types of maps in any other file (`clippy.toml`).

#![expect(clippy::disallowed_types, reason = "this is where they are kept")]

use std::ops::Deref;

use aya::Ebpf;
use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, RingBuf};
use tracer_common::abi::{Conn, ConnId, counter};
use tracer_common::golang::GoProcess;

use super::error::{LoadError, failed};
use super::undisturbed::{AT_A_TIME, Guarded};

/// The maps that are used from outside.
pub(super) struct Maps {
    conns: Guarded<HashMap<MapData, u64, Conn>>,
    mode: Guarded<Array<MapData, u32>>,
    processes: Guarded<Array<MapData, [u8; 8]>>,
    counters: Guarded<PerCpuArray<MapData, u64>>,
    go: Guarded<HashMap<MapData, u32, GoProcess>>,
}

/// The ring of records: memory that the kernel shares. Taking one is no system call.
pub(super) struct Ring(RingBuf<MapData>);

/// A value of each of `tracer_common::abi::counter`.
pub(super) type Counters = [u64; counter::COUNT as usize];

impl Maps {
    /// Takes them out of a loaded object.
    pub fn take(ebpf: &mut Ebpf) -> Result<(Self, Ring), LoadError> {
        let maps = Self {
            conns: Guarded::new(take(ebpf, "CONNS", HashMap::try_from)?),
            mode: Guarded::new(take(ebpf, "MODE", Array::try_from)?),
            processes: Guarded::new(take(ebpf, "PROCESSES", Array::try_from)?),
            counters: Guarded::new(take(ebpf, "COUNTERS", PerCpuArray::try_from)?),
            go: Guarded::new(take(ebpf, "GO", HashMap::try_from)?),
        };
        Ok((maps, Ring(take(ebpf, "EVENTS", RingBuf::try_from)?)))
    }

    /// Sets one of `tracer_common::abi::mode`.
    pub fn set_mode(&mut self, mode: u32) -> Result<(), LoadError> {
        self.mode.with_mut(|map| map.set(0, mode, 0)).map_err(|error| failed("MODE", &error))
    }

    /// Chooses a process, or drops it.
    pub fn mark(&mut self, pid: u32, wanted: bool) -> Result<(), LoadError> {
        let index = pid >> 3;
        let change = |map: &mut Array<MapData, [u8; 8]>| {
            let mut bytes = map.get(&index, 0)?;
            if let Some(byte) = bytes.get_mut((pid & 7) as usize) {
                *byte = u8::from(wanted);
            }
            map.set(index, bytes, 0)
        };
        self.processes.with_mut(change).map_err(|error| failed("PROCESSES", &error))
    }

    /// Says what must be known of a Go process.
    pub fn add_go(&mut self, pid: u32, process: GoProcess) -> Result<(), LoadError> {
        self.go.with_mut(|map| map.insert(pid, process, 0)).map_err(|error| failed("GO", &error))
    }

    /// One of `tracer_common::abi::counter`, over all processors; 0 if it cannot be read.
    pub fn counter(&self, index: u32) -> u64 {
        self.counters.with(|map| sum(map, index))
    }

    /// All of them.
    pub fn counters(&self) -> Counters {
        self.counters.with(|map| {
            let mut values = Counters::default();
            for (index, value) in (0..).zip(&mut values) {
                *value = sum(map, index);
            }
            values
        })
    }

    /// Hands those of these connections to `handle` that are in the table, or another one in their place.
    pub fn look(&self, wanted: &[ConnId], mut handle: impl FnMut(ConnId, &Conn)) {
        self.conns.in_steps(
            |map| wanted.iter().map(|conn| (*conn, map.get(&conn.sk, 0).ok())),
            |(conn, found)| {
                if let Some(found) = found {
                    handle(conn, &found);
                }
            },
        );
    }

    /// Hands all connections of the table to `handle`. While others add and remove some, not every one may be met.
    pub fn all_conns(&self, mut handle: impl FnMut(u64, &Conn)) {
        self.conns.in_steps(|map| map.iter().flatten(), |(sk, conn)| handle(sk, &conn));
    }

    /// Empties the table of connections.
    pub fn forget_conns(&mut self) {
        let mut known = Vec::new();
        self.conns.in_steps(|map| map.keys().flatten(), |sk| known.push(sk));
        for some in known.chunks(AT_A_TIME) {
            self.conns.with_mut(|map| {
                for sk in some {
                    // One that is gone already needs no removing.
                    let _ = map.remove(sk);
                }
            });
        }
    }
}

impl Ring {
    /// The next record, if one waits. Its room is free again when the value goes.
    pub fn next(&mut self) -> Option<impl Deref<Target = [u8]>> {
        self.0.next()
    }
}

/// One counter, over all processors.
fn sum(map: &PerCpuArray<MapData, u64>, index: u32) -> u64 {
    map.get(&index, 0).map(|each| each.iter().sum()).unwrap_or_default()
}

fn take<M>(
    ebpf: &mut Ebpf,
    name: &'static str,
    of: impl FnOnce(Map) -> Result<M, MapError>,
) -> Result<M, LoadError> {
    let map = ebpf.take_map(name).ok_or_else(|| LoadError::Failed {
        program: name.to_owned(),
        reason: "the map is not in the object".to_owned(),
    })?;
    of(map).map_err(|error| failed(name, &error))
}
