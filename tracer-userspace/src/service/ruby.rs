//! Ruby: scripts and the servers of Rack applications. Most servers rewrite their title, see [`super::title`].

use super::command::Named;
use super::options::{Grammar, Unknown};
use super::text::base;

/// Options whose value is the next word (ruby(1)).
const OPTIONS: Grammar = Grammar {
    with_value: &["-I", "-r", "-C", "-E", "-F", "-x", "--encoding"],
    alone: &[],
    unknown: Unknown::Alone,
};

/// Names `ruby ARGS`.
pub(super) fn name(args: &[String], means: &str) -> Named {
    let Some((at, path)) = OPTIONS.positionals(args).next() else {
        let means = if args.iter().any(|word| word == "-e") {
            format!("{means} -e")
        } else {
            format!("{means} (no script)")
        };
        return Named::Bare(means);
    };
    if args.get(..at).unwrap_or_default().iter().any(|word| word == "-e") {
        return Named::Bare(format!("{means} -e"));
    }
    let rest = args.get(at + 1..).unwrap_or_default();
    match base(path) {
        "bundle" | "bundler" => match rest.split_first() {
            Some((command, rest)) if command == "exec" => by_command(rest, means),
            _ => Named::Program("bundle".to_owned()),
        },
        _ => by_command(args.get(at..).unwrap_or_default(), means),
    }
}

fn by_command(args: &[String], means: &str) -> Named {
    let Some((path, rest)) = args.split_first() else { return Named::Bare(format!("{means} (no script)")) };
    let file = base(path);
    match file {
        "rails" | "rake" => {
            let command = match rest.first().map(String::as_str) {
                Some("s" | "server") => "server",
                Some("c" | "console") => "console",
                _ => "",
            };
            Named::of(&[file, command], file)
        }
        "ruby" => name(rest, means),
        _ if file.contains('.') => Named::of(&[means, file], means),
        _ => Named::of(&[file], means),
    }
}
