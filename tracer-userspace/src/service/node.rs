//! Node.js: scripts, and the commands that packages install.

use super::command::Named;
use super::options::{Grammar, Unknown, value_of};
use super::text::{base, parent_base};

/// Options of Node whose value may be the next word (`node --help`).
const OPTIONS: Grammar = Grammar {
    with_value: &[
        "-r",
        "--require",
        "--import",
        "--loader",
        "--experimental-loader",
        "-C",
        "--conditions",
        "--env-file",
        "--env-file-if-exists",
        "--icu-data-dir",
        "--openssl-config",
        "--redirect-warnings",
        "--diagnostic-dir",
        "--disable-warning",
        "--dns-result-order",
        "--heapsnapshot-signal",
        "--input-type",
        "--trace-event-categories",
        "--trace-event-file-pattern",
        "--unhandled-rejections",
        "--watch-path",
        "--inspect-port",
        "--debug-port",
        "--experimental-config-file",
        "--localstorage-file",
        "--report-dir",
        "--report-directory",
        "--report-filename",
        "--report-signal",
        "--secure-heap",
        "--secure-heap-min",
        "--tls-cipher-list",
        "--tls-keylog",
        "--cpu-prof-dir",
        "--cpu-prof-name",
        "--heap-prof-dir",
        "--heap-prof-name",
        "--max-http-header-size",
        "--title",
        "--snapshot-blob",
    ],
    alone: &[],
    unknown: Unknown::Alone,
};

/// Commands whose first argument says what they run.
const RUNNERS: &[&str] =
    &["ts-node", "ts-node-dev", "tsx", "nodemon", "babel-node", "pm2-runtime", "node-dev", "supervisor"];

/// Names `node ARGS`.
pub(super) fn name(args: &[String], means: &str) -> Named {
    let mut words = OPTIONS.positionals(args).peekable();
    let options_end = words.peek().map_or(args.len(), |(at, _)| *at);
    let options = args.get(..options_end).unwrap_or_default();
    if let Some(title) = value_of(options, &["--title"]) {
        return Named::of(&[title], means);
    }
    if options.iter().any(|word| matches!(word.as_str(), "-e" | "--eval" | "-p" | "--print" | "-pe")) {
        return Named::Bare(format!("{means} -e"));
    }
    // A word after an option nobody knows may be its value; a script looks like one.
    let after_unknown = |at: usize| {
        let before = at.checked_sub(1).and_then(|before| args.get(before));
        before.is_some_and(|word| word.starts_with("--") && !word.contains('=') && !is_known_alone(word))
    };
    let script = words.find(|(at, word)| is_script(word) || !after_unknown(*at));
    let Some((at, path)) = script else { return Named::Bare(format!("{means} (no script)")) };
    if path == "-" {
        return Named::Bare(format!("{means} -"));
    }
    by_script(path, args.get(at + 1..).unwrap_or_default(), means)
}

fn is_known_alone(option: &str) -> bool {
    let prefixes = [
        "--inspect",
        "--enable-",
        "--no-",
        "--trace-",
        "--experimental-",
        "--preserve-",
        "--expose",
        "--watch",
    ];
    option == "--" || prefixes.iter().any(|prefix| option.starts_with(prefix))
}

fn is_script(word: &str) -> bool {
    let extensions = [".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".jsx", ".tsx"];
    word.contains('/') || extensions.iter().any(|extension| word.ends_with(extension))
}

fn by_script(path: &str, rest: &[String], means: &str) -> Named {
    let file = base(path);
    match file {
        "npm-cli.js" | "npm" => return package_script("npm", rest),
        "npx-cli.js" | "npx" => return package_script("npx", rest),
        "yarn.js" | "yarn" | "yarnpkg" => return package_script("yarn", rest),
        "pnpm.cjs" | "pnpm" => return package_script("pnpm", rest),
        _ => {}
    }
    let stem = file.strip_suffix(".js").unwrap_or(file);
    if RUNNERS.contains(&stem) {
        let script =
            rest.iter().find(|word| !word.starts_with('-') && is_script(word)).map_or("", |path| base(path));
        return Named::of(&[stem, script], stem);
    }
    // A package's command: `node_modules/.bin/next start`, `node_modules/next/dist/bin/next start`.
    let command = path.contains("/node_modules/") || path.starts_with("node_modules/");
    if command && !file.contains('.') {
        let known = ["start", "dev", "serve", "preview", "server"];
        let what = rest.first().filter(|word| known.contains(&word.as_str())).map_or("", String::as_str);
        return Named::of(&[file, what], means);
    }
    if !file.contains('.')
        && path.contains('/')
        && !matches!(file, "server" | "app" | "index" | "main" | "www")
    {
        return Named::of(&[file], means);
    }
    // `node .` and `node ./dist` run a directory.
    if matches!(file, "." | ".." | "") {
        return Named::of(&[means, parent_base(path).unwrap_or(".")], means);
    }
    Named::of(&[means, file], means)
}

/// `npm run serve`: the script's name in package.json.
fn package_script(tool: &str, rest: &[String]) -> Named {
    let words: Vec<&str> = rest.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
    let shown = match words.as_slice() {
        ["run" | "run-script" | "exec" | "dlx", script, ..] => vec![tool, "run", script],
        [command, ..] => vec![tool, command],
        [] => vec![tool],
    };
    Named::of(&shown, tool)
}
