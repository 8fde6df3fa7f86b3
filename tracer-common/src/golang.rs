//! What userspace tells the probes of a Go program, so that they can say which goroutine moved bytes.

/// One process of a Go program: where the current goroutine stands in it. All offsets are bytes. The value of the map
/// `GO`, by process id.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoProcess {
    /// Names the process, as its id does not: that is used again.
    pub serial: u64,
    /// The address that the goroutines which write for `net/http`'s client connections began at (`runtime.g.startpc`);
    /// 0 if it is not known, or there are none.
    pub writer: u64,
    /// From the thread pointer (`fsbase`) to the thread's pointer to its goroutine, `runtime.g`. Not used on arm64,
    /// where a register holds that pointer.
    pub slot: i32,
    /// `runtime.g.goid`.
    pub goid: u32,
    /// `runtime.g.parentGoid`; 0 if this version has none.
    pub parent: u32,
    /// `runtime.g.startpc`.
    pub start: u32,
}

/// `net/http.persistConn.conn`: an interface, whose second word points to the connection. The same in Go 1.19 to 1.27,
/// as the following.
pub const CONN: u64 = 80;
/// `net.netFD` as words of eight bytes: the descriptor (`pfd.Sysfd`),
pub const NETFD_DESCRIPTOR: usize = 2;
/// the address family,
pub const NETFD_FAMILY: usize = 7;
/// the socket's type,
pub const NETFD_TYPE: usize = 8;
/// and, in the lowest byte, whether it is connected.
pub const NETFD_CONNECTED: usize = 9;

const _: () = assert!(size_of::<GoProcess>() == 32);

#[cfg(feature = "user")]
mod pod {
    // SAFETY: `repr(C)`, integers only, without padding (asserted above): any bytes are a valid value.
    unsafe impl aya::Pod for super::GoProcess {}
}
