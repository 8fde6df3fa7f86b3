//! Which client's exchange and which server's are one call: those that name the same connection, and of which the server's lies
//! within the client's, if that leaves no choice.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::Exchange;
use crate::exchange::Side;

/// With more calls than these open on one connection none of them is told from the others.
const MANY: usize = 16;

/// The partner of each exchange, by its place in `all`, which is in the order of starts.
pub(super) fn find(all: &[Exchange]) -> Vec<Option<usize>> {
    let mut by_connection: FxHashMap<u32, Vec<usize>> = FxHashMap::default();
    for (at, exchange) in all.iter().enumerate() {
        if let Some(connection) = exchange.connection {
            by_connection.entry(connection).or_default().push(at);
        }
    }
    let mut partners = vec![None; all.len()];
    for ours in by_connection.values() {
        for (client, server) in on_one(all, ours) {
            for (one, other) in [(client, server), (server, client)] {
                if let Some(partner) = partners.get_mut(one) {
                    *partner = Some(other);
                }
            }
        }
    }
    partners
}

/// The pairs on one connection.
fn on_one(all: &[Exchange], ours: &[usize]) -> Vec<(usize, usize)> {
    // A client's exchange that starts together with a server's may contain it.
    let mut order: Vec<(u64, bool, usize)> = ours
        .iter()
        .filter_map(|at| all.get(*at).map(|exchange| (exchange.start, exchange.side == Side::Server, *at)))
        .collect();
    order.sort_unstable();
    // Open calls, by their ends.
    let mut open: BTreeSet<(u64, usize)> = BTreeSet::new();
    let mut pairs: FxHashMap<usize, Option<usize>> = FxHashMap::default();
    for (start, is_server, at) in order {
        let Some(exchange) = all.get(at) else { continue };
        if !is_server {
            open.insert((exchange.end, at));
            continue;
        }
        while open.first().is_some_and(|(end, _)| *end < start) {
            open.pop_first();
        }
        let mut around = open.range((exchange.end, 0)..).take(MANY + 1).map(|(_, client)| *client);
        match (around.next(), around.next()) {
            (None, _) => {}
            (Some(client), None) => {
                // A second one makes both void.
                pairs.entry(client).and_modify(|server| *server = None).or_insert(Some(at));
            }
            (Some(first), Some(second)) => {
                for client in [first, second].into_iter().chain(around) {
                    pairs.insert(client, None);
                }
            }
        }
    }
    pairs.into_iter().filter_map(|(client, server)| Some((client, server?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(side: Side, start: u64, end: u64, connection: u32) -> Exchange {
        Exchange { side, start, end, connection: Some(connection), ..Exchange::default() }
    }

    use Side::{Client, Server};

    #[test]
    fn one_within_the_other_on_one_connection_is_one_call() {
        let all = [
            exchange(Client, 0, 100, 1),
            exchange(Server, 0, 100, 1),
            exchange(Server, 10, 90, 2),
            exchange(Client, 200, 300, 1),
            exchange(Server, 210, 290, 1),
            exchange(Client, 400, 500, 1),
            exchange(Server, 410, 510, 1),
        ];
        assert_eq!(find(&all), [Some(1), Some(0), None, Some(4), Some(3), None, None]);
    }

    #[test]
    fn where_there_is_a_choice_there_is_no_pair() {
        let all = [
            exchange(Client, 0, 100, 1),
            exchange(Client, 5, 105, 1),
            exchange(Server, 10, 90, 1),
            exchange(Client, 200, 300, 1),
            exchange(Server, 210, 220, 1),
            exchange(Server, 230, 240, 1),
        ];
        assert_eq!(find(&all), [None; 6]);
        // Whoever could have been another's is nobody's.
        let all = [
            exchange(Client, 0, 100, 1),
            exchange(Client, 5, 80, 1),
            exchange(Server, 10, 70, 1),
            exchange(Server, 20, 90, 1),
        ];
        assert_eq!(find(&all), [None; 4]);
    }

    #[test]
    fn a_connection_with_everything_on_it_takes_no_longer() {
        let mut all: Vec<Exchange> = (0..50_000).map(|n| exchange(Client, n, 1_000_000 + n, 1)).collect();
        all.extend((0..50_000).map(|n| exchange(Server, 60_000 + n, 900_000 - n, 1)));
        assert!(find(&all).iter().all(Option::is_none));
    }
}
