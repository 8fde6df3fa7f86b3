//! The methods: their names, who sends them, and what answers them.

use super::frame::Fields;

/// Who sends a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Client,
    Server,
    Both,
}

/// What is known of a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Method {
    /// Class and number.
    pub id: (u16, u16),
    /// As the specification names it.
    pub name: &'static str,
    /// Who sends it.
    pub from: From,
    /// The number of the method of the same class that answers it; 0: none does.
    pub answer: u16,
}

const fn method(class: u16, number: u16, name: &'static str, from: From, answer: u16) -> Method {
    Method { id: (class, number), name, from, answer }
}

/// All of them: the specification's, and RabbitMQ's additions to it.
const METHODS: [Method; 64] = [
    method(10, 10, "connection.start", From::Server, 11),
    method(10, 11, "connection.start-ok", From::Client, 0),
    method(10, 20, "connection.secure", From::Server, 21),
    method(10, 21, "connection.secure-ok", From::Client, 0),
    method(10, 30, "connection.tune", From::Server, 31),
    method(10, 31, "connection.tune-ok", From::Client, 0),
    method(10, 40, "connection.open", From::Client, 41),
    method(10, 41, "connection.open-ok", From::Server, 0),
    method(10, 50, "connection.close", From::Both, 51),
    method(10, 51, "connection.close-ok", From::Both, 0),
    method(10, 60, "connection.blocked", From::Server, 0),
    method(10, 61, "connection.unblocked", From::Server, 0),
    method(10, 70, "connection.update-secret", From::Client, 71),
    method(10, 71, "connection.update-secret-ok", From::Server, 0),
    method(20, 10, "channel.open", From::Client, 11),
    method(20, 11, "channel.open-ok", From::Server, 0),
    method(20, 20, "channel.flow", From::Both, 21),
    method(20, 21, "channel.flow-ok", From::Both, 0),
    method(20, 40, "channel.close", From::Both, 41),
    method(20, 41, "channel.close-ok", From::Both, 0),
    method(40, 10, "exchange.declare", From::Client, 11),
    method(40, 11, "exchange.declare-ok", From::Server, 0),
    method(40, 20, "exchange.delete", From::Client, 21),
    method(40, 21, "exchange.delete-ok", From::Server, 0),
    method(40, 30, "exchange.bind", From::Client, 31),
    method(40, 31, "exchange.bind-ok", From::Server, 0),
    method(40, 40, "exchange.unbind", From::Client, 51),
    method(40, 51, "exchange.unbind-ok", From::Server, 0),
    method(50, 10, "queue.declare", From::Client, 11),
    method(50, 11, "queue.declare-ok", From::Server, 0),
    method(50, 20, "queue.bind", From::Client, 21),
    method(50, 21, "queue.bind-ok", From::Server, 0),
    method(50, 30, "queue.purge", From::Client, 31),
    method(50, 31, "queue.purge-ok", From::Server, 0),
    method(50, 40, "queue.delete", From::Client, 41),
    method(50, 41, "queue.delete-ok", From::Server, 0),
    method(50, 50, "queue.unbind", From::Client, 51),
    method(50, 51, "queue.unbind-ok", From::Server, 0),
    method(60, 10, "basic.qos", From::Client, 11),
    method(60, 11, "basic.qos-ok", From::Server, 0),
    method(60, 20, "basic.consume", From::Client, 21),
    method(60, 21, "basic.consume-ok", From::Server, 0),
    method(60, 30, "basic.cancel", From::Both, 31),
    method(60, 31, "basic.cancel-ok", From::Both, 0),
    method(60, 40, "basic.publish", From::Client, 0),
    method(60, 50, "basic.return", From::Server, 0),
    method(60, 60, "basic.deliver", From::Server, 0),
    method(60, 70, "basic.get", From::Client, 71),
    method(60, 71, "basic.get-ok", From::Server, 0),
    method(60, 72, "basic.get-empty", From::Server, 0),
    method(60, 80, "basic.ack", From::Both, 0),
    method(60, 90, "basic.reject", From::Client, 0),
    method(60, 100, "basic.recover-async", From::Client, 0),
    method(60, 110, "basic.recover", From::Client, 111),
    method(60, 111, "basic.recover-ok", From::Server, 0),
    method(60, 120, "basic.nack", From::Both, 0),
    method(85, 10, "confirm.select", From::Client, 11),
    method(85, 11, "confirm.select-ok", From::Server, 0),
    method(90, 10, "tx.select", From::Client, 11),
    method(90, 11, "tx.select-ok", From::Server, 0),
    method(90, 20, "tx.commit", From::Client, 21),
    method(90, 21, "tx.commit-ok", From::Server, 0),
    method(90, 30, "tx.rollback", From::Client, 31),
    method(90, 31, "tx.rollback-ok", From::Server, 0),
];

/// The method with this class and number.
pub(super) fn find(class: u16, number: u16) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.id == (class, number))
}

/// Whether a method is the server's answer to a call.
pub(super) fn is_answer(id: (u16, u16)) -> bool {
    let answers = |call: &Method| call.from != From::Server && (call.id.0, call.answer) == id;
    id == (60, 72) || METHODS.iter().any(answers)
}

/// The queue or exchange that a call is about, if it names one.
pub(super) fn object<'a>(id: (u16, u16), mut arguments: Fields<'a>) -> Option<&'a [u8]> {
    match id {
        (40 | 50, _) | (60, 20 | 70) => {
            arguments.short()?;
            arguments.text()
        }
        _ => None,
    }
}

/// Whether the client asks not to be answered.
pub(super) fn is_no_wait(id: (u16, u16), mut arguments: Fields<'_>) -> Option<bool> {
    let (reserved, texts, bit) = match id {
        (40, 10) => (true, 2, 4),
        (40, 20) => (true, 1, 1),
        (40, 30 | 40) => (true, 3, 0),
        (50, 10) => (true, 1, 4),
        (50, 20) => (true, 3, 0),
        (50, 30) => (true, 1, 0),
        (50, 40) => (true, 1, 2),
        (60, 20) => (true, 2, 3),
        (60, 30) => (false, 1, 0),
        (85, 10) => (false, 0, 0),
        _ => return Some(false),
    };
    if reserved {
        arguments.short()?;
    }
    for _ in 0..texts {
        arguments.text()?;
    }
    Some(arguments.octet()? >> bit & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_answers_a_method_is_a_method() {
        for method in METHODS.iter().filter(|method| method.answer > 0) {
            let answer = find(method.id.0, method.answer).unwrap();
            assert!(answer.name.starts_with(method.name) && answer.name.ends_with("-ok"), "{}", answer.name);
            let sides = (method.from, answer.from);
            let fits = matches!(
                sides,
                (From::Client, From::Server) | (From::Server, From::Client) | (From::Both, From::Both)
            );
            assert!(fits, "{}", method.name);
        }
    }

    #[test]
    fn what_the_server_says_by_itself_is_no_answer() {
        for id in [(10, 41), (20, 11), (50, 11), (60, 71), (60, 72), (85, 11)] {
            assert!(is_answer(id), "{id:?}");
        }
        for id in [(10, 60), (20, 20), (20, 40), (60, 30), (60, 50), (60, 60), (60, 80)] {
            assert!(!is_answer(id), "{id:?}");
        }
    }

    #[test]
    fn who_does_not_wait_says_so() {
        let declare = |bits: u8| [&[0, 0, 1, b'q', bits][..], &[0, 0, 0, 0]].concat();
        assert_eq!(is_no_wait((50, 10), Fields(&declare(0b1_0000))), Some(true));
        assert_eq!(is_no_wait((50, 10), Fields(&declare(0b0_1111))), Some(false));
        assert_eq!(object((50, 10), Fields(&declare(0))), Some(&b"q"[..]));
        assert_eq!(is_no_wait((60, 20), Fields(&[0, 0, 1, b'q', 0, 0b1000])), Some(true));
        assert_eq!(is_no_wait((60, 30), Fields(&[1, b't', 1])), Some(true));
        assert_eq!(is_no_wait((85, 10), Fields(&[1])), Some(true));
        assert_eq!(is_no_wait((50, 10), Fields(&[0])), None);
        assert_eq!(is_no_wait((60, 70), Fields(&[])), Some(false));
    }
}
