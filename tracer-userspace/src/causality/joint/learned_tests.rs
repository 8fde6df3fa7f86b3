use super::*;

fn operation(words: &str, to: &str) -> Operation {
    Operation { words: words.into(), to: to.into() }
}

/// A process that has one kind of request, and these kinds of calls, numbered in this order.
fn symbols(calls: &[(&str, &str)]) -> Symbols {
    let mut symbols = Symbols::default();
    symbols.request(0);
    symbols.name_request(0, || Some(operation("GET /front", "")));
    for (kind, (words, to)) in (1..).zip(calls) {
        symbols.call(kind);
        symbols.name_call(kind, || Some(operation(words, to)));
    }
    symbols
}

fn class(after: Result<(u8, u8), u8>, next: Option<u8>) -> usize {
    Kind { after, next, way: 0 }.class(32, 32).unwrap()
}

/// So many steps from the request to the call of a number, each after a delay in the bin `at`.
fn counts(call: u8, at: usize, steps: f32) -> Counts {
    let mut row = Row { steps, ..Row::EMPTY };
    row.gaps[at] = steps;
    row.bins[1][2] = steps;
    let mut counts = Counts::default();
    counts.add_class(class(Err(0), Some(call)), &row, (4.0, 1.0));
    counts.add_at_random(call, &row);
    counts
}

#[test]
fn processes_that_number_their_calls_otherwise_teach_one_lesson() {
    let one = Lesson::of(&counts(0, 7, 10.0), &symbols(&[("GET /b", "x:1"), ("GET /c", "x:1")]));
    let other = Lesson::of(&counts(1, 9, 20.0), &symbols(&[("GET /c", "x:1"), ("GET /b", "x:1")]));
    let mut learned = Learned::default();
    learned.add(&Arc::from("shop"), &one);
    learned.add(&Arc::from("shop"), &other);
    let lesson = learned.of("shop").unwrap();
    assert_eq!(lesson.seen(), 30);
    // A third process, in which the calls have yet other numbers.
    let third = symbols(&[("GET /z", "x:1"), ("GET /c", "x:1"), ("GET /b", "x:1")]);
    let back = lesson.counts(&third);
    let rows: Vec<_> = back.by_class().collect();
    let [(found, row, crossed)] = rows.as_slice() else { panic!("{}", rows.len()) };
    assert_eq!(*found, class(Err(0), Some(2)));
    assert_eq!((row.steps, row.gaps[7], row.gaps[9], row.bins[1][2]), (30.0, 10.0, 20.0, 30.0));
    assert_eq!(*crossed, (8.0, 2.0));
    assert_eq!(back.at_random().filter(|(_, row)| row.steps > 0.0).count(), 1);
}

#[test]
fn an_operation_whose_address_changed_is_known_by_its_words_if_it_is_the_only_one() {
    let lesson = Lesson::of(&counts(0, 7, 10.0), &symbols(&[("GET /b", "10.0.0.1:80")]));
    let is_known = |calls: &[(&str, &str)]| !lesson.counts(&symbols(calls)).is_empty();
    assert!(is_known(&[("GET /b", "10.0.0.9:80")]));
    assert!(is_known(&[("GET /b", "10.0.0.9:80"), ("GET /b", "10.0.0.1:80")]), "one is the very same");
    assert!(!is_known(&[("GET /b", "10.0.0.9:80"), ("GET /b", "10.0.0.8:80")]));
    assert!(!is_known(&[("POST /b", "10.0.0.1:80")]));
}

#[test]
fn operations_without_words_and_the_shared_number_teach_nothing() {
    let mut symbols = symbols(&[]);
    symbols.call(1);
    symbols.name_call(1, || None);
    assert_eq!(Lesson::of(&counts(0, 7, 10.0), &symbols).steps().count(), 0);
    assert_eq!(Lesson::of(&counts(31, 7, 10.0), &symbols).steps().count(), 0);
}

#[test]
fn no_more_is_kept_than_was_said() {
    let names: Vec<String> = (0..31).map(|number| format!("GET /{number}")).collect();
    let calls: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let mut counts = Counts::default();
    for call in 0..31 {
        for next in 0..31 {
            let steps = 1.0 + f32::from(call) * 31.0 + f32::from(next);
            counts.add_class(class(Ok((call, 0)), Some(next)), &Row { steps, ..Row::EMPTY }, (0.0, 0.0));
        }
    }
    let lesson = Lesson::of(&counts, &symbols(&calls));
    assert_eq!(lesson.steps().count(), MOST_STEPS);
    let least = lesson.steps().map(|(_, counted)| counted.steps).min().unwrap();
    assert!(least > 64 * 400, "what was seen most often is kept, not {least}");

    let mut learned = Learned::default();
    for number in 0..MOST_SERVICES + 5 {
        let steps = 1.0 + ((number * 7) % 100) as f32;
        let lesson = Lesson::of(&super::tests::counts(0, 1, steps), &symbols(&[("GET /b", "x")]));
        learned.add(&Arc::from(format!("{number}")), &lesson);
    }
    assert_eq!(learned.services().count(), MOST_SERVICES);
    assert!(learned.of("0").is_none(), "of this one least is known");
    assert!(learned.of("14").is_some());
}
