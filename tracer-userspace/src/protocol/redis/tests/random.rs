//! Any conversation, in any split into calls of which the first can be recognised, and with any records lost: each command is paired with its own answer, or with none.

use proptest::prelude::*;

use super::*;

/// What a command says, so that a wrong answer shows: the number of its arguments is in its target, and the answer is an error with
/// a code of as many letters.
fn command(arguments: usize, value: usize) -> Vec<u8> {
    let mut words = vec!["SET".to_string()];
    words.extend((0..arguments).map(|_| "v".repeat(value)));
    array(&words.join(" "))
}

fn answer(arguments: usize, style: u8) -> Vec<u8> {
    let code = "E".repeat(arguments);
    match style % 3 {
        0 => format!("-{code} text\r\n"),
        1 => format!("!{}\r\n{code} text\r\n", arguments + 5),
        _ => format!("|1\r\n+ttl\r\n:1\r\n-{code} text\r\n"),
    }
    .into_bytes()
}

#[derive(Clone, Debug)]
struct Talk {
    arguments: usize,
    value: usize,
    style: u8,
}

fn talks() -> impl Strategy<Value = Vec<Talk>> {
    let one = (1..8usize, 0..40usize, 0..2u8).prop_map(|(arguments, value, style)| Talk {
        arguments,
        value: value + 1,
        style,
    });
    prop::collection::vec(one, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn right_or_absent(
        talks in talks(),
        batch in 1..5usize,
        cuts in prop::collection::vec(9..60usize, 0..6),
        lost in prop::collection::vec(0..200usize, 0..4),
        missed in any::<bool>(),
    ) {
        let mut kernel = client();
        let mut at = 0;
        for talks in talks.chunks(batch) {
            let asked: Vec<u8> = talks.iter().flat_map(|talk| command(talk.arguments, talk.value)).collect();
            let answered: Vec<u8> = talks.iter().flat_map(|talk| answer(talk.arguments, talk.style)).collect();
            for (dir, bytes) in [(Tx, asked), (Rx, answered)] {
                let mut rest = &bytes[..];
                let mut sizes = cuts.iter().cycle();
                while !rest.is_empty() {
                    let size = sizes.next().copied().unwrap_or(usize::MAX).min(rest.len());
                    let (call, after) = rest.split_at(size);
                    at += 1000;
                    kernel.call(dir, call, at);
                    rest = after;
                }
            }
        }
        if missed {
            kernel.missed(at);
        }
        kernel.close(at + 1000);
        for at in &lost {
            kernel.lose(*at);
        }
        let all = told(&kernel);
        for one in &all {
            let arguments = one.target.matches('?').count();
            if let Some((head, _)) = &one.response
                && one.outcome() == Some(Outcome::Complete)
            {
                let code = head.error.as_deref().unwrap_or_default();
                if code == "ERR" {
                    // It was out of sight.
                    prop_assert!(!lost.is_empty());
                    continue;
                }
                prop_assert_eq!(code.len(), arguments, "{:?}", one);
            }
        }
        if lost.is_empty() && !missed {
            prop_assert_eq!(all.len(), talks.len());
            prop_assert!(all.iter().all(|one| one.outcome() == Some(Outcome::Complete)));
        }
    }

    #[test]
    fn random_bytes_are_not_redis(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        prop_assert!(!super::super::is_command(&bytes));
    }
}
