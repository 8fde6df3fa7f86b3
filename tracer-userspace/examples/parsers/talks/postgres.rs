//! PostgreSQL's protocol 3.

use crate::talk::{BULK, Call, Talk, answer, ask, long};

fn typed(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind][..], &(content.len() as u32 + 4).to_be_bytes(), content].concat()
}

fn login() -> Vec<Call> {
    let content = [&[0, 3, 0, 0][..], b"user\0me\0database\0shop\0\0"].concat();
    let parameter = typed(b'S', b"standard_conforming_strings\0on\0");
    vec![
        ask([&(content.len() as u32 + 4).to_be_bytes()[..], &content].concat()),
        answer([typed(b'R', &[0; 4]), parameter, typed(b'K', &[0; 8]), ready()].concat()),
    ]
}

fn ready() -> Vec<u8> {
    typed(b'Z', b"I")
}

fn columns() -> Vec<u8> {
    let column = |name: &[u8]| [name, &[0; 19]].concat();
    typed(b'T', &[&[0, 3][..], &column(b"id"), &column(b"name"), &column(b"email")].concat())
}

fn row(len: usize) -> Vec<u8> {
    let text = vec![b'x'; len];
    typed(b'D', &[&[0, 1][..], &(len as u32).to_be_bytes(), &text].concat())
}

fn rows(count: usize, len: usize) -> Vec<u8> {
    let done = typed(b'C', format!("SELECT {count}\0").as_bytes());
    [columns(), row(len).repeat(count), done, ready()].concat()
}

const QUERY: &[u8] =
    b"SELECT id, name, email FROM users WHERE id = 42 AND name <> 'nobody' ORDER BY id LIMIT 10\0";

/// Its talks.
pub fn talks() -> Vec<Talk> {
    let mut prepared = login();
    let parse = b"s1\0SELECT id, name, email FROM users WHERE id = $1\0\0\0";
    prepared.push(ask([typed(b'P', parse), typed(b'S', &[])].concat()));
    prepared.push(answer([typed(b'1', &[]), ready()].concat()));
    let bind = typed(b'B', b"\0s1\0\0\0\0\x01\0\0\0\x0242\0\0");
    let execute = [bind, typed(b'D', b"P\0"), typed(b'E', &[0; 5]), typed(b'S', &[])].concat();
    let executed = [typed(b'2', &[]), rows(1, 60)].concat();
    let mut large = vec![ask(typed(b'Q', QUERY))];
    large.extend(long(&rows(BULK / 200, 189), usize::MAX));
    let mut cut = vec![ask(typed(b'Q', QUERY))];
    cut.extend(long(&rows(BULK / 200, 189), 64));
    vec![
        Talk::new(
            "PostgreSQL",
            "query of 90 bytes, one row",
            login(),
            vec![ask(typed(b'Q', QUERY)), answer(rows(1, 60))],
        ),
        Talk::new(
            "PostgreSQL",
            "prepared statement, one row",
            prepared,
            vec![ask(execute), answer(executed)],
        ),
        Talk::new("PostgreSQL", "answer of 1 MiB in rows of 200 bytes", login(), large).bulk(),
        Talk::new("PostgreSQL", "the same, 64 bytes of each call captured", login(), cut).bulk(),
    ]
}
