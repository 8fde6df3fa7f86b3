//! What an operation is called: of few values, and as a person would say it. `GET /users`, `SELECT users`, `shop.Cart/Add`,
//! `publish orders`.

use super::{Attribute, Family, Protocol, RequestHead, Value};

/// A verb, and what it is applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation<'a> {
    /// The method or command; empty where the object says all.
    pub verb: &'a str,
    /// The path, table, destination.
    pub object: Option<&'a str>,
}

impl<'a> Operation<'a> {
    /// Of the fields that [`RequestHead`] has.
    pub fn new(protocol: Protocol, method: &'a str, target: &'a str, attributes: &'a [Attribute]) -> Self {
        let method = if method.is_empty() { protocol.system() } else { method };
        let object = match protocol.family() {
            Family::Http => Some(path(target)),
            Family::Rpc => {
                return Self { verb: "", object: Some(target.strip_prefix('/').unwrap_or(target)) };
            }
            // Commands of key-value stores have no object of few values; a statement whose table is not certain has none either.
            Family::Database => {
                text(attributes, "db.sql.table").or_else(|| text(attributes, "db.collection.name"))
            }
            Family::Messaging | Family::Dns => Some(target).filter(|target| !target.is_empty()),
        };
        Self { verb: method, object }
    }
}

impl RequestHead {
    /// What its operation is called, with `*` in the place of path segments that look like identifiers.
    pub fn operation(&self) -> String {
        let Operation { verb, object } =
            Operation::new(self.protocol, &self.method, &self.target, self.attributes());
        let mut name = verb.to_owned();
        let Some(object) = object else { return name };
        if !name.is_empty() {
            name.push(' ');
        }
        if self.protocol.family() != Family::Http {
            name.push_str(object);
            return name;
        }
        for (at, segment) in segments(object).enumerate() {
            if at > 0 {
                name.push('/');
            }
            name.push_str(segment);
        }
        name
    }
}

fn text<'a>(attributes: &'a [Attribute], key: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    if let Value::Text(text) = &found.value { Some(text) } else { None }
}

/// The segments of a target's path, what stands between its slashes; those with digits in them (identifiers) as `*`.
pub fn segments(target: &str) -> impl Iterator<Item = &str> {
    let is_identifier = |segment: &str| segment.bytes().any(|byte| byte.is_ascii_digit());
    path(target).split('/').map(move |segment| if is_identifier(segment) { "*" } else { segment })
}

/// The target without query, and without scheme and authority where it has them (RFC 9112, 3.2).
pub fn path(target: &str) -> &str {
    let absolute = if target.starts_with('/') { None } else { target.split_once("://") };
    let path = match absolute {
        Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
        }
        _ => target,
    };
    let end = path.bytes().position(|byte| byte == b'?' || byte == b'#');
    end.and_then(|end| path.get(..end)).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Extra;
    use super::*;

    #[test]
    fn the_path_is_the_target_without_what_surrounds_it() {
        for (target, expected) in [
            ("/users?id=1", "/users"),
            ("/a/17#x", "/a/17"),
            ("*", "*"),
            ("http://shop.example:80/cart?x=/", "/cart"),
            ("http://shop.example", "/"),
            ("/redirect?to=http://x/", "/redirect"),
            ("shop.example:443", "shop.example:443"),
        ] {
            assert_eq!(path(target), expected);
        }
    }

    #[test]
    fn every_family_has_its_words() {
        let table = Extra { attributes: vec![Attribute::text("db.sql.table", "users")], ..Extra::default() };
        for (protocol, method, target, extra, expected) in [
            (Protocol::Http1, "GET", "/a/17/b?c=1", None, "GET /a/*/b"),
            (Protocol::Grpc, "POST", "/shop.Cart/Add", None, "shop.Cart/Add"),
            (Protocol::PostgreSql, "SELECT", "SELECT * FROM users WHERE id = ?", Some(table), "SELECT users"),
            (Protocol::MySql, "BEGIN", "BEGIN", None, "BEGIN"),
            (Protocol::Redis, "", "", None, "redis"),
            (Protocol::Amqp, "publish", "orders", None, "publish orders"),
            (Protocol::Dns, "AAAA", "a.example", None, "AAAA a.example"),
        ] {
            let head = RequestHead {
                protocol,
                method: Arc::from(method),
                target: target.into(),
                extra: extra.map(Box::new),
                ..RequestHead::default()
            };
            assert_eq!(head.operation(), expected);
        }
    }
}
