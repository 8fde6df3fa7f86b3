//! The cases of docs/breakdown.md, computed by hand there.

use super::samples::{detached, in_ms, node};
use super::{Node, Tree, critical_path, self_times};

/// Self times in milliseconds, and the critical path of the first span.
#[track_caller]
fn check(nodes: &[Node], own: &[u64], path: &[(usize, i64, i64)]) {
    let times: Vec<u64> = self_times(nodes).iter().map(|nanos| nanos / 1_000_000).collect();
    assert_eq!(times, own, "self times");
    assert_eq!(in_ms(&critical_path(nodes, 0)), path, "critical path");
}

#[test]
fn a_span_alone_is_its_own() {
    check(&[node(None, 0, 100)], &[100], &[(0, 0, 100)]);
}

#[test]
fn calls_one_after_another_leave_the_time_between_them() {
    check(
        &[node(None, 0, 100), node(Some(0), 10, 40), node(Some(0), 50, 90)],
        &[30, 30, 40],
        &[(0, 0, 10), (1, 10, 40), (0, 40, 50), (2, 50, 90), (0, 90, 100)],
    );
}

#[test]
fn of_calls_at_the_same_time_the_last_to_end_is_on_the_path() {
    check(
        &[node(None, 0, 100), node(Some(0), 10, 50), node(Some(0), 10, 90), node(Some(0), 10, 70)],
        &[20, 40, 80, 60],
        &[(0, 0, 10), (2, 10, 90), (0, 90, 100)],
    );
}

#[test]
fn a_call_that_overlaps_the_next_one_was_not_what_that_waited_for() {
    check(
        &[node(None, 0, 100), node(Some(0), 0, 60), node(Some(0), 50, 100)],
        &[0, 60, 50],
        &[(0, 0, 50), (2, 50, 100)],
    );
}

#[test]
fn two_at_a_time_the_path_leads_through_those_that_made_room() {
    // 1 and 2 run first; 3 takes the place of 2, 4 that of 1.
    check(
        &[
            node(None, 0, 100),
            node(Some(0), 0, 50),
            node(Some(0), 0, 40),
            node(Some(0), 40, 90),
            node(Some(0), 50, 100),
        ],
        &[0, 50, 40, 50, 50],
        &[(1, 0, 50), (4, 50, 100)],
    );
}

#[test]
fn equal_ends_go_to_the_one_that_began_first_and_then_to_the_one_that_stands_first() {
    check(
        &[node(None, 0, 100), node(Some(0), 30, 80), node(Some(0), 20, 80), node(Some(0), 20, 80)],
        &[40, 50, 60, 60],
        &[(0, 0, 20), (2, 20, 80), (0, 80, 100)],
    );
}

#[test]
fn a_child_that_begins_before_its_parent_is_cut() {
    check(&[node(None, 10, 100), node(Some(0), 0, 40)], &[60, 40], &[(1, 10, 40), (0, 40, 100)]);
}

#[test]
fn a_child_that_outlives_its_parent_may_have_been_waited_for_since_the_last_other_end() {
    // Given up at 100: nothing else explains the wait.
    check(&[node(None, 0, 100), node(Some(0), 5, 130)], &[5, 125], &[(0, 0, 5), (1, 5, 100)]);
    // Not what the request waited for until 95: that is the other call.
    check(
        &[node(None, 0, 100), node(Some(0), 5, 300), node(Some(0), 10, 95)],
        &[5, 295, 85],
        &[(0, 0, 10), (2, 10, 95), (1, 95, 100)],
    );
    // Two of them: the one that began first.
    check(
        &[node(None, 0, 100), node(Some(0), 60, 400), node(Some(0), 20, 110)],
        &[20, 340, 90],
        &[(0, 0, 20), (2, 20, 100)],
    );
    // Of equal beginnings the one that ended last.
    check(
        &[node(None, 0, 100), node(Some(0), 20, 110), node(Some(0), 20, 120)],
        &[20, 90, 100],
        &[(0, 0, 20), (2, 20, 100)],
    );
}

#[test]
fn what_lies_below_a_child_that_outlives_its_parent_is_cut_with_it() {
    check(
        &[node(None, 0, 100), node(Some(0), 10, 200), node(Some(1), 20, 150), node(Some(1), 30, 40)],
        &[10, 60, 130, 10],
        &[(0, 0, 10), (1, 10, 30), (3, 30, 40), (2, 40, 100)],
    );
}

#[test]
fn a_child_outside_its_parent_counts_for_nothing() {
    check(
        &[node(None, 50, 100), node(Some(0), 0, 50), node(Some(0), 100, 120), node(Some(0), 10, 30)],
        &[50, 50, 20, 20],
        &[(0, 50, 100)],
    );
}

#[test]
fn spans_without_length_are_on_no_path() {
    check(
        &[node(None, 0, 100), node(Some(0), 40, 40), node(Some(1), 40, 40), node(Some(0), 100, 100)],
        &[100, 0, 0, 0],
        &[(0, 0, 100)],
    );
    check(&[node(None, 7, 7), node(Some(0), 0, 20)], &[0, 20], &[]);
}

#[test]
fn detached_children_are_nobodys_time() {
    check(
        &[node(None, 0, 100), detached(Some(0), 10, 90), node(Some(0), 20, 30), node(Some(1), 20, 80)],
        &[90, 20, 10, 60],
        &[(0, 0, 20), (2, 20, 30), (0, 30, 100)],
    );
}

#[test]
fn between_both_ends_of_a_call_lies_the_clients_own_time() {
    // Client 0, the server's end of the same call 1, and what the server called 2.
    check(
        &[node(None, 0, 100), node(Some(0), 3, 95), node(Some(1), 10, 90)],
        &[8, 12, 80],
        &[(0, 0, 3), (1, 3, 10), (2, 10, 90), (1, 90, 95), (0, 95, 100)],
    );
}

#[test]
fn each_root_of_a_trace_has_its_own_path() {
    let nodes = [node(None, 0, 10), node(None, 20, 60), node(Some(1), 30, 40), node(Some(9), 70, 80)];
    let tree = Tree::new(nodes);
    assert_eq!(tree.roots().collect::<Vec<_>>(), [0, 1, 3]);
    assert_eq!(tree.longest_root(), Some(1));
    assert_eq!(in_ms(&tree.critical_path(0)), [(0, 0, 10)]);
    assert_eq!(in_ms(&tree.critical_path(1)), [(1, 20, 30), (2, 30, 40), (1, 40, 60)]);
    // Any span can be looked at as a root.
    assert_eq!(in_ms(&tree.critical_path(2)), [(2, 30, 40)]);
    assert_eq!(tree.critical_path(4), []);
    assert_eq!((Tree::new([]).longest_root(), self_times(&[])), (None, vec![]));
}

#[test]
fn a_circle_is_opened_at_the_span_that_begins_first() {
    let nodes = [node(Some(2), 20, 30), node(Some(0), 5, 25), node(Some(1), 10, 40), node(Some(3), 0, 1)];
    let tree = Tree::new(nodes);
    assert_eq!(tree.roots().collect::<Vec<_>>(), [1, 3]);
    assert_eq!(
        tree.nodes().iter().map(|node| node.parent).collect::<Vec<_>>(),
        [Some(2), None, Some(1), None]
    );
    assert_eq!(in_ms(&tree.critical_path(1)), [(1, 5, 10), (2, 10, 20), (0, 20, 25)]);
}

#[test]
fn times_that_do_not_fit_end_with_the_last_nanosecond() {
    let node = |parent, start, duration| Node { parent, start, duration, detached: false };
    let nodes = [
        node(None, i64::MIN, u64::MAX),
        node(Some(0), i64::MAX - 10, u64::MAX),
        node(Some(0), i64::MIN, 5),
        node(Some(0), i64::MAX, 7),
    ];
    assert_eq!(self_times(&nodes), [u64::MAX - 15, 10, 5, 0]);
    let path = critical_path(&nodes, 0);
    assert_eq!(path.iter().map(|segment| segment.length()).collect::<Vec<_>>(), [5, u64::MAX - 15, 10]);
    assert_eq!(path.iter().map(|segment| segment.span).collect::<Vec<_>>(), [2, 0, 1]);
}

#[test]
fn a_hundred_thousand_spans_are_neither_too_deep_nor_too_many() {
    let many = 100_000;
    let deep: Vec<Node> = (0..many)
        .map(|at| Node {
            parent: (at > 0).then(|| at as usize - 1),
            start: at,
            duration: 2 * (many - at) as u64,
            detached: false,
        })
        .collect();
    assert_eq!(critical_path(&deep, 0).len(), 2 * many as usize - 1);
    assert!(self_times(&deep).iter().all(|own| *own == 2));
    let wide: Vec<Node> = (0..many)
        .map(|at| match at {
            0 => Node { parent: None, start: 0, duration: 3 * many as u64, detached: false },
            _ => Node { parent: Some(0), start: 3 * at, duration: 2, detached: false },
        })
        .collect();
    assert_eq!(critical_path(&wide, 0).len(), 2 * many as usize - 1);
    assert_eq!(self_times(&wide)[0], many as u64 + 2);
    // One circle of all of them, and all of them roots.
    let circle: Vec<Node> =
        deep.iter().map(|node| Node { parent: node.parent.or(Some(99_999)), ..*node }).collect();
    assert_eq!(critical_path(&circle, 0), critical_path(&deep, 0));
    let tree = Tree::new(deep.iter().map(|node| Node { parent: None, ..*node }));
    assert!(tree.roots().all(|root| tree.critical_path(root).len() == 1));
}
