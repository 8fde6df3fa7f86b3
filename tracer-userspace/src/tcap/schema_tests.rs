//! `docs/capture.proto`, which strangers read by, and what is written and read here are the same.
//!
//! The schema is compiled and drives the tests: bytes are made for every field that it declares, with every value that
//! the field's wire type can tell types apart by, and both sides must understand the same: names, numbers, types, presence
//! and the enums' values. A field that only one side has, or has differently, shows in the texts that are compared.

use std::collections::BTreeSet;
use std::path::Path;

use prost::Message;
use prost_reflect::prost_types::field_descriptor_proto::Type;
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage,
    Value,
};

use super::frame::{self, HEAD, Head, PREAMBLE, kind};
use super::{wire, wire_learned};

fn schema() -> DescriptorPool {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let set = protox::compile(["capture.proto"], [docs]).unwrap();
    DescriptorPool::from_file_descriptor_set(set).unwrap()
}

fn message(pool: &DescriptorPool, name: &str) -> MessageDescriptor {
    pool.get_message_by_name(&format!("tracer.capture.{name}")).unwrap()
}

/// `snake_case` or `SCREAMING_SNAKE_CASE` as Rust writes the names of variants.
fn camel(name: &str) -> String {
    name.split('_').map(|word| word[..1].to_uppercase() + &word[1..].to_lowercase()).collect()
}

/// `CamelCase` as enum values are prefixed.
fn prefix(name: &str) -> String {
    format!("{}_", name.to_uppercase())
}

fn says_optional(field: &FieldDescriptor) -> bool {
    field.field_descriptor_proto().proto3_optional()
}

/// A message as `{:?}` writes the Rust type of the same name and fields.
fn text(message: &DynamicMessage) -> String {
    let descriptor = message.descriptor();
    let mut parts = Vec::new();
    for oneof in descriptor.oneofs().filter(|oneof| !oneof.is_synthetic()) {
        let set = oneof.fields().find(|field| message.has_field(field));
        let value = set.map_or("None".to_owned(), |field| {
            format!("Some({}({}))", camel(field.name()), one(&message.get_field(&field), &field))
        });
        parts.push(format!("{}: {value}", oneof.name()));
    }
    for field in in_a_row(&descriptor) {
        let value = message.get_field(&field);
        let value = match (&*value, says_optional(&field)) {
            (Value::List(items), _) => {
                format!("[{}]", items.iter().map(|item| one(item, &field)).collect::<Vec<_>>().join(", "))
            }
            (_, true) if !message.has_field(&field) => "None".to_owned(),
            (value, true) => format!("Some({})", one(value, &field)),
            (value, false) => one(value, &field),
        };
        parts.push(format!("{}: {value}", field.name()));
    }
    match parts.as_slice() {
        [] => descriptor.name().to_owned(),
        parts => format!("{} {{ {} }}", descriptor.name(), parts.join(", ")),
    }
}

/// The fields outside of a `oneof`, in the order in which the schema has them.
fn in_a_row(descriptor: &MessageDescriptor) -> Vec<FieldDescriptor> {
    let proto = descriptor.descriptor_proto();
    let fields = proto.field.iter().map(|field| descriptor.get_field_by_name(field.name()).unwrap());
    fields.filter(|field| field.containing_oneof().is_none_or(|oneof| oneof.is_synthetic())).collect()
}

fn one(value: &Value, field: &FieldDescriptor) -> String {
    match value {
        Value::Bool(value) => format!("{value:?}"),
        Value::I32(value) => format!("{value:?}"),
        Value::I64(value) => format!("{value:?}"),
        Value::U32(value) => format!("{value:?}"),
        Value::U64(value) => format!("{value:?}"),
        Value::String(value) => format!("{value:?}"),
        Value::Bytes(value) => format!("{:?}", value.to_vec()),
        Value::EnumNumber(number) => {
            let Kind::Enum(kind) = field.kind() else { unreachable!() };
            named(&kind, *number).unwrap_or(number.to_string())
        }
        Value::Message(message) => text(message),
        other => panic!("{}: {other:?} is in no message of ours", field.full_name()),
    }
}

fn named(kind: &EnumDescriptor, number: i32) -> Option<String> {
    let value = kind.get_value(number)?;
    Some(camel(
        value.name().strip_prefix(&prefix(kind.name())).expect("enum values have their enum's prefix"),
    ))
}

/// Bytes of a message in which every declared field is set; numbers have all the bits of `number`. Of a `oneof` the field
/// `choice` is set.
fn filled(descriptor: &MessageDescriptor, number: u64, choice: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let oneofs = descriptor.oneofs().filter(|oneof| !oneof.is_synthetic());
    let chosen = oneofs.flat_map(|oneof| oneof.fields().nth(choice));
    for field in in_a_row(descriptor).into_iter().chain(chosen) {
        for (value, wire_type) in values(&field, number) {
            prost::encoding::encode_varint(u64::from(field.number() << 3 | wire_type), &mut bytes);
            if wire_type == 2 {
                prost::encoding::encode_varint(value.len() as u64, &mut bytes);
            }
            bytes.extend(value);
        }
    }
    bytes
}

/// What stands behind a field's tag, with the wire type that its declared type has (2: with a length before it).
fn values(field: &FieldDescriptor, number: u64) -> Vec<(Vec<u8>, u32)> {
    use Type::{Bool, Bytes, Enum, Fixed32, Fixed64, Sint64, String, Uint32, Uint64};
    let mut varint = Vec::new();
    prost::encoding::encode_varint(number, &mut varint);
    if let Kind::Message(inner) = field.kind() {
        let choices = inner.oneofs().map(|oneof| oneof.fields().len()).max().unwrap_or(1);
        let all = (0..choices).map(|choice| (filled(&inner, number, choice), 2));
        return all.collect();
    }
    match field.field_descriptor_proto().r#type() {
        Bool | Enum | Sint64 | Uint64 => vec![(varint, 0)],
        Uint32 if field.is_list() => vec![(varint.repeat(2), 2)],
        Uint32 => vec![(varint, 0)],
        Fixed64 => vec![(number.to_le_bytes().to_vec(), 1)],
        Fixed32 => vec![((number as u32).to_le_bytes().to_vec(), 5)],
        String | Bytes => vec![(field.name().as_bytes().to_vec(), 2)],
        other => panic!("{}: {other:?} is in no message of ours", field.full_name()),
    }
}

/// The numbers that tell apart: sint64 from int64, 32 bits from 64, a boolean and an enum from a number; and all values
/// that an enum may have.
fn numbers() -> impl Iterator<Item = u64> {
    [u64::MAX, u64::MAX - 1, 1 << 33].into_iter().chain(0..64)
}

/// Both sides read and write the same.
fn same<M: Message + Default + std::fmt::Debug>(pool: &DescriptorPool, name: &str) {
    let descriptor = message(pool, name);
    for number in numbers() {
        let bytes = filled(&descriptor, number, 0);
        let theirs = DynamicMessage::decode(descriptor.clone(), &*bytes).unwrap();
        let ours = M::decode(&*bytes).unwrap_or_else(|error| panic!("{name} {number}: {error}"));
        assert_eq!(format!("{ours:?}"), text(&theirs), "{name} {number}");
        // A value cut to the field's width is not written as it stood.
        assert_eq!(ours.encode_to_vec(), theirs.encode_to_vec(), "{name} {number}");
    }
    // What is not there.
    let theirs = DynamicMessage::new(descriptor);
    assert_eq!(format!("{:?}", M::default()), text(&theirs), "{name}");
}

#[test]
fn the_described_messages_are_ours() {
    let pool = schema();
    same::<wire::Description>(&pool, "Description");
    same::<wire::Clock>(&pool, "Clock");
    // With all the others in it.
    same::<wire::Batch>(&pool, "Batch");
    same::<wire::Raw>(&pool, "Raw");
    same::<wire_learned::Learned>(&pool, "Learned");
}

#[test]
fn nothing_is_described_that_no_file_has() {
    let pool = schema();
    let mut reached = BTreeSet::new();
    let mut open: Vec<_> =
        ["Description", "Clock", "Batch", "Raw", "Learned"].map(|name| message(&pool, name)).into();
    while let Some(next) = open.pop() {
        if reached.insert(next.name().to_owned()) {
            open.extend(next.fields().filter_map(|field| field.kind().as_message().cloned()));
        }
    }
    let all: BTreeSet<String> = pool.all_messages().map(|message| message.name().to_owned()).collect();
    assert_eq!(all, reached);
    for value in pool.all_enums().flat_map(|kind| kind.values().collect::<Vec<_>>()) {
        assert!((0..64).contains(&value.number()), "{} is outside of numbers()", value.full_name());
    }
}

/// Notes the fields that are set; none may be unknown.
fn note(message: &DynamicMessage, set: &mut BTreeSet<String>) {
    assert_eq!(message.unknown_fields().count(), 0, "{}", text(message));
    for (field, value) in message.fields() {
        set.insert(field.full_name().to_owned());
        match value {
            Value::Message(inner) => note(inner, set),
            Value::List(items) => items.iter().filter_map(Value::as_message).for_each(|item| note(item, set)),
            _ => {}
        }
    }
}

/// The same of what the writer makes of observations, however it does.
#[test]
fn what_is_written_is_as_described() {
    let pool = schema();
    let bytes = super::samples::file_with_everything();
    let mut set = BTreeSet::new();
    let mut rest = &bytes[PREAMBLE..];
    while let Some((head, behind)) = rest.split_first_chunk::<HEAD>() {
        let head = Head::parse(head).unwrap();
        let (stored, behind) = behind.split_at(head.stored as usize);
        rest = behind;
        let mut payload = Vec::new();
        assert!(frame::unpack(&head, stored, &mut payload));
        let (name, ours) = match head.kind {
            kind::DESCRIPTION => {
                ("Description", format!("{:?}", wire::Description::decode(&*payload).unwrap()))
            }
            kind::CLOCK => ("Clock", format!("{:?}", wire::Clock::decode(&*payload).unwrap())),
            kind::BATCH => ("Batch", format!("{:?}", wire::Batch::decode(&*payload).unwrap())),
            kind::RAW => ("Raw", format!("{:?}", wire::Raw::decode(&*payload).unwrap())),
            kind::LEARNED => ("Learned", format!("{:?}", wire_learned::Learned::decode(&*payload).unwrap())),
            _ => continue,
        };
        let theirs = DynamicMessage::decode(message(&pool, name), &*payload).unwrap();
        assert_eq!(ours, text(&theirs));
        assert_eq!(theirs.encode_to_vec(), payload);
        note(&theirs, &mut set);
    }
    let all = pool.all_messages().flat_map(|message| message.fields().collect::<Vec<_>>());
    let never: Vec<String> =
        all.map(|field| field.full_name().to_owned()).filter(|field| !set.contains(field)).collect();
    assert_eq!(never, Vec::<String>::new(), "described, and not written");
}
