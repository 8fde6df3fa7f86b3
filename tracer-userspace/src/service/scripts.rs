//! PHP, Perl, .NET, shells and the other languages whose command lines are simple.

use super::command::Named;
use super::options::{Grammar, Unknown, is_option, value_of};
use super::text::{base, is_showable};

/// Interpreter and script: `perl app.pl`; an installed command without extension stands for itself.
fn script_of(means: &str, path: &str) -> Named {
    let file = base(path);
    match file {
        "-" => Named::Bare(format!("{means} -")),
        _ if file.contains('.') => Named::of(&[means, file], means),
        _ => Named::of(&[file], means),
    }
}

fn first_script(grammar: Grammar, args: &[String], means: &str) -> Named {
    match grammar.positionals(args).next() {
        Some((_, path)) => script_of(means, path),
        None => Named::Bare(format!("{means} (no script)")),
    }
}

/// `php server.php`, `php artisan serve`, `php -S 0.0.0.0:8000`.
pub(super) fn php(args: &[String]) -> Named {
    let grammar = Grammar {
        with_value: &[
            "-c",
            "-d",
            "-z",
            "-t",
            "-S",
            "-B",
            "-E",
            "--php-ini",
            "--define",
            "--docroot",
            "--server",
        ],
        alone: &[],
        unknown: Unknown::Alone,
    };
    if let Some(path) = value_of(args, &["-f", "--file"]) {
        return script_of("php", path);
    }
    if args.iter().take_while(|word| is_option(word)).any(|word| matches!(word.as_str(), "-r" | "--run")) {
        return Named::Bare("php -r".to_owned());
    }
    let script = grammar.positionals(args).next();
    match (script, value_of(args, &["-S", "--server"])) {
        (Some((at, path)), _) if base(path) == "artisan" => {
            let command = args.get(at + 1).map_or("", String::as_str);
            let plain = command.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b':' | b'-'));
            Named::of(&["php", "artisan", if plain { command } else { "" }], "php")
        }
        (Some((_, path)), _) => script_of("php", path),
        (None, Some(address)) => Named::of(&["php", "-S", address], "php"),
        (None, None) => Named::Bare("php (no script)".to_owned()),
    }
}

/// `perl app.pl`.
pub(super) fn perl(args: &[String]) -> Named {
    if args.iter().take_while(|word| is_option(word)).any(|word| word == "-e" || word == "-E") {
        return Named::Bare("perl -e".to_owned());
    }
    first_script(Grammar { with_value: &["-I"], alone: &[], unknown: Unknown::Alone }, args, "perl")
}

/// `dotnet Shop.Api.dll` → `Shop.Api`.
pub(super) fn dotnet(args: &[String]) -> Named {
    let grammar = Grammar {
        with_value: &[
            "--additionalprobingpath",
            "--depsfile",
            "--runtimeconfig",
            "--fx-version",
            "--additional-deps",
        ],
        alone: &[],
        unknown: Unknown::Alone,
    };
    let mut words = grammar.positionals(args).map(|(_, word)| word).filter(|word| *word != "exec");
    match words.next() {
        Some(path) => match base(path) {
            file if file.to_ascii_lowercase().ends_with(".dll") => {
                Named::of(&[file.get(..file.len().saturating_sub(4)).unwrap_or(file)], "dotnet")
            }
            command => {
                let project = value_of(args, &["--project"]).map_or("", base);
                Named::of(&["dotnet", command, project.strip_suffix(".csproj").unwrap_or(project)], "dotnet")
            }
        },
        None => Named::Bare("dotnet (no program)".to_owned()),
    }
}

/// `sh start.sh`; `sh -c 'exec node server.js'` → `sh -c node` (the text may hold secrets, the command does not).
pub(super) fn shell(args: &[String], means: &str) -> Named {
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let flags = word.strip_prefix('-').or_else(|| word.strip_prefix('+'));
        match flags {
            Some(flags) if !word.starts_with("--") && flags.contains('c') => {
                let text = words.find(|word| !word.starts_with('-')).map_or("", String::as_str);
                let skip = |word: &&str| {
                    word.contains('=') || matches!(*word, "exec" | "sudo" | "env" | "set" | "cd")
                };
                let command = text.split_whitespace().find(|word| !skip(word)).map_or("", base);
                let plain =
                    command.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
                let command = if plain && is_showable(command) { command } else { "" };
                return Named::of(&[means, "-c", command], means);
            }
            // `-o errexit`, `--rcfile FILE`
            Some("o" | "O" | "-rcfile" | "-init-file") => {
                words.next();
            }
            Some(flags) if !flags.is_empty() && flags != "-" => {}
            Some("-") => {}
            _ => return script_of(means, word),
        }
    }
    Named::Bare(format!("{means} (no script)"))
}

/// `deno run --allow-net server.ts`, `bun server.ts`.
pub(super) fn subcommand_script(args: &[String], means: &str, commands: &[&str]) -> Named {
    let grammar = Grammar {
        with_value: &[
            "--config",
            "-c",
            "--import-map",
            "--env-file",
            "--port",
            "--host",
            "--cwd",
            "--preload",
            "-r",
        ],
        alone: &[],
        unknown: Unknown::Alone,
    };
    let script = grammar.positionals(args).map(|(_, word)| word).find(|word| !commands.contains(word));
    match script {
        Some(path) => Named::of(&[means, base(path)], means),
        None => Named::Bare(format!("{means} (no script)")),
    }
}

/// Erlang and Elixir: the node's name without its host. The cookie beside it is a secret.
pub(super) fn beam(args: &[String]) -> Named {
    let node = value_of_any_position(args, &["-sname", "-name"]);
    match node.map(|node| node.split('@').next().unwrap_or_default()).filter(|node| is_showable(node)) {
        Some("rabbit") => Named::Program("rabbitmq".to_owned()),
        Some(node) => Named::Program(node.to_owned()),
        None => Named::Bare("beam".to_owned()),
    }
}

/// Like [`value_of`], past `--`, which Erlang's command lines are full of.
fn value_of_any_position<'a>(args: &'a [String], names: &[&str]) -> Option<&'a str> {
    let at = args.iter().position(|word| names.contains(&word.as_str()))?;
    args.get(at + 1).map(String::as_str)
}

/// Languages without more to say: the first word is the script.
pub(super) fn plain(args: &[String], means: &str) -> Named {
    first_script(
        Grammar { with_value: &["-l", "-e", "-f"], alone: &[], unknown: Unknown::Alone },
        args,
        means,
    )
}
