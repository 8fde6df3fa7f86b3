//! The examples of RFC 7541 Appendix C; blocks that are cut; and, against the reference encoder, what is known and what is not after
//! any blocks were missed.

use proptest::collection::vec;
use proptest::prelude::*;

use super::encoder::{Encoder, Way};
use super::*;

type Shown = Vec<(Option<String>, Option<String>)>;

fn shown(fields: &Fields) -> Shown {
    let text = |text: Option<&[u8]>| text.map(|text| String::from_utf8_lossy(text).into_owned());
    fields.iter().map(|(name, value)| (text(name), text(value))).collect()
}

fn known(fields: &[(&str, &str)]) -> Shown {
    fields.iter().map(|(name, value)| (Some((*name).to_owned()), Some((*value).to_owned()))).collect()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn read(table: &mut Table, block: &[u8]) -> Shown {
    let mut fields = Fields::default();
    assert!(decode(table, block, false, &mut fields), "{block:02x?}");
    assert!(!fields.cut);
    shown(&fields)
}

const FIRST: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")];
const SECOND: [(&str, &str); 5] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "www.example.com"),
    ("cache-control", "no-cache"),
];
const THIRD: [(&str, &str); 5] = [
    (":method", "GET"),
    (":scheme", "https"),
    (":path", "/index.html"),
    (":authority", "www.example.com"),
    ("custom-key", "custom-value"),
];

#[test]
fn requests_of_the_appendix() {
    // C.3 without and C.4 with Huffman coding.
    for blocks in [
        [
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "8286 84be 5808 6e6f 2d63 6163 6865",
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        ],
        [
            "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
            "8286 84be 5886 a8eb 1064 9cbf",
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        ],
    ] {
        let mut table = Table::new(true);
        for (block, expected) in blocks.into_iter().zip([&FIRST[..], &SECOND, &THIRD]) {
            assert_eq!(read(&mut table, &hex(block)), known(expected));
        }
        // The table as the appendix says it is then, newest first.
        let entry =
            |name: &'static str, value: &'static str| Found::Entry(Some(name.as_bytes()), value.as_bytes());
        assert_eq!(table.get(0), entry("custom-key", "custom-value"));
        assert_eq!(table.get(1), entry("cache-control", "no-cache"));
        assert_eq!(table.get(2), entry(":authority", "www.example.com"));
        assert_eq!(table.get(3), Found::Beyond);
    }
}

#[test]
fn responses_of_the_appendix_with_evictions() {
    let date = "Mon, 21 Oct 2013 20:13:21 GMT";
    let later = "Mon, 21 Oct 2013 20:13:22 GMT";
    let location = "https://www.example.com";
    let cookie = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
    let first = [(":status", "302"), ("cache-control", "private"), ("date", date), ("location", location)];
    let second = [(":status", "307"), ("cache-control", "private"), ("date", date), ("location", location)];
    let third = [
        (":status", "200"),
        ("cache-control", "private"),
        ("date", later),
        ("location", location),
        ("content-encoding", "gzip"),
        ("set-cookie", cookie),
    ];
    // C.5 without and C.6 with Huffman coding; the table has 256 bytes.
    for blocks in [
        [
            "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 \
             3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "4803 3330 37c1 c0bf",
            "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 \
             7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 \
             6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
        ],
        [
            "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad \
             1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
            "4883 640e ffc1 c0bf",
            "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 \
             e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
        ],
    ] {
        let mut table = Table::new(true);
        table.resize(256);
        for (block, expected) in blocks.into_iter().zip([&first[..], &second, &third]) {
            assert_eq!(read(&mut table, &hex(block)), known(expected));
        }
        assert_eq!(table.get(2), Found::Entry(Some(b"date"), later.as_bytes()));
        assert_eq!(table.get(3), Found::Beyond);
    }
}

#[test]
fn literals_of_the_appendix() {
    // C.2.1 to C.2.4.
    for (block, field) in [
        ("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", ("custom-key", "custom-header")),
        ("040c 2f73 616d 706c 652f 7061 7468", (":path", "/sample/path")),
        ("1008 7061 7373 776f 7264 0673 6563 7265 74", ("password", "secret")),
        ("82", (":method", "GET")),
    ] {
        assert_eq!(read(&mut Table::new(true), &hex(block)), known(&[field]));
    }
}

#[test]
fn numbers_of_the_appendix_and_hostile_ones() {
    assert_eq!(integer(&[0b0000_1010], 5), Ok((10, &[][..])));
    assert_eq!(integer(&[0b0001_1111, 0b1001_1010, 0b0000_1010], 5), Ok((1337, &[][..])));
    assert_eq!(integer(&[42, 7], 8), Ok((42, &[7][..])));
    assert_eq!(integer(&[0x1f, 0x80], 5), Err(Stop::End));
    assert_eq!(integer(&[0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], 5), Err(Stop::Invalid));
    assert_eq!(integer(&[0x1f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0], 5), Err(Stop::Invalid));
}

#[test]
fn what_is_no_block_gives_the_table_up() {
    for bad in ["80", "be", "8582 ff80", "40ff ffff ffff ff01", "0001 78ff", "3fff ffff ffff 01", "0081 0000"]
    {
        let (mut table, mut fields) = (Table::new(true), Fields::default());
        assert!(!decode(&mut table, &hex(bad), false, &mut fields), "{bad}");
        assert_eq!(table.get(0), Found::Unknown, "{bad}");
    }
}

#[test]
fn a_block_that_means_much_more_than_it_has_is_bounded() {
    let (mut table, mut fields) = (Table::new(true), Fields::default());
    let mut block = Vec::new();
    Encoder::default().field(b"x", &[b'y'; 4000], Way { insert: true, ..Way::default() }, &mut block);
    block.extend([0xbe; 100_000]);
    assert!(decode(&mut table, &block, false, &mut fields));
    assert!(fields.cut && fields.known().count() < 100);
    let held: usize = fields.known().map(|(name, value)| name.len() + value.len()).sum();
    assert!(held < 128 << 10, "{held}");
}

/// One of a few fields, so that they come again and are found in the table.
fn field() -> impl Strategy<Value = (String, String, u8)> {
    let names = prop_oneof![
        Just(":path".to_owned()),
        Just("cookie".to_owned()),
        Just("x-request-id".to_owned()),
        "[a-d]{1,3}"
    ];
    (names, prop_oneof![4 => "[a-c]{0,2}", 1 => "[ -~]{0,60}", 1 => "a{900,1500}"], 0u8..16)
}

#[derive(Clone, Debug)]
struct Block {
    fields: Vec<(String, String, u8)>,
    resize: Option<usize>,
    /// How it comes: 0 to 4 whole, 5 not at all, 6 and 7 its beginning only.
    fate: u8,
    cut: usize,
}

fn block() -> impl Strategy<Value = Block> {
    let sizes = prop_oneof![5 => Just(None), 1 => prop_oneof![Just(0), Just(40), Just(100), Just(4096), Just(9000)].prop_map(Some)];
    (vec(field(), 0..8), sizes, 0u8..8, any::<usize>()).prop_map(|(fields, resize, fate, cut)| Block {
        fields,
        resize,
        fate,
        cut,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    /// Right or unknown: whatever blocks, or ends of blocks, were missed, and wherever the tracer came in. Where nothing was
    /// missed, everything is known; and a literal is always known.
    #[test]
    fn every_field_is_the_one_that_was_sent_or_unknown(blocks in vec(block(), 1..40), whole in any::<bool>(), before in vec(field(), 0..10)) {
        let (mut encoder, mut table, mut fields) = (Encoder::default(), Table::new(whole), Fields::default());
        let mut exact = whole;
        if !whole {
            let mut out = Vec::new();
            for (name, value, way) in &before {
                encoder.field(name.as_bytes(), value.as_bytes(), Way::of(*way), &mut out);
            }
        }
        for Block { fields: sent, resize, fate, cut } in blocks {
            let mut bytes = Vec::new();
            if let Some(max) = resize {
                encoder.resize(max, &mut bytes);
            }
            let mut literal = Vec::new();
            for (name, value, way) in &sent {
                let at = bytes.len();
                encoder.field(name.as_bytes(), value.as_bytes(), Way::of(*way), &mut bytes);
                literal.push(bytes[at] & 0x80 == 0);
            }
            let kept = match fate {
                0..5 => bytes.len(),
                5 => {
                    table.hole();
                    exact = false;
                    continue;
                }
                _ => cut % (bytes.len() + 1),
            };
            let is_cut = kept < bytes.len();
            prop_assert!(decode(&mut table, &bytes[..kept], is_cut, &mut fields));
            prop_assert_eq!(fields.cut, is_cut);
            let all: Vec<_> = fields.iter().collect();
            if !is_cut {
                prop_assert_eq!(all.len(), sent.len());
            }
            for ((name, value), ((sent_name, sent_value, _), literal)) in all.into_iter().zip(sent.iter().zip(&literal)) {
                prop_assert!(name.is_none_or(|name| name == sent_name.as_bytes()), "{:?} {}", name, sent_name);
                prop_assert!(value.is_none_or(|value| value == sent_value.as_bytes()), "{:?} {}", value, sent_value);
                prop_assert!(!literal || value.is_some());
                prop_assert!(!exact || (name.is_some() && value.is_some()), "{} {}", sent_name, sent_value);
            }
            exact &= !is_cut;
        }
    }

    /// What is inserted after a hole is known from then on, as long as it is in the table.
    #[test]
    fn what_is_inserted_after_a_hole_is_known(values in vec("[a-z]{1,20}", 1..20), before in vec(field(), 0..10)) {
        let (mut encoder, mut table, mut fields) = (Encoder::default(), Table::new(false), Fields::default());
        let mut lost = Vec::new();
        for (name, value, way) in &before {
            encoder.field(name.as_bytes(), value.as_bytes(), Way::of(*way), &mut lost);
        }
        for value in &values {
            let mut bytes = Vec::new();
            // The first time as a literal, then by its index.
            encoder.field(b"x-new", value.as_bytes(), Way { indexed: false, name: false, insert: true, coded: true }, &mut bytes);
            encoder.field(b"x-new", value.as_bytes(), Way::USUAL, &mut bytes);
            prop_assert!(decode(&mut table, &bytes, false, &mut fields));
            for (name, shown) in fields.iter() {
                prop_assert_eq!(name, Some(&b"x-new"[..]));
                prop_assert_eq!(shown, Some(value.as_bytes()));
            }
        }
    }

    /// Any bytes.
    #[test]
    fn no_block_breaks_it(blocks in vec((vec(any::<u8>(), 0..200), any::<bool>()), 1..10), whole in any::<bool>()) {
        let (mut table, mut fields) = (Table::new(whole), Fields::default());
        for (block, cut) in blocks {
            let _fine = decode(&mut table, &block, cut, &mut fields);
        }
    }
}
