use super::super::samples::learned;
use super::*;

#[test]
fn what_was_learned_comes_back_and_is_written_the_same_again() {
    let bytes = encode(&learned()).unwrap();
    assert_eq!(decode(&bytes), Some(learned()));
    assert_eq!(encode(&decode(&bytes).unwrap()), Some(bytes));
    assert_eq!(encode(&Learned::default()), None);
}

#[test]
fn counts_by_another_division_and_other_messages_are_refused() {
    let mut message = wire::Learned::decode(&*encode(&learned()).unwrap()).unwrap();
    message.division += 1;
    assert_eq!(decode(&message.encode_to_vec()), None);
    assert_eq!(decode(b"\xff\xff"), None);
}

#[test]
fn kinds_of_evidence_are_known_by_their_names() {
    let mut message = wire::Learned::decode(&*encode(&learned()).unwrap()).unwrap();
    // Written by a version that knew one kind of evidence more, and had them in another order.
    let kinds = EVIDENCE_BINS as u32;
    message.evidence.insert(0, "omens".to_owned());
    for service in &mut message.services {
        for counted in service.steps.iter_mut().chain(&mut service.random) {
            counted.evidence_bins.iter_mut().for_each(|bin| *bin += kinds);
            counted.evidence_bins.push(2);
            counted.evidence_counts.push(99);
        }
    }
    assert_eq!(decode(&message.encode_to_vec()), Some(learned()));
}

#[test]
fn steps_that_cannot_be_cost_only_themselves() {
    let good = wire::Learned::decode(&*encode(&learned()).unwrap()).unwrap();
    let spoil: [fn(&mut wire::Counted); 8] = [
        |step| (step.after, step.request) = (0, 2),
        |step| step.after = 3,
        |step| (step.after, step.nth) = (1, 3),
        |step| step.next = 3,
        |step| step.way = 4,
        |step| step.way = -1,
        |step| step.gap_bins = vec![112, 300],
        |step| (step.pairs, step.crossed) = (1, 2),
    ];
    for (case, spoil) in spoil.iter().enumerate() {
        let mut message = good.clone();
        let steps = &mut message.services[0].steps;
        spoil(&mut steps[0]);
        let read = decode(&message.encode_to_vec()).unwrap();
        let count = |name: &str| read.of(name).unwrap().steps().count();
        assert_eq!((count("cart"), count("shop")), (3, 4), "{case}");
    }
    // The same step twice: the first is kept.
    let mut message = good.clone();
    let again = message.services[0].steps[0].clone();
    message.services[0].steps.push(wire::Counted { steps: 1, ..again });
    assert_eq!(decode(&message.encode_to_vec()), decode(&good.encode_to_vec()));
}

#[test]
fn a_frame_does_not_become_larger_than_readers_take() {
    let one = learned();
    let lesson = one.of("shop").unwrap();
    let mut all = Learned::default();
    for number in 0..60 {
        all.add(&Arc::from(format!("{number}{}", "x".repeat(40_000))), lesson);
    }
    all.add(&Arc::from("well known"), lesson);
    all.add(&Arc::from("well known"), lesson);
    let bytes = encode(&all).unwrap();
    assert!((MOST_BYTES / 2..=MOST_BYTES).contains(&bytes.len()), "{}", bytes.len());
    assert!(decode(&bytes).unwrap().of("well known").is_some(), "the best known are kept");
}
