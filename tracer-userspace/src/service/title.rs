//! Processes that rewrote their command line to say what they do (setproctitle and its like).
//!
//! The kernel then shows one string instead of arguments: `nginx: worker process`, `gunicorn: worker [front:app]`,
//! `postgres: 15/main: alice shop 10.0.0.7(50312) idle`. What they say changes from moment to moment and holds users'
//! data; the program and the part it serves do not.

use super::command::{Family, Named, agrees, by_arguments, family};
use super::facts::ProcessFacts;
use super::text::{base, is_showable, parent_base, without_version};

/// The name of a process whose command line is a title; `None` if it is an ordinary command line.
pub(super) fn of(facts: &ProcessFacts, first: &str, args: &[String]) -> Option<Named> {
    let alone = args.len() == 1;
    let called = first.split_whitespace().next().unwrap_or(first);
    if !first.contains(' ') {
        // An interpreter that is called by another name and has no script: `process.title = "shop-api"`.
        let interpreter = facts
            .exe_base()
            .and_then(family)
            .filter(|kind| !matches!(kind, Family::Busybox | Family::Shell | Family::Loader))?;
        let renamed =
            alone && family(base(first)) != Some(interpreter) && !first.starts_with(['-', '/', '.']);
        return renamed.then(|| by_word(first.trim_end_matches(':')));
    }
    let is_path = facts.exe.as_deref().is_some_and(|exe| {
        exe == first || (first.contains('/') && exe.ends_with(first.trim_start_matches(['.', '/'])))
    });
    let is_title = !is_path && (alone || (called.ends_with(':') && !called.contains('/')));
    is_title.then(|| parse(facts, first))
}

/// The database that a PostgreSQL backend serves, from the title that it gives itself: `postgres: [CLUSTER: ]USER DATABASE HOST[(PORT)] ACTIVITY`
/// (src/backend/postmaster/postmaster.c, `BackendInitialize`). Whoever came when the connection was open has no other way to know.
pub fn database(facts: &ProcessFacts) -> Option<&str> {
    let title = facts.args.first()?.strip_prefix("postgres: ")?;
    let mut words = title.split(' ');
    let first = words.next()?;
    let user = if first.ends_with(':') { words.next()? } else { first };
    let (database, host) = (words.next()?, words.next()?);
    // Users and databases may have spaces in their names: then the place where they came from stands elsewhere.
    let is_place = host == "[local]"
        || host.split_once('(').is_some_and(|(address, port)| {
            address.parse::<std::net::IpAddr>().is_ok()
                && port.strip_suffix(')').is_some_and(|port| port.parse::<u16>().is_ok())
        });
    // One that sends its log to another server has no database.
    (is_place && user != "walsender" && is_showable(database)).then_some(database)
}

fn by_word(word: &str) -> Named {
    if is_showable(word) { Named::Program(word.to_owned()) } else { Named::Bare(String::new()) }
}

/// The text in the first pair of square brackets.
fn bracketed(title: &str) -> Option<&str> {
    let (_, rest) = title.split_once('[')?;
    rest.split_once(']').map(|(inside, _)| inside)
}

fn parse(facts: &ProcessFacts, title: &str) -> Named {
    let mut words = title.split_whitespace();
    let first = words.next().unwrap_or_default();
    let program = without_version(base(first.trim_end_matches(':')));
    let words: Vec<&str> = words.collect();
    match program {
        // gunicorn: master [front:app]
        "gunicorn" => Named::of(&["gunicorn", bracketed(title).unwrap_or_default()], "gunicorn"),
        // puma 6.4.0 (tcp://0.0.0.0:9292) [shop] · puma: cluster worker 0: 4242 [shop]
        "puma" => Named::of(&["puma", bracketed(title).unwrap_or_default()], "puma"),
        // php-fpm: pool www
        "php-fpm" => match words.as_slice() {
            ["pool", pool, ..] => Named::of(&["php-fpm", pool], "php-fpm"),
            _ => Named::Program("php-fpm".to_owned()),
        },
        // sidekiq 7.1.2 shop [0 of 5 busy]
        "sidekiq" => {
            let app = words.get(1).filter(|word| !word.starts_with('[')).copied().unwrap_or_default();
            Named::of(&["sidekiq", app], "sidekiq")
        }
        // Passenger RubyApp: /srv/shop (production)
        "Passenger" => {
            let path = words.iter().find(|word| word.starts_with('/')).copied().unwrap_or_default();
            let path =
                if base(path) == "public" { parent_base(path).unwrap_or_default() } else { base(path) };
            Named::of(&["passenger", path], "passenger")
        }
        // uWSGI worker 1
        "uWSGI" => Named::Bare("uwsgi".to_owned()),
        // [celeryd: celery@host:ForkPoolWorker-1] · [celeryd: celery@host:MainProcess] -active- (worker -A proj)
        "[celeryd" => celery(title),
        // npm start · npm run serve · yarn start
        "npm" | "npx" | "yarn" | "pnpm" => {
            let shown: Vec<&str> = std::iter::once(program)
                .chain(words.iter().copied().filter(|word| !word.starts_with('-')).take(2))
                .collect();
            Named::of(&shown, program)
        }
        // PM2 v5.3.0: God Daemon (/root/.pm2)
        "PM" if first == "PM2" => Named::Program("PM2".to_owned()),
        // node /srv/shop/server.js: a command line that was joined into one string.
        _ if family(program).is_some() && !first.ends_with(':') => {
            let joined: Vec<String> = title.split_whitespace().map(str::to_owned).collect();
            by_arguments(facts, &joined, 0)
        }
        _ => {
            let called = base(first.trim_end_matches(':'));
            let exe = facts.exe_base().filter(|exe| family(exe).is_none());
            match exe {
                // A title that does not say the program's name: "idle", "worker 3".
                Some(exe) if called != exe && !agrees(&facts.comm, called) && !first.ends_with(':') => {
                    Named::of(&[exe], &facts.comm)
                }
                _ => match by_word(called) {
                    Named::Bare(_) => Named::of(&[facts.comm.as_str()], "unknown"),
                    named => named,
                },
            }
        }
    }
}

fn celery(title: &str) -> Named {
    let mut words = title.split_whitespace();
    let app = words
        .by_ref()
        .find(|word| matches!(*word, "-A" | "--app" | "(-A"))
        .and_then(|_| words.next())
        .map(|word| word.trim_end_matches(')'))
        .or_else(|| title.split_whitespace().find_map(|word| word.strip_prefix("--app=")));
    match app {
        Some(app) if is_showable(app) => Named::of(&["celery", app, "worker"], "celery"),
        _ => Named::Bare("celery".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database_of(title: &str) -> Option<String> {
        let facts = ProcessFacts { args: vec![title.to_owned()], ..ProcessFacts::default() };
        database(&facts).map(str::to_owned)
    }

    #[test]
    fn a_backend_says_which_database_it_serves() {
        for (title, expected) in [
            ("postgres: 15/main: alice shop 10.0.0.7(50312) idle", Some("shop")),
            ("postgres: alice shop [local] SELECT", Some("shop")),
            ("postgres: alice shop ::1(50312) idle in transaction", Some("shop")),
            ("postgres: 15/main: walwriter ", None),
            ("postgres: 15/main: alice ann shop 10.0.0.7(50312) idle", None),
            ("postgres: 15/main: walsender repl 10.0.0.7(1) streaming", None),
            ("postgres: checkpointer", None),
            ("/usr/bin/postgres -D /data", None),
        ] {
            assert_eq!(database_of(title).as_deref(), expected, "{title}");
        }
    }
}
