//! What is said, protocol by protocol: messages as usual clients and servers send them.

mod amqp;
mod dns;
mod fastcgi;
mod http1;
mod http2;
mod kafka;
mod memcached;
mod mongodb;
mod mysql;
mod postgres;
mod redis;

use crate::talk::Talk;

/// All of them, in the order of the table.
pub fn all() -> Vec<Talk> {
    let protocols = [
        // One a line.
        http1::talks(),
        http2::talks(),
        postgres::talks(),
        mysql::talks(),
        redis::talks(),
        memcached::talks(),
        mongodb::talks(),
        fastcgi::talks(),
        amqp::talks(),
        kafka::talks(),
        dns::talks(),
    ];
    protocols.into_iter().flatten().collect()
}
