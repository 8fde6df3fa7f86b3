//! One request that asks the same thing over and over.

use super::scenario::*;

const MAIN: u32 = 1000;

/// What is told of a request that made these calls one after another, each of them 2 ms long.
fn told(targets: &[&str]) -> Option<(u32, u64, String)> {
    let mut world = World::default();
    let incoming = world.pipe(None, Some(1));
    let request = world.exchange(incoming, "/in");
    world.recv(request, 0, MAIN);
    let pipe = world.pipe(Some(1), Some(2));
    for (at, target) in (1..).zip(targets) {
        let call = world.exchange(pipe, target);
        world.call(call, at * 3 * MS, MAIN, tid(2, 0), 2 * MS);
    }
    world.reply(request, 100 * MS, MAIN);
    let out = world.run();
    assert!(out.spans.iter().filter(|span| span.tags.n_plus_one.is_some()).count() <= 1);
    let told = out.server(request).tags.n_plus_one.clone()?;
    let json = String::from_utf8(out.json.clone()).unwrap();
    assert!(json.contains(r#""tracer.n_plus_one":"#), "{json}");
    Some((told.count, told.total / MS, told.operation))
}

#[test]
fn five_calls_of_one_operation_are_told() {
    assert_eq!(told(&["/item/1", "/item/2", "/item/3", "/item/4"]), None);
    let five = ["/item/1", "/item/2?x", "/list", "/item/3", "/item/4", "/item/5"];
    assert_eq!(told(&five), Some((5, 10, "GET /item/*".to_owned())));
    assert_eq!(told(&["/a", "/b", "/c", "/d", "/e", "/f"]), None);
}

#[test]
fn the_most_frequent_operation_is_told() {
    let both: Vec<&str> = ["/a"; 5].into_iter().chain(["/b"; 7]).collect();
    assert_eq!(told(&both), Some((7, 14, "GET /b".to_owned())));
}
