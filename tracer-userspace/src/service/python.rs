//! Python: scripts, modules, and the servers that load an application by its name.

use super::command::Named;
use super::options::{Grammar, Unknown, value_of};
use super::text::{base, is_module_path, parent_base};

/// Options of the interpreter whose value is the next word (python(1)).
const INTERPRETER: Grammar = Grammar {
    with_value: &["-W", "-X", "--check-hash-based-pycs", "-Q"],
    alone: &[],
    unknown: Unknown::Alone,
};

/// Servers of WSGI and ASGI: nearly every option has a value; these have none.
const SERVER: Grammar = Grammar {
    with_value: &[],
    alone: &[
        "--reload",
        "--preload",
        "--preload-app",
        "--daemon",
        "-D",
        "-R",
        "--check-config",
        "--print-config",
        "--spew",
        "--log-syslog",
        "--capture-output",
        "--enable-stdio-inheritance",
        "--initgroups",
        "--proxy-protocol",
        "--strip-header-spaces",
        "--reuse-port",
        "--suppress-ragged-eofs",
        "--do-handshake-on-connect",
        "--disable-redirect-access-to-syslog",
        "--use-colors",
        "--access-log",
        "--proxy-headers",
        "--server-header",
        "--date-header",
        "--factory",
        "--debug",
        "-v",
        "--verbose",
        "-q",
        "--quiet",
        "--http1",
        "--http2",
        "-h",
        "--help",
        "--version",
    ],
    unknown: Unknown::TakesValue,
};

/// Directories that hold whatever is deployed: their name says nothing.
const PLACES: &[&str] =
    &["app", "src", "code", "srv", "opt", "project", "web", "www", "html", "home", "root", "tmp"];

/// Names `python ARGS`. `means` is how the interpreter is called.
pub(super) fn name(args: &[String], means: &str) -> Named {
    let mut at = 0;
    let mut skip = false;
    // -c and -m end the options, alone or at the end of a group (`-Im module`).
    while let Some(word) = args.get(at) {
        at += 1;
        if std::mem::take(&mut skip) {
            continue;
        }
        let rest = args.get(at..).unwrap_or_default();
        let Some(flags) = word.strip_prefix('-').filter(|flags| !flags.is_empty() && !word.starts_with("--"))
        else {
            if word.starts_with("--") {
                skip = INTERPRETER.with_value.contains(&word.as_str());
                continue;
            }
            return if word == "-" { Named::Bare(format!("{means} -")) } else { script(word, rest, means) };
        };
        // The value of -W, -X and -Q is attached or next; what follows them in a group is not an option.
        let group = flags.find(['W', 'X', 'Q']).and_then(|end| flags.get(..end)).unwrap_or(flags);
        if let Some((_, attached)) = group.split_once('m') {
            // `-mhttp.server`
            return match (attached.is_empty(), rest.split_first()) {
                (true, Some((module, rest))) => by_module(module, rest, means),
                (true, None) => Named::Bare(format!("{means} -m")),
                (false, _) => by_module(attached, rest, means),
            };
        }
        if group.contains('c') {
            return Named::Bare(format!("{means} -c"));
        }
        skip = INTERPRETER.with_value.contains(&word.as_str());
    }
    Named::Bare(format!("{means} (no script)"))
}

fn by_module(module: &str, rest: &[String], means: &str) -> Named {
    match module {
        "gunicorn" | "uvicorn" | "celery" | "flask" | "hypercorn" | "daphne" | "waitress" | "granian"
        | "fastapi" => tool(module, rest),
        "django" => django(None, rest),
        // A module runs a module: `python -m debugpy --listen 5678 -m shop`.
        _ => Named::of(&[means, "-m", module], means),
    }
}

fn script(path: &str, rest: &[String], means: &str) -> Named {
    let file = base(path);
    match file {
        "manage.py" | "django-admin" | "django-admin.py" => django(parent_base(path), rest),
        // `python package/` and `python package/__main__.py` run the package.
        "__main__.py" => match parent_base(path) {
            Some(package) if TOOLS.contains(&package) => tool(package, rest),
            Some(package) => Named::of(&[means, package], means),
            None => Named::of(&[means, file], means),
        },
        _ if TOOLS.contains(&file) => tool(file, rest),
        // An installed command has no extension and is known by its own name.
        _ if !file.contains('.') => Named::of(&[file], means),
        _ => Named::of(&[means, file], means),
    }
}

/// Commands that load an application by name.
const TOOLS: &[&str] = &[
    "gunicorn",
    "uvicorn",
    "celery",
    "flask",
    "hypercorn",
    "daphne",
    "waitress-serve",
    "granian",
    "fastapi",
    "uwsgi",
];

/// Names a command that loads an application: `gunicorn front:app`.
pub(super) fn tool(tool: &str, args: &[String]) -> Named {
    match tool {
        "celery" => celery(args),
        "flask" => match value_of(args, &["--app", "-A"]) {
            Some(app) => Named::of(&["flask", application(app).as_str()], "flask"),
            None => Named::Program("flask".to_owned()),
        },
        "uwsgi" => uwsgi(args),
        "fastapi" => {
            let file = args.iter().find(|word| word.ends_with(".py")).map_or("", |path| base(path));
            Named::of(&["fastapi", file], "fastapi")
        }
        _ => {
            let tool = if tool == "waitress" { "waitress-serve" } else { tool };
            // The application is the last word of the right form: options may stand after it.
            let words = || SERVER.positionals(args).map(|(_, word)| application(word));
            let app = words().find(|word| word.contains(':') && is_module_path(word));
            let app = app.or_else(|| words().find(|word| is_module_path(word))).unwrap_or_default();
            Named::of(&[tool, app.as_str()], tool)
        }
    }
}

/// The application without the arguments of its factory, which may hold anything: `front:make_app(key="x")`.
fn application(word: &str) -> String {
    match word.split_once('(') {
        Some((name, _)) => name.to_owned(),
        None if word.contains('/') || word.ends_with(".py") => base(word).to_owned(),
        None => word.to_owned(),
    }
}

fn celery(args: &[String]) -> Named {
    let app = value_of(args, &["-A", "--app"]).map(application).unwrap_or_default();
    let command = args.iter().find(|word| matches!(word.as_str(), "worker" | "beat" | "flower" | "events"));
    Named::of(&["celery", app.as_str(), command.map_or("", String::as_str)], "celery")
}

/// `uwsgi --module front:app`, `uwsgi --ini shop.ini`, `uwsgi shop.ini`.
pub(super) fn uwsgi(args: &[String]) -> Named {
    let module = value_of(args, &["--module", "-w", "--wsgi"]).map(application);
    let file = || {
        let value =
            value_of(args, &["--wsgi-file", "--file", "--ini", "--yaml", "--json", "--xml", "-x", "-y"]);
        let first = args.iter().find(|word| word.ends_with(".ini") || word.ends_with(".yaml"));
        value.or(first.map(String::as_str)).map(|path| base(path).to_owned())
    };
    Named::of(&["uwsgi", module.or_else(file).unwrap_or_default().as_str()], "uwsgi")
}

/// `manage.py runserver`: by the project's directory where that says something.
fn django(dir: Option<&str>, rest: &[String]) -> Named {
    let command =
        rest.first().filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
    match dir.filter(|dir| !PLACES.contains(dir)) {
        Some(dir) => Named::of(&["django", dir], "django"),
        None => Named::of(&["manage.py", command.map_or("", String::as_str)], "manage.py"),
    }
}
