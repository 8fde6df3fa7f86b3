//! How values are written in JSON: the parts that every span has, by hand.
//!
//! By hand, because tens of thousands of spans a second leave on a busy host, and a general serialiser spends four fifths of
//! its time on escaping field names that never change.

use crate::spans::Value;

/// A name, colon and quotes included, which never changes.
pub fn key<'a>(out: &'a mut Vec<u8>, key: &'static str) -> &'a mut Vec<u8> {
    out.extend_from_slice(key.as_bytes());
    out
}

/// A string.
pub fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escaped(out, text);
    out.push(b'"');
}

/// What stands between the quotes: escaped where it must be (RFC 8259, section 7).
pub fn escaped(out: &mut Vec<u8>, text: &str) {
    // All bytes are looked at, without a branch for each: most texts are plain.
    let is_odd = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    let plain = !text.bytes().fold(false, |odd, byte| odd | is_odd(byte));
    if plain {
        out.extend_from_slice(text.as_bytes());
    } else {
        for byte in text.bytes() {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                0..0x20 => {
                    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
                    out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
                }
                _ => out.push(byte),
            }
        }
    }
}

/// A whole number.
pub fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
        used += 1;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(20 - used..).unwrap_or_default());
}

/// Milliseconds with one to three decimals: whole microseconds, as the start is, so that start plus duration never
/// passes the end of the parent by rounding.
pub fn milliseconds(out: &mut Vec<u8>, nanos: u64) {
    let micros = nanos / 1_000;
    number(out, micros / 1_000);
    let fraction = micros % 1_000;
    let digits = [
        b'.',
        b'0' + (fraction / 100) as u8,
        b'0' + (fraction / 10 % 10) as u8,
        b'0' + (fraction % 10) as u8,
    ];
    let used = if !fraction.is_multiple_of(10) {
        4
    } else if !fraction.is_multiple_of(100) {
        3
    } else {
        2
    };
    out.extend_from_slice(digits.get(..used).unwrap_or_default());
}

/// A number with its sign.
pub fn integer(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    number(out, value.unsigned_abs());
}

/// A number that need not be whole, as short as it can be written. JSON has no infinity: such become `null`.
pub fn float(out: &mut Vec<u8>, value: f64) {
    // Writing into memory does not fail.
    let _ = serde_json::to_writer(out, &value);
}

/// Nanoseconds as microseconds, with three decimals where they are not whole.
pub fn micros(out: &mut Vec<u8>, nanos: u64) {
    number(out, nanos / 1_000);
    let rest = nanos % 1_000;
    if rest > 0 {
        let digit = |value: u64| b'0' + (value % 10) as u8;
        out.extend_from_slice(&[b'.', digit(rest / 100), digit(rest / 10), digit(rest)]);
    }
}

/// Any value, as it was in its file.
pub fn value(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(value) => integer(out, *value),
        Value::Float(value) => float(out, *value),
        Value::Text(value) => text(out, value),
        Value::List(values) => {
            out.push(b'[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                self::value(out, value);
            }
            out.push(b']');
        }
        Value::Map(values) => {
            out.push(b'{');
            for (at, (name, value)) in values.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                text(out, name);
                out.push(b':');
                self::value(out, value);
            }
            out.push(b'}');
        }
    }
}

/// Any value as text: text as it is, all else as JSON. For forms that know no other values.
pub fn value_as_text(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Text(value) => text(out, value),
        Value::Null => out.extend_from_slice(b"\"\""),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
            out.push(b'"');
            self::value(out, value);
            out.push(b'"');
        }
        Value::List(_) | Value::Map(_) => text(out, &as_json(value)),
    }
}

/// A value's JSON.
pub fn as_json(value: &Value<'_>) -> String {
    let mut json = Vec::new();
    self::value(&mut json, value);
    // It is made of text.
    String::from_utf8(json).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_string_comes_back_as_it_was() {
        let all: String = (0..0x3000).filter_map(char::from_u32).collect();
        for string in
            ["", "plain", "q\"uo\\te", "line\nbreak\ttab\r", "\u{0}\u{1f}\u{7f}", "größe ✓ 💥", &all]
        {
            let json = written(|out| text(out, string));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), string);
        }
    }

    #[test]
    fn numbers_are_whole_and_durations_have_up_to_three_decimals() {
        for value in [0, 9, 10, 12_345, u64::MAX] {
            assert_eq!(written(|out| number(out, value)), value.to_string());
        }
        for (nanos, text) in [
            (0, "0.0"),
            (999, "0.0"),
            (1_000, "0.001"),
            (150_250_000, "150.25"),
            (150_200_999, "150.2"),
            (5_000_000, "5.0"),
            (1_010_000, "1.01"),
        ] {
            assert_eq!(written(|out| milliseconds(out, nanos)), text);
        }
    }

    #[test]
    fn values_come_back_as_they_were() {
        let json = r#"{"a":[1,-2,2.5,1e300,true,false,null,"x\"y"],"b":{},"c":[]}"#;
        let read: Value<'_> = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::from_str::<Value<'_>>(&as_json(&read)).unwrap(), read);
        assert_eq!(written(|out| value(out, &Value::Float(f64::NAN))), "null");
        assert_eq!(written(|out| integer(out, i64::MIN)), i64::MIN.to_string());
    }

    #[test]
    fn where_only_text_goes_all_is_text() {
        for (json, text) in [
            ("\"a\\nb\"", "a\nb"),
            ("17", "17"),
            ("-1.5", "-1.5"),
            ("true", "true"),
            ("null", ""),
            ("[\"a\",1]", "[\"a\",1]"),
        ] {
            let read: Value<'_> = serde_json::from_str(json).unwrap();
            let written = written(|out| value_as_text(out, &read));
            assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
        }
    }

    #[test]
    fn microseconds_have_decimals_only_where_they_need_them() {
        for (nanos, text) in
            [(0, "0"), (1_000, "1"), (1_001, "1.001"), (1_698_400_800_050_123_450, "1698400800050123.450")]
        {
            assert_eq!(written(|out| micros(out, nanos)), text);
        }
    }
}
