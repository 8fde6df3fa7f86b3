//! Which values are secrets, told by their names; and what they become before anything is stored or shown.
//!
//! A harmless value masked costs a reader little, a secret shown costs much, so the lists are generous.

/// Whether secrets are masked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Masking {
    /// They become [`MASK`].
    #[default]
    On,
    /// They stay as they are (`--unmask`).
    Off,
}

/// What a masked value becomes.
pub const MASK: &[u8] = b"***";

/// Names whose values are secrets.
const NAMES: &[&str] = &[
    "access_key",
    "apikey",
    "assertion",
    "auth",
    "authorization",
    "awsaccesskeyid",
    "bearer",
    "client_assertion",
    "code",
    "code_verifier",
    "credential",
    "credentials",
    "jwt",
    "key",
    "nonce",
    "otp",
    "pass",
    "passcode",
    "passphrase",
    "passwd",
    "phpsessid",
    "pin",
    "pwd",
    "samlrequest",
    "samlresponse",
    "session",
    "sid",
    "sig",
    "ticket",
    "x_amz_credential",
    "x_goog_credential",
];

/// Endings of names whose values are secrets: `token` is also `access_token`, `csrf_token` and `X-Amz-Security-Token`.
const ENDINGS: &[&str] = &[
    "token",
    "secret",
    "password",
    "passwd",
    "signature",
    "sessionid",
    "session_id",
    "api_key",
    "apikey",
    "_key",
    "_auth",
    "_pwd",
    "_pass",
    "_sig",
    "_code",
    "_otp",
    "_pin",
    "_jwt",
];

/// Longest name that is looked at after decoding; a longer one is treated as sensitive.
const MAX_NAME: usize = 96;

/// Whether the value of that name is a secret. The name is percent-decoded, in lower case, with `-` and `.` read as `_`; it,
/// or what stands in its last brackets (`user[password]`), is one of [`NAMES`] or ends with one of [`ENDINGS`].
pub fn is_sensitive(name: &[u8]) -> bool {
    let mut buffer = [0u8; MAX_NAME];
    let Some(name) = normal(name, &mut buffer) else { return true };
    let inner = name.strip_suffix(b"]").and_then(|name| name.rsplit(|byte| *byte == b'[').next());
    [Some(name), inner].into_iter().flatten().any(|name| {
        NAMES.iter().any(|known| known.as_bytes() == name)
            || ENDINGS.iter().any(|ending| name.ends_with(ending.as_bytes()))
    })
}

/// Whether the value of a header of that name is a secret: by the same lists, and whatever carries a login or a session.
pub fn is_sensitive_header(name: &[u8]) -> bool {
    let known = ["cookie", "cookie2", "set-cookie", "proxy-authorization"];
    known.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name))
        || name.to_ascii_lowercase().ends_with(b"authorization")
        || is_sensitive(name)
}

/// The name percent-decoded, in lower case, `-` and `.` as `_`; `None` if it is too long.
fn normal<'b>(name: &[u8], buffer: &'b mut [u8; MAX_NAME]) -> Option<&'b [u8]> {
    let mut length = 0;
    let mut rest = name;
    while let Some((byte, after)) = rest.split_first() {
        let mut byte = *byte;
        rest = after;
        if byte == b'%'
            && let [high, low, after @ ..] = after
            && let (Some(high), Some(low)) = (char::from(*high).to_digit(16), char::from(*low).to_digit(16))
        {
            byte = (high << 4 | low) as u8;
            rest = after;
        }
        *buffer.get_mut(length)? = match byte {
            b'-' | b'.' => b'_',
            byte => byte.to_ascii_lowercase(),
        };
        length += 1;
    }
    buffer.get(..length)
}

/// A command line whose secrets are masked, word by word. `program` is the last part of the program's path.
pub fn mask_arguments(program: &str, args: &mut [String]) {
    let starts = |names: &[&str]| names.iter().any(|name| program.starts_with(name));
    let mut is_value = false;
    for arg in args.iter_mut().skip(1) {
        if std::mem::take(&mut is_value) {
            *arg = masked();
            continue;
        }
        // -p is the password here, and a port elsewhere.
        if starts(&["mysql", "mariadb"]) && arg.len() > 2 && arg.starts_with("-p") {
            *arg = format!("-p{}", masked());
            continue;
        }
        is_value = (starts(&["redis", "valkey"]) && arg == "-a") || (starts(&["curl"]) && arg == "-u");
        match arg.split_once('=') {
            Some((name, _)) if is_option(name) => *arg = format!("{name}={}", masked()),
            None if arg.starts_with('-') && is_option(arg) => is_value = true,
            _ => mask_userinfo(arg),
        }
    }
}

/// Whether an option's name, or a variable's, says that its value is a secret.
fn is_option(name: &str) -> bool {
    let bare = name.trim_start_matches('-');
    // Java: -Dname=value.
    let property = name.strip_prefix("-D").unwrap_or(bare);
    [bare, property].into_iter().any(|name| !name.is_empty() && is_sensitive(name.as_bytes()))
}

/// Masks what stands between `://` and `@`.
fn mask_userinfo(arg: &mut String) {
    let Some(begin) = arg.find("://").map(|at| at + 3) else { return };
    let Some(rest) = arg.get(begin..) else { return };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    if let Some(at) = rest.get(..end).and_then(|authority| authority.rfind('@')) {
        arg.replace_range(begin..begin + at, &masked());
    }
}

fn masked() -> String {
    String::from_utf8_lossy(MASK).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(program: &str, line: &str) -> String {
        let mut args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        mask_arguments(program, &mut args);
        args.join(" ")
    }

    #[test]
    fn secrets_on_command_lines_are_masked_and_nothing_else() {
        for (program, line, expected) in [
            ("gunicorn", "gunicorn -w 4 -b 0.0.0.0:80 app:app", "gunicorn -w 4 -b 0.0.0.0:80 app:app"),
            ("app", "app --password=hunter2 --port=80", "app --password=*** --port=80"),
            ("app", "app --db-password hunter2 --verbose", "app --db-password *** --verbose"),
            (
                "java",
                "java -Dapi.key=abc -Dname=shop -jar s.jar",
                "java -Dapi.key=*** -Dname=shop -jar s.jar",
            ),
            ("env", "env API_TOKEN=abc ./run", "env API_TOKEN=*** ./run"),
            ("worker", "worker amqp://me:pw@host/v", "worker amqp://***@host/v"),
            ("worker", "worker --broker=amqp://me:pw@host/v", "worker --broker=amqp://***@host/v"),
            ("mysqld", "mysqld -phunter2 -P 3306", "mysqld -p*** -P 3306"),
            ("redis-cli", "redis-cli -a hunter2 ping", "redis-cli -a *** ping"),
            ("curl", "curl -u me:pw http://h/", "curl -u *** http://h/"),
            (
                "nginx",
                "nginx: master process /usr/sbin/nginx -p /srv",
                "nginx: master process /usr/sbin/nginx -p /srv",
            ),
        ] {
            assert_eq!(shown(program, line), expected);
        }
    }
}
