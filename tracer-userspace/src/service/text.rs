//! Words of a name: what may be shown, and what may not.
//!
//! Names are made from other people's command lines. They end in files, terminals and web pages, so they are short
//! and printable; and a word that could carry a secret is left out rather than judged.

use crate::text::is_invisible;

/// Longest name, in characters.
pub const MAX_NAME_CHARS: usize = 64;

/// The last component of a path. `/` separates; a trailing one is ignored.
pub fn base(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.rsplit('/').next().unwrap_or(path)
}

/// The directory's own name in which a path's last component lies: `shop` of `/srv/shop/manage.py`.
pub fn parent_base(path: &str) -> Option<&str> {
    let (dir, _) = path.trim_end_matches('/').rsplit_once('/')?;
    let name = base(dir);
    (!name.is_empty() && name != "." && name != "..").then_some(name)
}

/// A name as it may be shown: printable, without runs of blanks, at most [`MAX_NAME_CHARS`] characters.
pub fn clean(name: &str) -> String {
    let mut out = String::with_capacity(name.len().min(MAX_NAME_CHARS * 4));
    let mut chars = 0;
    let mut blank = false;
    for c in name.chars() {
        if c.is_whitespace() {
            blank = true;
            continue;
        }
        if c.is_control() || is_invisible(c) {
            continue;
        }
        let needs = 1 + usize::from(blank && chars > 0);
        if chars + needs > MAX_NAME_CHARS {
            // The last character gives way to the mark, so that a cut name is seen to be cut.
            out.pop();
            out.push('…');
            break;
        }
        if blank && chars > 0 {
            out.push(' ');
        }
        blank = false;
        out.push(c);
        chars += needs;
    }
    out
}

/// Whether a word of a command line may stand in a name: no assignment, no URL, and not the look of a key.
pub fn is_showable(word: &str) -> bool {
    if word.is_empty() || word.contains('=') || word.contains("://") || word.contains('@') {
        return false;
    }
    let lower = word.to_ascii_lowercase();
    let telling =
        ["password", "passwd", "secret", "token", "apikey", "api_key", "api-key", "bearer", "credential"];
    // `token_server.py` is a program; `token:abc` is not.
    if telling.iter().any(|tell| lower.contains(&format!("{tell}:"))) {
        return false;
    }
    !is_keylike(word)
}

/// Long runs of letters and digits with no word in them: hashes, keys, base64.
fn is_keylike(word: &str) -> bool {
    let longest = word
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '+')
        .filter(|run| run.bytes().filter(u8::is_ascii_digit).count() >= 3)
        .map(str::len)
        .max()
        .unwrap_or(0);
    longest >= 24
}

/// A name of several words: those that may not be shown are left out.
pub fn join(words: &[&str]) -> String {
    let mut out = String::new();
    for word in words.iter().filter(|word| is_showable(word)) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// A program name without a version at its end: `python3.11` → `python`, `php-fpm8.2` → `php-fpm`.
pub fn without_version(program: &str) -> &str {
    let cut = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').trim_end_matches('-');
    if cut.is_empty() { program } else { cut }
}

/// Whether a word is `a.b.c` or `a.b:c` of identifiers: a Python module and its callable.
pub fn is_module_path(word: &str) -> bool {
    let mut parts = word.split([':', '.', '/']);
    !word.is_empty()
        && parts.all(|part| {
            !part.is_empty()
                && !part.starts_with(|c: char| c.is_ascii_digit())
                && part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_printable() {
        let long = clean(&"a".repeat(500));
        assert_eq!(long.chars().count(), MAX_NAME_CHARS);
        assert!(long.ends_with('…'));
        assert_eq!(clean("a".repeat(64).as_str()), "a".repeat(64));
        assert_eq!(clean("  two \n\t words\u{1b}[31m \u{202e}x "), "two words[31m x");
        assert_eq!(clean(&"ü ".repeat(100)).chars().count(), MAX_NAME_CHARS - 1);
        assert_eq!(clean("\u{0}\u{7f}"), "");
    }

    #[test]
    fn paths() {
        assert_eq!(base("/usr/bin/python3"), "python3");
        assert_eq!(base("node"), "node");
        assert_eq!(base("/opt/app/"), "app");
        assert_eq!(base("/"), "");
        assert_eq!(parent_base("/srv/shop/manage.py"), Some("shop"));
        assert_eq!(parent_base("manage.py"), None);
        assert_eq!(parent_base("./manage.py"), None);
        assert_eq!(parent_base("/manage.py"), None);
    }

    #[test]
    fn versions_end_a_program_name() {
        for (program, want) in [
            ("python3.11", "python"),
            ("php-fpm8.2", "php-fpm"),
            ("java", "java"),
            ("perl5.36.0", "perl"),
            ("7z", "7z"),
            ("42", "42"),
            ("lua5.4", "lua"),
        ] {
            assert_eq!(without_version(program), want);
        }
    }

    #[test]
    fn words_that_may_carry_a_secret_are_left_out() {
        for word in [
            "--password=x",
            "PASSWORD=hunter2",
            "postgres://u:p@db/x",
            "user:pw@host",
            "token:abc",
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0",
            "9f86d081884c7d659a2feaa0c55ad015",
            "",
        ] {
            assert!(!is_showable(word), "{word}");
        }
        for word in
            ["server.js", "front:app", "token_server.py", "my-very-long-service-name-without-digits", "a1"]
        {
            assert!(is_showable(word), "{word}");
        }
        assert_eq!(join(&["node", "--key=abc", "server.js"]), "node server.js");
    }

    #[test]
    fn module_paths() {
        for word in ["front:app", "shop.wsgi", "a.b.c:make_app", "app"] {
            assert!(is_module_path(word), "{word}");
        }
        for word in ["0.0.0.0:80", ":8000", "a..b", "", "x y", "unix:/run/x.sock?"] {
            assert!(!is_module_path(word), "{word}");
        }
    }
}
