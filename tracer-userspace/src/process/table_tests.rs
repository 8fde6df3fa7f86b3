//! Lives of processes, told in events and readings.

use super::*;
use crate::service::NameSource;

struct World(ProcessTable);

fn comm(name: &str) -> [u8; 16] {
    let mut padded = [0; 16];
    padded[..name.len()].copy_from_slice(name.as_bytes());
    padded
}

fn facts(pid: u32, ppid: u32, exe: &str, line: &str) -> ProcessFacts {
    ProcessFacts {
        pid,
        ppid,
        start_ticks: u64::from(pid),
        exe: Some(exe.to_owned()),
        comm: exe.rsplit('/').next().unwrap().chars().take(15).collect(),
        args: line.split(' ').map(str::to_owned).collect(),
        ..ProcessFacts::default()
    }
}

impl World {
    fn new() -> Self {
        Self(ProcessTable::new())
    }

    fn fork(&mut self, at: u64, parent: u32, child: u32, name: &str) {
        let stamp = Stamp { at: Nanos(at), tgid: child, tid: child, ..Stamp::default() };
        self.0.change(stamp, ProcessChange::Fork { parent }, &comm(name));
    }

    fn exec(&mut self, at: u64, pid: u32, name: &str) {
        self.0.change(
            Stamp { at: Nanos(at), tgid: pid, tid: pid, ..Stamp::default() },
            ProcessChange::Exec,
            &comm(name),
        );
    }

    fn exit(&mut self, at: u64, pid: u32) {
        self.0.change(
            Stamp { at: Nanos(at), tgid: pid, tid: pid, ..Stamp::default() },
            ProcessChange::Exit,
            &comm(""),
        );
    }

    fn read(&mut self, begin: u64, end: u64, facts: ProcessFacts) {
        self.0.set_facts(facts, Window { begin: Nanos(begin), end: Nanos(end) });
    }

    fn name(&mut self, pid: u32, at: u64) -> Option<String> {
        self.0.service_at(pid, Nanos(at)).map(|name| name.name.to_string())
    }

    /// Asserts the name at a time.
    fn is(&mut self, pid: u32, at: u64, name: &str) {
        assert_eq!(self.name(pid, at).as_deref(), Some(name), "{pid} at {at}");
    }
}

#[test]
fn a_process_that_was_there_before() {
    let mut world = World::new();
    world.read(100, 101, facts(1, 0, "/usr/bin/node", "node server.js"));
    world.is(1, 5, "node server.js");
    world.is(1, 5000, "node server.js");
    assert_eq!(world.name(2, 5), None);
    let resolved = world.0.at(1, Nanos(5)).unwrap();
    assert!(resolved.own);
}

#[test]
fn a_child_is_its_parents_program_until_it_begins_its_own() {
    let mut world = World::new();
    world.read(1, 2, facts(10, 1, "/usr/bin/node", "node server.js"));
    world.fork(100, 10, 11, "node");
    world.is(11, 100, "node server.js");
    assert!(!world.0.at(11, Nanos(100)).unwrap().own);
    world.exec(110, 11, "convert");
    world.is(11, 109, "node server.js");
    world.is(11, 110, "convert");
    world.read(120, 121, facts(11, 10, "/usr/bin/convert-im6", "convert a b"));
    world.is(11, 115, "convert-im6");
    world.is(11, 105, "node server.js");
}

#[test]
fn a_process_that_lived_for_twenty_milliseconds_is_known_by_its_parent_and_its_command_name() {
    let mut world = World::new();
    let mut server = facts(10, 1, "/usr/sbin/apache2", "/usr/sbin/apache2 -k start");
    server.unit = Some("shop.service".into());
    world.read(1, 2, server.clone());
    world.fork(100, 10, 11, "apache2");
    world.exec(101, 11, "report.cgi");
    world.exit(120_000_000, 11);
    // Of one unit, it is that unit's service.
    world.is(11, 110, "shop");
    server.unit = None;
    world.read(200_000_000, 200_000_001, server);
    world.is(11, 110, "report.cgi");
    assert_eq!(world.0.service_at(11, Nanos(110)).unwrap().source, NameSource::Comm);
    // Gone before anything could be read.
    world.read(130_000_000, 130_000_001, ProcessFacts { pid: 11, ..ProcessFacts::default() });
    world.is(11, 110, "report.cgi");
}

#[test]
fn facts_read_late_belong_to_the_program_of_their_time() {
    let mut world = World::new();
    // Read at 50, before the exec of 20 was heard of.
    world.read(50, 51, facts(10, 1, "/usr/bin/node", "node server.js"));
    world.exec(20, 10, "node");
    world.is(10, 20, "node server.js");
    assert_eq!(world.name(10, 19), None);
    // Read before an exec, they stay where they were.
    world.exec(60, 10, "sh");
    world.is(10, 59, "node server.js");
    world.is(10, 60, "sh (script unknown)");
}

#[test]
fn facts_read_across_a_change_are_thrown_away() {
    let mut world = World::new();
    world.read(10, 20, facts(10, 1, "/usr/bin/node", "node server.js"));
    world.exec(15, 10, "shop");
    assert_eq!(world.0.ambiguous(), 1);
    world.is(10, 30, "shop");
    assert_eq!(world.name(10, 5), None);
    world.exec(100, 10, "cart");
    world.read(95, 105, facts(10, 1, "/usr/bin/node", "node server.js"));
    assert_eq!(world.0.ambiguous(), 2);
    world.is(10, 101, "cart");
    world.is(10, 99, "shop");
}

#[test]
fn a_number_that_is_used_again_is_another_process() {
    let mut world = World::new();
    world.read(1, 2, facts(10, 1, "/usr/bin/node", "node server.js"));
    world.read(1, 2, facts(20, 1, "/srv/shop", "/srv/shop"));
    world.exit(100, 10);
    world.fork(200, 20, 10, "shop");
    world.is(10, 100, "node server.js");
    world.is(10, 199, "node server.js");
    world.is(10, 200, "shop");
}

#[test]
fn the_dead_make_no_calls() {
    let mut world = World::new();
    world.read(1, 2, facts(10, 1, "/usr/bin/node", "node server.js"));
    world.exit(100, 10);
    // The kernel closes the sockets after it reports the exit.
    world.is(10, 1_000_000, "node server.js");
    assert_eq!(world.name(10, 2_000_000_000), None);
    // Its fork was lost; what is read shows who it is.
    world.read(3_000_000_000, 3_000_000_001, facts(10, 1, "/srv/shop", "/srv/shop"));
    world.is(10, 2_000_000_000, "shop");
    world.is(10, 100, "node server.js");
}

#[test]
fn another_start_time_is_another_process_even_when_all_its_events_were_lost() {
    let mut world = World::new();
    world.read(1, 2, facts(10, 1, "/usr/bin/node", "node server.js"));
    world.read(100, 101, ProcessFacts { start_ticks: 77, ..facts(10, 1, "/srv/shop", "/srv/shop") });
    world.is(10, 2, "node server.js");
    world.is(10, 100, "shop");
    // In between nobody knows.
    assert_eq!(world.name(10, 50), None);
}

#[test]
fn workers_have_their_servers_name_however_the_facts_come() {
    let master = facts(10, 1, "/usr/bin/python3.11", "/usr/bin/python3 /usr/bin/gunicorn front:app");
    let worker = |pid| ProcessFacts {
        args: vec!["gunicorn: worker [front:app]".into()],
        ..facts(pid, 10, "/usr/bin/python3.11", "")
    };
    let mut world = World::new();
    world.read(1, 2, worker(11));
    world.is(11, 5, "gunicorn front:app");
    let mut named = master.clone();
    named.env.otel_service_name = Some("front".into());
    world.read(3, 4, named);
    world.is(11, 5, "front");
    world.fork(100, 10, 12, "gunicorn");
    world.is(12, 100, "front");
    world.read(101, 102, worker(12));
    world.is(12, 103, "front");
    // The server's end does not rename its workers.
    world.exit(200, 10);
    world.is(12, 5_000_000_000, "front");
}

#[test]
fn events_out_of_order_give_the_same_table() {
    let mut world = World::new();
    world.read(1, 2, facts(1, 0, "/bin/bash", "bash run.sh"));
    world.exit(300, 11);
    world.exec(200, 11, "shop");
    world.exit(300, 11);
    world.fork(100, 1, 11, "bash");
    world.exec(200, 11, "shop");
    world.is(11, 150, "bash run.sh");
    world.is(11, 250, "shop");
    assert_eq!(world.name(11, 5_000_000_000), None);
    assert_eq!(world.0.len(), 3);
}

#[test]
fn an_exit_heard_of_before_its_programs_beginning_is_still_its_end() {
    let mut world = World::new();
    world.fork(100, 1, 11, "bash");
    world.exit(300, 11);
    world.exec(200, 11, "shop");
    world.is(11, 250, "shop");
    assert_eq!(world.name(11, 5_000_000_000), None);
}

#[test]
fn loops_of_parents_end() {
    let mut world = World::new();
    world.fork(100, 12, 11, "a");
    world.fork(100, 11, 12, "b");
    world.fork(100, 13, 13, "c");
    world.is(11, 150, "a");
    world.is(12, 150, "b");
    world.is(13, 150, "c");
    for pid in 100..400 {
        world.fork(200, pid - 1, pid, "deep");
    }
    world.is(399, 300, "deep");
}

#[test]
fn what_is_over_is_forgotten() {
    let mut world = World::new();
    world.read(1, 2, facts(10, 1, "/usr/bin/node", "node server.js"));
    for pid in 100..200 {
        world.fork(u64::from(pid), 10, pid, "node");
        world.exit(u64::from(pid) + 10, pid);
    }
    assert_eq!(world.0.len(), 101);
    world.0.forget_before(Nanos(160));
    assert_eq!(world.0.len(), 51);
    assert_eq!(world.name(149, 155), None);
    world.is(150, 155, "node server.js");
    // A program that was never read keeps the one before it, from which it has its place.
    world.exec(300, 10, "next");
    world.0.forget_before(Nanos(1000));
    assert_eq!(world.0.len(), 2);
    world.read(400, 401, facts(10, 1, "/srv/next", "/srv/next"));
    world.0.forget_before(Nanos(1000));
    assert_eq!(world.0.len(), 1);
    assert!(world.0.fact_bytes < 2000, "{}", world.0.fact_bytes);
    world.is(10, 1000, "next");
}

#[test]
fn the_table_is_bounded_and_the_longest_dead_go_first() {
    let mut world = World::new();
    world.read(1, 2, facts(10, 1, "/usr/bin/node", "node server.js"));
    for n in 0..100_000u32 {
        world.fork(u64::from(n) * 10 + 10, 10, 1000 + n, "node");
        world.exit(u64::from(n) * 10 + 15, 1000 + n);
    }
    assert!(world.0.len() <= MAX_INCARNATIONS, "{}", world.0.len());
    assert!(world.0.dropped() >= 60_000);
    world.is(10, 1_000_000, "node server.js");
    world.is(1000 + 99_999, 1_000_000, "node server.js");
}

#[test]
fn a_full_table_of_the_living_takes_no_more_but_forgets_old_programs() {
    let mut world = World::new();
    for pid in 1..=MAX_INCARNATIONS as u32 {
        world.read(1, 2, facts(pid, 0, "/srv/shop", "/srv/shop"));
    }
    world.fork(10, 1, 9_999_999, "late");
    assert_eq!((world.0.len(), world.0.dropped()), (MAX_INCARNATIONS, 1));
    assert_eq!(world.name(9_999_999, 20), None);
    world.exec(30, 5, "cart");
    world.is(5, 40, "cart");
    assert!(world.0.len() <= MAX_INCARNATIONS);
}

#[test]
fn command_lines_are_cut_when_there_are_too_many_bytes_of_them() {
    let mut world = World::new();
    let long = format!("node server.js {}", "é".repeat(7000));
    for pid in 1..4000 {
        world.read(1, 2, facts(pid, 0, "/usr/bin/node", &long));
    }
    assert!(world.0.shortened() > 0);
    assert!(world.0.fact_bytes <= MAX_FACT_BYTES + 4000 * 1200, "{}", world.0.fact_bytes);
    world.is(3999, 5, "node server.js");
}

#[test]
fn random_lives_never_break_the_table() {
    let mut world = World::new();
    let mut state = 42u64;
    let mut pick = |from: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % from
    };
    for _ in 0..50_000 {
        let (pid, other, at) = (pick(20) as u32, pick(20) as u32, pick(1000));
        match pick(6) {
            0 => world.fork(at, other, pid, "x"),
            1 => world.exec(at, pid, "y"),
            2 => world.exit(at, pid),
            3 => world.read(
                at,
                at + pick(50),
                ProcessFacts { start_ticks: pick(4), ..facts(pid, other, "/bin/z", "z") },
            ),
            4 if pick(100) == 0 => world.0.forget_before(Nanos(at)),
            _ => drop(world.name(pid, at)),
        }
    }
    let held: usize = world.0.rows.values().flatten().map(Incarnation::weight).sum();
    assert_eq!(world.0.fact_bytes, held);
    assert_eq!(world.0.len(), world.0.rows.values().map(Vec::len).sum::<usize>());
    for row in world.0.rows.values() {
        assert!(!row.is_empty() && row.windows(2).all(|pair| pair[0].from <= pair[1].from));
    }
}
