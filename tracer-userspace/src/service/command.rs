//! A readable name from a command line: what a person would call this process.
//!
//! Finds out which program runs and leaves the rest to the file of its language. Programs rename themselves, link to
//! each other and rewrite their arguments, so the executable, the command name and the first argument are weighed
//! against each other.

use super::facts::ProcessFacts;
use super::text::{base, clean, is_showable, join, without_version};
use super::{NameSource, java, node, python, ruby, scripts, title};

/// A name from the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommandName {
    /// Clean and not empty.
    pub name: String,
    /// It names a means (`python -c`) and not what runs: the parent knows better, if it is the same program.
    pub bare: bool,
    /// `Command`, or `Comm` when there was no command line.
    pub source: NameSource,
}

/// What the file of a language makes of its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// A name for what runs.
    Program(String),
    /// Only how it runs.
    Bare(String),
}

impl Named {
    /// A program, of the words that may be shown; [`Named::Bare`] with `means` when none may.
    pub fn of(words: &[&str], means: &str) -> Named {
        let name = join(words);
        if name.is_empty() { Named::Bare(means.to_owned()) } else { Named::Program(name) }
    }
}

/// Languages and tools that run other programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Python,
    Node,
    Java,
    Ruby,
    Php,
    Perl,
    Dotnet,
    Shell,
    Deno,
    Bun,
    Beam,
    /// `lua app.lua` and its like: the first word is the script.
    Script,
    /// The dynamic loader, called by its name.
    Loader,
    Busybox,
}

/// The family of a program by its name, versions left out.
pub(super) fn family(program: &str) -> Option<Family> {
    Some(match without_version(program) {
        "python" | "pypy" | "ipython" | "python-config" => Family::Python,
        "node" | "nodejs" => Family::Node,
        "java" => Family::Java,
        "ruby" | "jruby" | "truffleruby" => Family::Ruby,
        "php" | "php-cgi" | "hhvm" => Family::Php,
        "perl" => Family::Perl,
        "dotnet" => Family::Dotnet,
        "sh" | "bash" | "dash" | "zsh" | "ksh" | "mksh" | "ash" | "fish" => Family::Shell,
        "deno" => Family::Deno,
        "bun" => Family::Bun,
        "beam.smp" | "beam" | "erl" => Family::Beam,
        "lua" | "luajit" | "tclsh" | "Rscript" | "julia" | "guile" | "racket" | "escript" | "groovy"
        | "pwsh" => Family::Script,
        "busybox" | "toybox" => Family::Busybox,
        _ if program.starts_with("ld-linux") || program.starts_with("ld-musl") => Family::Loader,
        _ => return None,
    })
}

/// Names a process by its command line; by its command name when there is none.
pub(super) fn name(facts: &ProcessFacts) -> CommandName {
    // Rewritten command lines leave empty words behind.
    let used = facts.args.iter().rposition(|arg| !arg.is_empty()).map_or(0, |last| last + 1);
    let args = facts.args.get(..used).unwrap_or_default();
    let Some(first) = args.first() else {
        return by_comm(facts);
    };
    let named = match title::of(facts, first, args) {
        Some(named) => named,
        None => by_arguments(facts, args, 0),
    };
    let (name, bare) = match named {
        Named::Program(name) => (clean(&name), false),
        Named::Bare(name) => (clean(&name), true),
    };
    if name.is_empty() { by_comm(facts) } else { CommandName { name, bare, source: NameSource::Command } }
}

fn by_comm(facts: &ProcessFacts) -> CommandName {
    let comm = clean(&facts.comm);
    let from_exe = facts.exe_base().map(clean).filter(|name| !name.is_empty());
    let name = if comm.is_empty() { from_exe.unwrap_or_else(|| "unknown".to_owned()) } else { comm };
    // The name of an interpreter says nothing; a parent may.
    match family(&name) {
        Some(_) => {
            CommandName { name: format!("{name} (script unknown)"), bare: true, source: NameSource::Comm }
        }
        None => CommandName { name, bare: false, source: NameSource::Comm },
    }
}

/// A program's name with its arguments. `depth` counts programs that stand before others (`env`, `ld-linux.so`).
pub(super) fn by_arguments(facts: &ProcessFacts, args: &[String], depth: usize) -> Named {
    let Some(first) = args.first() else { return Named::Bare(facts.comm.clone()) };
    let rest = args.get(1..).unwrap_or_default();
    // A login shell's name begins with a dash.
    let called = base(first.trim_start_matches('-'));
    let exe = if depth == 0 { facts.exe_base() } else { None };
    let (program, family) = match (family(called), exe.and_then(|exe| family(exe).map(|kind| (exe, kind)))) {
        // Busybox is whatever it is called.
        (Some(Family::Busybox), _) | (None, Some((_, Family::Busybox))) => {
            return busybox(facts, called, args, depth);
        }
        (Some(kind), Some((_, Family::Busybox))) => (called, Some(kind)),
        // How it is called, where both say the same: `sh` is what people say, `dash` is what it is.
        (Some(kind), Some((_, same))) if kind == same => (called, Some(kind)),
        (_, Some((exe, kind))) => (exe, Some(kind)),
        (Some(kind), None) => (called, Some(kind)),
        (None, None) => (called, None),
    };
    let means = without_version(program);
    match family {
        Some(Family::Python) => python::name(rest, means),
        Some(Family::Node) => node::name(rest, means),
        Some(Family::Java) => java::name(rest),
        Some(Family::Ruby) => ruby::name(rest, means),
        Some(Family::Php) => scripts::php(rest),
        Some(Family::Perl) => scripts::perl(rest),
        Some(Family::Dotnet) => scripts::dotnet(rest),
        Some(Family::Shell) => scripts::shell(rest, means),
        Some(Family::Deno) => scripts::subcommand_script(rest, "deno", &["run", "serve", "task"]),
        Some(Family::Bun) => scripts::subcommand_script(rest, "bun", &["run", "x"]),
        Some(Family::Beam) => scripts::beam(rest),
        Some(Family::Script) => scripts::plain(rest, means),
        Some(Family::Loader) if depth < 2 => loader(facts, rest, depth),
        _ => native(facts, called, rest, depth),
    }
}

/// `ld-linux-x86-64.so.2 [options] program args`: the program.
fn loader(facts: &ProcessFacts, rest: &[String], depth: usize) -> Named {
    let with_value =
        ["--library-path", "--inhibit-rpath", "--audit", "--preload", "--argv0", "--glibc-hwcaps-prepend"];
    let mut skip = false;
    let program = rest.iter().position(|word| {
        let is_value = std::mem::take(&mut skip);
        skip = with_value.contains(&word.as_str());
        !is_value && !word.starts_with('-')
    });
    match program.and_then(|at| rest.get(at..)) {
        Some(args) => by_arguments(facts, args, depth + 1),
        None => Named::Bare("ld.so".to_owned()),
    }
}

/// An applet of busybox: by the name it was called with, or its first argument.
fn busybox(facts: &ProcessFacts, called: &str, args: &[String], depth: usize) -> Named {
    let itself = family(called) == Some(Family::Busybox);
    match (itself, args.get(1)) {
        (true, Some(applet)) if depth < 2 && !applet.starts_with('-') => {
            by_arguments(facts, args.get(1..).unwrap_or_default(), depth + 1)
        }
        _ => Named::of(&[called], "busybox"),
    }
}

/// A program of its own: how it is called, if the kernel agrees; else its file.
fn native(facts: &ProcessFacts, called: &str, rest: &[String], depth: usize) -> Named {
    let called = called.trim_end_matches(':');
    let own = match facts.exe_base() {
        // `execve` sets the command name from the file it was asked to run, cut to 15 bytes: a link such as
        // `redis-server` → `redis-check-rdb`, or `current/bin/shop` → `shop-1.2.3`, shows in both.
        Some(exe) if depth == 0 && !agrees(&facts.comm, called) => exe,
        _ => called,
    };
    let own = if is_showable(own) { own } else { facts.comm.as_str() };
    match without_version(own) {
        "celery" | "gunicorn" | "uvicorn" => python::tool(without_version(own), rest),
        "uwsgi" | "uwsgi-core" => python::uwsgi(rest),
        "php-fpm" => Named::Program("php-fpm".to_owned()),
        "apache" => Named::Program("apache2".to_owned()),
        "nginx" | "httpd" => Named::Program(without_version(own).to_owned()),
        _ => Named::of(&[own], &facts.comm),
    }
}

/// Whether a command name is (the beginning of) a program's name.
pub(super) fn agrees(comm: &str, program: &str) -> bool {
    /// `TASK_COMM_LEN` without the NUL.
    const COMM_BYTES: usize = 15;
    !comm.is_empty() && (comm == program || (comm.len() == COMM_BYTES && program.starts_with(comm)))
}
