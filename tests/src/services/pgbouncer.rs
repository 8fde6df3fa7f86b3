//! PgBouncer of our own in front of a PostgreSQL server of the tests, as nobody.

use anyhow::Result;

use super::postgres::Postgres;
use crate::net;
use crate::process::{Process, Spec};
use crate::scratch::Scratch;

/// A running pooler; ends when dropped.
#[derive(Debug)]
pub struct PgBouncer {
    _process: Process,
    port: u16,
    _scratch: Scratch,
}

/// Starts it on a port of 127.0.0.1. `mode`: for how long a client has a connection to the server for itself (`session`,
/// `transaction`). `pool`: how many connections to the server there are at most, for however many clients.
pub fn start(postgres: &Postgres, mode: &str, pool: usize) -> Result<PgBouncer> {
    let scratch = Scratch::new()?;
    let port = net::free_port()?;
    let config = format!(
        "[databases]\n\
         * = host=127.0.0.1 port={} user=postgres\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = any\n\
         pool_mode = {mode}\n\
         default_pool_size = {pool}\n\
         client_tls_sslmode = disable\n\
         server_tls_sslmode = disable\n\
         ignore_startup_parameters = extra_float_digits\n",
        postgres.port()
    );
    let file = scratch.write("pgbouncer.ini", &config)?;
    let mut process = Spec::new("pgbouncer")?
        .arg(file.to_string_lossy())
        .as_nobody()
        .in_directory(scratch.path())
        .start(scratch.path())?;
    net::wait_for_port(port, &mut process)?;
    Ok(PgBouncer { _process: process, port, _scratch: scratch })
}

impl PgBouncer {
    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }
}
