//! The JDK's HTTP server (`tests/services/Shop.java`), compiled here, started as `java -jar shop.jar`.

use anyhow::Result;

use super::{Options, Service};
use crate::process::{self, Spec};
use crate::scratch::Scratch;

/// Compiles and starts it.
pub fn start(options: &Options) -> Result<Service> {
    let scratch = Scratch::new()?;
    scratch.stage("Shop.java")?;
    process::run(&Spec::new("javac")?.args(["-d", "classes", "Shop.java"]).in_directory(scratch.path()))?;
    process::run(
        &Spec::new("jar")?
            .args(["--create", "--file", "shop.jar", "--main-class", "Shop", "-C", "classes", "."])
            .in_directory(scratch.path()),
    )?;
    let spec = Spec::new("java")?
        // Head and body are two writes; without this the second waits for the client's delayed acknowledgement.
        .arg("-Dsun.net.httpserver.nodelay=true")
        .args(["-XX:+UseSerialGC", "-Xmx256m", "-jar", "shop.jar"]);
    Service::start_program(spec, scratch, options)
}
