//! What holds for any input.

use proptest::prelude::*;

use super::findings::Collector;
use super::statement::{Kind, Named};
use super::tree::length;
use super::{Node, Tree, View, critical_path, self_times, statement};

/// Times that meet often, and times that overflow.
fn time() -> impl Strategy<Value = i64> {
    prop_oneof![8 => 0_i64..40, 1 => any::<i64>(), 1 => Just(i64::MIN), 1 => Just(i64::MAX)]
}

fn node() -> impl Strategy<Value = Node> {
    let duration = prop_oneof![8 => 0_u64..40, 1 => any::<u64>(), 1 => Just(u64::MAX)];
    (prop::option::weighted(0.9, 0_usize..14), time(), duration, prop::bool::weighted(0.1))
        .prop_map(|(parent, start, duration, detached)| Node { parent, start, duration, detached })
}

fn nodes() -> impl Strategy<Value = Vec<Node>> {
    prop::collection::vec(node(), 0..14)
}

fn named() -> impl Strategy<Value = Named<'static>> {
    let kind = prop_oneof![Just(Kind::Client), Just(Kind::Server), Just(Kind::Other)];
    let confidence = prop_oneof![Just(0.5_f32), Just(1.0), Just(f32::NAN), Just(-3.0)];
    let name = || prop_oneof![Just("a"), Just("b"), Just(""), Just("\u{1b}[2J\n")];
    (
        (node(), name(), name(), prop::option::of(name()), kind),
        (any::<bool>(), prop::option::of(confidence), any::<bool>()),
    )
        .prop_map(|((node, service, operation, peer, kind), (incomplete, confidence, error))| Named {
            node,
            service,
            operation,
            peer,
            kind,
            incomplete,
            confidence,
            error,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_critical_path_tiles_its_root(nodes in nodes(), root in 0_usize..14) {
        let path = critical_path(&nodes, root);
        let Some(node) = nodes.get(root) else {
            prop_assert!(path.is_empty());
            return Ok(());
        };
        prop_assert!(path.iter().all(|segment| segment.start < segment.end));
        prop_assert!(path.windows(2).all(|two| two[0].end == two[1].start && two[0].span != two[1].span));
        match (path.first(), path.last()) {
            (Some(first), Some(last)) => prop_assert_eq!((first.start, last.end), (node.start, node.end())),
            _ => prop_assert_eq!(length(node), 0),
        }
        // Each segment lies within its span, and each span on the path hangs on the root.
        let tree = Tree::new(nodes.iter().copied());
        let below = tree.awaited_below(root);
        for segment in &path {
            let node = &nodes[segment.span];
            prop_assert!(node.start <= segment.start && segment.end <= node.end());
            prop_assert!(below.contains(&segment.span));
        }
    }

    #[test]
    fn what_no_child_covers_is_self_time(nodes in nodes()) {
        let tree = Tree::new(nodes.iter().copied());
        // Counted nanosecond by nanosecond, where there are few of them.
        for (at, own) in self_times(&nodes).into_iter().enumerate().filter(|(at, _)| length(&nodes[*at]) < 100) {
            let within = |node: &Node, time: i64| node.start <= time && time < node.end();
            let bare = (nodes[at].start..nodes[at].end())
                .filter(|time| !tree.awaited(at).any(|(_, child)| within(child, *time)));
            prop_assert_eq!(own, bare.count() as u64);
        }
    }

    #[test]
    fn what_no_child_covers_is_the_spans_own_on_the_path_too(nodes in nodes()) {
        let tree = Tree::new(nodes.iter().copied());
        for root in tree.roots() {
            let walk = tree.walk(root);
            let mut visited: Vec<usize> = walk.visits.iter().map(|visit| visit.span).collect();
            visited.sort_unstable();
            prop_assert!(visited.windows(2).all(|two| two[0] < two[1]), "a span is met once");
            for visit in &walk.visits {
                let own = walk.segments.iter().filter(|segment| segment.span == visit.span);
                let own: u64 = own.map(|segment| segment.length()).sum();
                let window = visit.to.abs_diff(visit.from);
                prop_assert!(own >= window - tree.covered(visit.span, visit.from, visit.to));
            }
        }
    }

    #[test]
    fn one_after_another_self_times_sum_to_the_root(steps in prop::collection::vec((0_u8..3, 0_u64..9), 0..40)) {
        // A program that calls, goes on, and returns.
        let mut nodes = vec![Node { parent: None, start: 0, duration: 0, detached: false }];
        let (mut stack, mut now) = (vec![0], 0);
        for (step, pause) in steps {
            now += pause as i64;
            match step {
                0 | 1 => {
                    nodes.push(Node { parent: stack.last().copied(), start: now, duration: 0, detached: false });
                    stack.push(nodes.len() - 1);
                }
                _ if stack.len() > 1 => {
                    let done = stack.pop().unwrap();
                    nodes[done].duration = now.abs_diff(nodes[done].start);
                }
                _ => {}
            }
        }
        for open in stack {
            nodes[open].duration = now.abs_diff(nodes[open].start);
        }
        let own = self_times(&nodes);
        prop_assert_eq!(own.iter().sum::<u64>(), nodes[0].duration);
        // And each span's is what it has on the path.
        let mut on_path = vec![0; nodes.len()];
        for segment in critical_path(&nodes, 0) {
            on_path[segment.span] += segment.length();
        }
        prop_assert_eq!(own, on_path);
    }

    #[test]
    fn the_order_of_the_spans_does_not_matter(
        mut nodes in prop::collection::vec((0_i64..40, 0_u64..40), 1..12), parents in prop::collection::vec(0_usize..12, 12)
    ) {
        // No two alike, so that no tie is broken by their places.
        nodes.sort_unstable();
        nodes.dedup();
        let tree = |turned: bool| -> Vec<Node> {
            let place = |at: usize| if turned { nodes.len() - 1 - at } else { at };
            let node = |at: usize| Node {
                parent: (at > 0).then(|| place(parents[at] % at)),
                start: nodes[at].0,
                duration: nodes[at].1,
                detached: false,
            };
            (0..nodes.len()).map(|at| node(place(at))).collect()
        };
        let last = nodes.len() - 1;
        let turned = critical_path(&tree(true), last);
        let back: Vec<_> = turned.iter().map(|segment| (last - segment.span, segment.start, segment.end)).collect();
        let path = critical_path(&tree(false), 0);
        prop_assert_eq!(back, path.iter().map(|one| (one.span, one.start, one.end)).collect::<Vec<_>>());
    }

    #[test]
    fn whatever_comes_there_is_a_sentence(spans in prop::collection::vec(named(), 0..14)) {
        let text = statement(&spans);
        prop_assert_eq!(text.is_some(), !spans.is_empty());
        prop_assert!(!text.unwrap_or_default().contains(char::is_control));
        let mut view = View::new(&spans);
        for (root, span) in spans.iter().enumerate() {
            let Some(view) = &mut view else { continue };
            view.look_from(root);
            prop_assert!(view.statement().is_some());
            // Shares are all of the time, each time once.
            prop_assert_eq!(view.shares().iter().map(|share| share.total()).sum::<u64>(), length(&span.node));
        }
        let mut findings = Collector::default();
        findings.add(0, &spans);
        findings.finish();
    }
}
