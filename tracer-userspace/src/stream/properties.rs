//! Properties of the stream and protocol stages, for conversations that are made up and, where one fails, made smaller.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;

use super::script::{Framing, Script, Summary, Talk};
use super::simulate::Variation;
use crate::exchange::Outcome;

fn framing() -> impl Strategy<Value = Framing> {
    prop_oneof![
        Just(Framing::Absent),
        (0u16..300).prop_map(Framing::Length),
        (0u16..12_000).prop_map(Framing::Length),
        vec(1u16..6_000, 0..5).prop_map(Framing::Chunks),
    ]
}

fn talk() -> impl Strategy<Value = Talk> {
    let method = prop_oneof![3 => Just("GET"), 2 => Just("POST"), 1 => Just("HEAD")];
    let padding = weighted(0.2, 0u16..6_000).prop_map(Option::unwrap_or_default);
    (method, framing(), framing(), padding, any::<bool>()).prop_map(
        |(method, request, response, padding, interim)| Talk { method, request, response, padding, interim },
    )
}

/// Calls of all sizes: single bytes, pieces of heads, whole messages.
fn cuts() -> impl Strategy<Value = Vec<u16>> {
    prop_oneof![
        1 => Just(Vec::new()),
        1 => Just(vec![1]),
        3 => vec(1u16..40, 1..8),
        3 => vec(1u16..5_000, 1..8),
    ]
}

fn script(batches: bool, gaps: usize) -> impl Strategy<Value = Script> {
    let batch = if batches { 1u8..9 } else { 1u8..2 };
    let numbers = move |most: usize| vec(0u8..60, 0..most + 1);
    let variation = (any::<bool>(), any::<bool>()).prop_map(|(tail_at_end, no_tails)| Variation {
        tail_at_end,
        no_tails,
        ..Variation::default()
    });
    (
        vec(talk(), 1..12),
        any::<bool>(),
        batch,
        cuts(),
        numbers(gaps),
        numbers(gaps),
        numbers(gaps / 2),
        variation,
    )
        .prop_map(|(talks, client, batch, cuts, hidden, lost, missed, variation)| Script {
            talks,
            client,
            batch,
            cuts,
            hidden,
            lost,
            missed,
            mimicry: false,
            variation,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// However the bytes are split into calls: the same methods, targets, statuses, sizes and outcomes.
    #[test]
    fn any_split_gives_the_same_exchanges(script in script(true, 0)) {
        script.check_split();
    }

    /// The same where bodies are only counted, for exchanges one by one. Only when a body ended may then be uncertain.
    #[test]
    fn any_split_gives_the_same_exchanges_where_bodies_are_only_counted(script in script(false, 0)) {
        let script = script.in_sight();
        let shown = |all: Vec<Summary>| -> Vec<_> {
            all.into_iter().map(|told| (told.method, told.target, told.status, told.request, told.response)).collect()
        };
        let told = script.tell(false);
        for one in &told {
            let fine = matches!(one.outcome, Some(Outcome::Complete | Outcome::EndUnframed));
            prop_assert!(fine && !one.truncated, "{:?}", one);
        }
        prop_assert_eq!(shown(told), shown(script.expected()));
    }

    /// Whatever is out of sight: nothing panics, the account closes at every moment, no response is paired with another's
    /// request, and no bytes behind a gap are attached to a message before it that is said to be whole.
    #[test]
    fn no_gap_attaches_what_follows_to_what_was_before(script in script(true, 6), all in any::<bool>()) {
        script.check_gaps(all);
    }
}
