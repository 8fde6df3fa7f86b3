//! A shop in Python and a stock service in Node, each with OpenTelemetry's own SDK in it, and the databases that they use
//! (`tests/services/sdk_shop.py`, `sdk_stock.js`).
//!
//! What the SDK says of its own process is a second witness of every call, written by others and from inside.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};

use super::mariadb::{self, MariaDb};
use super::postgres::{self, Postgres};
use super::redis::{self, Redis};
use crate::process::{Process, Spec};
use crate::scratch::Scratch;
use crate::span::Kind;
use crate::{net, pace, paths};

/// The name of the service in Python, for the SDK and for the tracer.
pub const SHOP: &str = "sdk-shop";
/// The name of the one in Node.
pub const STOCK: &str = "sdk-stock";

/// A span as an SDK recorded it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Whose it is: [`SHOP`] or [`STOCK`].
    pub service: &'static str,
    /// Its name.
    pub name: String,
    /// Server, client, or what is neither.
    pub kind: Kind,
    /// 16 hex digits.
    pub id: String,
    /// Its parent, in this process or in the one that called it.
    pub parent: Option<String>,
    /// Start, nanoseconds since the Unix epoch. Node's SDK knows the millisecond.
    pub start_ns: u64,
    /// Duration in milliseconds; exact to the microsecond in both.
    pub ms: f64,
    /// Its status is an error.
    pub failed: bool,
    /// All attributes.
    pub attributes: Map<String, Value>,
}

impl Recorded {
    /// An attribute's text, under the first of these names that it has. The SDKs are of different ages.
    pub fn text(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.attributes.get(*name).and_then(Value::as_str))
    }

    /// An attribute's number, as [`Recorded::text`].
    pub fn number(&self, names: &[&str]) -> Option<u64> {
        names.iter().find_map(|name| self.attributes.get(*name).and_then(Value::as_u64))
    }

    fn from_line(service: &'static str, line: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(line)?;
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let number = |key: &str| value.get(key).and_then(Value::as_f64).with_context(|| format!("no {key}"));
        Ok(Self {
            service,
            name: text("name").context("no name")?,
            kind: match text("kind").as_deref() {
                Some("SERVER") => Kind::Server,
                Some("CLIENT") => Kind::Client,
                _ => Kind::Other,
            },
            id: text("id").context("no id")?,
            parent: text("parent"),
            start_ns: (number("start")? * 1e9) as u64,
            ms: number("ms")?,
            failed: value.get("failed").and_then(Value::as_bool).context("not told whether it failed")?,
            attributes: value.get("attributes").and_then(Value::as_object).context("no attributes")?.clone(),
        })
    }
}

/// Both services and their databases; they end when dropped.
#[derive(Debug)]
pub struct Pair {
    shop: Process,
    stock: Process,
    port: u16,
    scratch: Scratch,
    _databases: (Postgres, Redis, MariaDb),
}

/// Starts everything.
pub fn start() -> Result<Pair> {
    let databases = (postgres::start()?, redis::start()?, mariadb::start()?);
    let (postgres, redis, mariadb) = &databases;
    postgres.sql("postgres", "CREATE TABLE orders (number int, text text)")?;
    mariadb.sql("CREATE DATABASE stock")?;
    let scratch = Scratch::new()?;
    let (shop_port, stock_port) = (net::free_port()?, net::free_port()?);
    let common = |spec: Spec, name: &str| {
        spec.env("OTEL_SERVICE_NAME", name)
            .env("SPANS", scratch.join(name).to_string_lossy())
            // gunicorn puts a socket there.
            .env("HOME", scratch.path().to_string_lossy())
            .env("REDIS", format!("redis://127.0.0.1:{}/0", redis.port()))
            .in_directory(scratch.path())
    };
    let modules = paths::deps_dir()?.join("node/node_modules");
    ensure!(modules.join("mysql2").is_dir(), "npm's packages are missing; `cargo xtask setup` installs them");
    let stock = Spec::new("node")?
        .arg(scratch.stage("sdk_stock.js")?.to_string_lossy())
        .arg(stock_port.to_string())
        .env("NODE_PATH", modules.to_string_lossy())
        .env("POSTGRES", format!("postgresql://postgres@127.0.0.1:{}/postgres", postgres.port()))
        .env("MYSQL", format!("mysql://root@127.0.0.1:{}/stock", mariadb.port()))
        .env("SHOP", format!("http://127.0.0.1:{shop_port}"));
    let dsn = format!("host=127.0.0.1 port={} user=postgres dbname=postgres", postgres.port());
    scratch.stage("sdk_shop.py")?;
    // Not Flask's own server: it does not keep connections in a way that Node's clients get along with.
    let shop = Spec::new(paths::deps_dir()?.join("venv/bin/python"))?
        .args(["-m", "gunicorn", "--bind", &format!("127.0.0.1:{shop_port}"), "--workers", "1"])
        .args(["--worker-class", "gthread", "--threads", "12", "--keep-alive", "60", "sdk_shop:app"])
        .env("POSTGRES", format!("{dsn} sslmode=disable gssencmode=disable"))
        .env("STOCK", format!("http://127.0.0.1:{stock_port}"));
    let mut stock = common(stock, STOCK).start(scratch.path())?;
    let mut shop = common(shop, SHOP).start(scratch.path())?;
    net::wait_for_port(stock_port, &mut stock)?;
    net::wait_for_port(shop_port, &mut shop)?;
    Ok(Pair { shop, stock, port: shop_port, scratch, _databases: databases })
}

impl Pair {
    /// The shop's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the services have said, for messages.
    pub fn said(&self) -> String {
        format!("{}{}", self.shop.output(), self.stock.output())
    }

    /// Ends both services and returns all spans of their SDKs.
    pub fn end(mut self) -> Result<Vec<Recorded>> {
        let mut all = Vec::new();
        for (process, name) in [(&mut self.shop, SHOP), (&mut self.stock, STOCK)] {
            process.signal(libc::SIGTERM)?;
            process.wait(pace::limit(Duration::from_secs(10)))?;
            all.extend(read(&self.scratch.join(name), name).with_context(|| process.output())?);
        }
        Ok(all)
    }
}

fn read(file: &Path, service: &'static str) -> Result<Vec<Recorded>> {
    let file: PathBuf = file.into();
    let text = std::fs::read_to_string(&file).with_context(|| format!("{service} wrote no spans"))?;
    text.lines().map(|line| Recorded::from_line(service, line)).collect()
}
