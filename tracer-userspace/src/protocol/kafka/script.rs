//! Kafka's messages as the tests write them, of every version.

/// Fields of a message, in the order of writing.
#[derive(Clone, Default)]
pub(super) struct Message {
    pub bytes: Vec<u8>,
    pub is_flexible: bool,
}

impl Message {
    pub fn add(mut self, bytes: &[u8]) -> Message {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub fn varint(mut self, mut value: u32) -> Message {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
        self
    }

    pub fn int16(self, value: i16) -> Message {
        self.add(&value.to_be_bytes())
    }

    pub fn int32(self, value: i32) -> Message {
        self.add(&value.to_be_bytes())
    }

    pub fn int64(self, value: i64) -> Message {
        self.add(&value.to_be_bytes())
    }

    pub fn array(self, len: usize) -> Message {
        if self.is_flexible { self.varint(len as u32 + 1) } else { self.int32(len as i32) }
    }

    pub fn text(self, text: &str) -> Message {
        let own =
            if self.is_flexible { self.varint(text.len() as u32 + 1) } else { self.int16(text.len() as i16) };
        own.add(text.as_bytes())
    }

    pub fn records(self, bytes: &[u8]) -> Message {
        self.array(bytes.len()).add(bytes)
    }

    /// An unknown tagged field, as the end of a structure.
    pub fn tags(self) -> Message {
        if self.is_flexible { self.add(&[1, 9, 2, 0xaa, 0xbb]) } else { self }
    }

    pub fn framed(self) -> Vec<u8> {
        [&(self.bytes.len() as i32).to_be_bytes()[..], &self.bytes].concat()
    }
}

pub(super) fn request(key: i16, version: i16, number: i32, is_flexible: bool) -> Message {
    let head = Message::default().int16(key).int16(version).int32(number).text("tests");
    Message { is_flexible, ..head }.tags()
}

pub(super) fn answer(number: i32, is_flexible: bool) -> Message {
    Message { is_flexible, ..Message::default().int32(number) }.tags()
}

/// A batch of so many messages.
pub(super) fn batch(count: i32, is_control: bool) -> Vec<u8> {
    let body = vec![b'v'; 20 * count as usize];
    Message::default()
        .int64(0)
        .int32(49 + body.len() as i32)
        .int32(0)
        .add(&[2])
        .int32(0)
        .int16(if is_control { 32 } else { 0 })
        .int32(count - 1)
        .add(&[0xff; 30])
        .int32(count)
        .add(&body)
        .bytes
}

pub(super) fn produce(version: i16, number: i32, acks: i16, topic: &str, records: &[u8]) -> Vec<u8> {
    let message = request(0, version, number, version >= 9);
    let message = match (version, version >= 9) {
        (..3, _) => message,
        (_, true) => message.varint(0),
        (_, false) => message.int16(-1),
    };
    let message = message.int16(acks).int32(1000).array(1).text(topic).array(1).int32(3).records(records);
    message.tags().tags().tags().framed()
}

pub(super) fn produced(version: i16, number: i32, topic: &str, error: i16) -> Vec<u8> {
    let message = answer(number, version >= 9).array(1).text(topic).array(1).int32(3).int16(error).int64(17);
    let message = if version >= 2 { message.int64(-1) } else { message };
    let message = if version >= 5 { message.int64(0) } else { message };
    let message = if version >= 8 { message.array(0).text("secret") } else { message };
    let message = message.tags().tags();
    if version >= 1 { message.int32(0).tags().framed() } else { message.framed() }
}

pub(super) fn topic(message: Message, version: i16, topic: &str) -> Message {
    if version >= 13 { message.add(&[topic.as_bytes()[0]; 16]) } else { message.text(topic) }
}

pub(super) fn fetch(version: i16, number: i32, topics: &[&str]) -> Vec<u8> {
    let mut message = request(1, version, number, version >= 12);
    if version <= 14 {
        message = message.int32(-1);
    }
    message = message.int32(500).int32(1);
    for (since, bytes) in [(3, 4), (4, 1), (7, 8)] {
        message = if version >= since { message.add(&vec![0; bytes]) } else { message };
    }
    message = message.array(topics.len());
    for name in topics {
        message = topic(message, version, name).array(1).int32(0);
        message = if version >= 9 { message.int32(-1) } else { message };
        message = message.int64(17);
        message = if version >= 12 { message.int32(-1) } else { message };
        message = if version >= 5 { message.int64(-1) } else { message };
        message = message.int32(1 << 20).tags().tags();
    }
    message = if version >= 7 { message.array(0) } else { message };
    let message = if version >= 11 { message.text("") } else { message };
    message.tags().framed()
}

pub(super) fn fetched(version: i16, number: i32, topics: &[(&str, i16, Vec<u8>)]) -> Vec<u8> {
    let mut message = answer(number, version >= 12);
    message = if version >= 1 { message.int32(0) } else { message };
    message = if version >= 7 { message.int16(0).int32(5) } else { message };
    message = message.array(topics.len());
    for (name, error, records) in topics {
        message = topic(message, version, name).array(1).int32(0).int16(*error).int64(99);
        message = if version >= 4 { message.int64(99) } else { message };
        message = if version >= 5 { message.int64(0) } else { message };
        message = if version >= 4 { message.array(1).int64(1).int64(2).tags() } else { message };
        message = if version >= 11 { message.int32(-1) } else { message };
        message = message.records(records).tags().tags();
    }
    message.tags().framed()
}

pub(super) fn versions(number: i32) -> Vec<u8> {
    request(18, 3, number, true).text("librdkafka").text("2").tags().framed()
}

pub(super) fn versions_answer(number: i32, error: i16) -> Vec<u8> {
    Message { is_flexible: true, ..Message::default() }
        .int32(number)
        .int16(error)
        .varint(1)
        .int32(0)
        .tags()
        .framed()
}

pub(super) fn heartbeat(number: i32) -> Vec<u8> {
    request(12, 4, number, true).text("workers").int32(1).text("m").varint(0).tags().framed()
}

pub(super) fn beaten(number: i32, error: i16) -> Vec<u8> {
    answer(number, true).int32(0).int16(error).tags().framed()
}
