//! Tells the probes what is to be captured of a connection, once its protocol is known (or known to be of no use).

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use aya::programs::RawTracePoint;
use tracer_common::abi::{ConnId, proto};

use super::error::LoadError;
use super::object::Programs;
use super::peek::run_with;
use crate::protocol::Interest;

/// The program that sets it (`interest.rs` of the probes).
pub(super) struct Teller {
    program: OwnedFd,
}

impl Teller {
    /// Loads the program.
    pub(super) fn load(object: &mut Programs) -> Result<Self, LoadError> {
        let failed = |reason: String| LoadError::Failed { program: "interest".to_owned(), reason };
        let program: &mut RawTracePoint = object
            .program_mut("interest")
            .and_then(|program| program.try_into().ok())
            .ok_or_else(|| failed("it is not in its object".to_owned()))?;
        program.load().map_err(|error| failed(error.to_string()))?;
        let fd = program.fd().map_err(|error| failed(error.to_string()))?;
        let program = fd.as_fd().try_clone_to_owned().map_err(|error| failed(error.to_string()))?;
        Ok(Self { program })
    }

    /// What is captured of the connection from now on. One that has ended meanwhile is nobody's.
    pub(super) fn tell(&self, conn: ConnId, interest: Interest) -> std::io::Result<()> {
        let wanted = match interest {
            Interest::Unknown => proto::UNKNOWN,
            Interest::Heads => proto::HTTP1,
            Interest::Calls => proto::CALLS,
            Interest::Everything => proto::EVERYTHING,
            Interest::Nothing => proto::OPAQUE,
        };
        run_with(self.program.as_raw_fd(), &[conn.sk, conn.born, u64::from(wanted)])
    }
}
