//! A front service that calls a backend, under load: each call is one client and one server span, joined, and the
//! front's request is its parent.
//!
//! Each front calls the backend (Node, which answers after 2 ms) twice, one after the other, nginx once. Who called
//! whom is in the front's truth file (see `tracer_tests::truth`). Where one thread serves one request from beginning
//! to end, every parent must be right; the same holds for the event loops of nginx and Node, whose calls leave in the
//! same turn in which the request, or the answer to the call before, came in. A goroutine may change its thread: there
//! a parent may be absent, but never wrong, and the share is printed.

use std::process::ExitCode;

use anyhow::Result;
use tracer_tests::load::{Ending, Wrk};
use tracer_tests::scenario::{self, CONNECTIONS};
use tracer_tests::services::gunicorn::Worker;
use tracer_tests::services::{Options, Service, apache, golang, gunicorn, java, nginx, node};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::truth::Links;

const NEEDS: &[Need] =
    &[Need::Tracer, Need::Command("nginx"), Need::Command("wrk"), Need::Command("gunicorn")];

/// The backend of most chains, and the fronts of some.
const OTHERS: &[Need] = &[
    Need::Command("node"),
    Need::Command("javac"),
    Need::Command("apache2"),
    Need::File(apache::MODULES, "libphp", ".so"),
    Need::Go,
];

/// A kind of front.
struct Front {
    name: &'static str,
    start: fn(&Options) -> Result<Service>,
    links: Links,
    ending: Ending,
}

/// One thread serves many requests at once. The threads of the others serve one at a time: all links are asked of them.
const LOOPS: Links = Links::AtLeast(75);

const FRONTS: [Front; 7] = [
    Front { name: "nginx", start: nginx::start, links: LOOPS, ending: Ending::Quiet },
    Front {
        name: "gunicorn_sync",
        start: |options| gunicorn::start(Worker::Sync, options),
        links: Links::All,
        // Its two workers would wait for requests on the idle connections of a quiet ending.
        ending: Ending::Abrupt,
    },
    Front {
        name: "gunicorn_threads",
        start: |options| gunicorn::start(Worker::Threads, options),
        links: Links::All,
        ending: Ending::Quiet,
    },
    Front { name: "apache", start: apache::start, links: Links::All, ending: Ending::Quiet },
    Front { name: "java", start: java::start, links: Links::All, ending: Ending::Quiet },
    Front { name: "node", start: node::start, links: LOOPS, ending: Ending::Quiet },
    Front { name: "go", start: golang::start, links: Links::RightOrAbsent, ending: Ending::Quiet },
];

fn main() -> ExitCode {
    let mut tests = Vec::new();
    for front in FRONTS {
        let Front { name, start, links, ending } = front;
        for connections in CONNECTIONS {
            tests.push(
                test(format!("{name}_{connections}"), move || {
                    let backend = node::start(&Options::named("backend"))?;
                    let front = start(&Options::named("front").calling(&backend))?;
                    let load = Wrk { ending, ..Wrk::new(front.port(), "/front?truth=", connections) };
                    scenario::each_call_has_its_parent(&front, &load, links)
                })
                .needing(OTHERS),
            );
        }
    }
    tests.push(test("gunicorn_sync_before_gunicorn", gunicorn_before_gunicorn));
    suite::run(NEEDS, tests)
}

/// A chain of services that every distribution has: for machines without Node.
fn gunicorn_before_gunicorn() -> Result<String> {
    let backend = gunicorn::start(Worker::Threads, &Options::named("backend"))?;
    let front = gunicorn::start(Worker::Sync, &Options::named("front").calling(&backend))?;
    let load = Wrk { ending: Ending::Abrupt, ..Wrk::new(front.port(), "/front?truth=", 1) };
    scenario::each_call_has_its_parent(&front, &load, Links::All)
}
