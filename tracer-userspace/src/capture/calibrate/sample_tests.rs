use super::*;

fn sample(bytes: &[u8], want: Want) -> Sample {
    Sample { bytes: bytes.into(), want }
}

/// A structure of 64 bytes with some of them set.
fn structure(set: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0u8; 64];
    for (at, value) in set {
        bytes[*at..*at + value.len()].copy_from_slice(value);
    }
    bytes
}

#[test]
fn what_fits_one_specimen_by_chance_is_ruled_out_by_the_next() {
    let mut evidence = Evidence::default();
    let port = |at: usize, other: u16| {
        let (low, high) = (7001u16 + other, 7001u16 + other);
        let decoy = if other == 0 { high } else { 9 };
        structure(&[(at, &low.to_ne_bytes()), (40, &decoy.to_ne_bytes())])
    };
    evidence.add("sk_num", &[sample(&port(14, 0), Want::U16(7001))]);
    evidence.end_round();
    assert_eq!(evidence.candidates("sk_num"), BTreeSet::from([14, 40]));
    let finding = evidence.finding("sk_num", None);
    assert_eq!(finding, Finding::Unknown("2 places fit: 14, 40".to_owned()), "never chosen from several");

    evidence.add("sk_num", &[sample(&port(14, 3), Want::U16(7004))]);
    evidence.end_round();
    assert_eq!(evidence.only("sk_num"), Some(14));
    assert!(
        matches!(evidence.finding("sk_num", None), Finding::Unknown(_)),
        "not confirmed by new specimens"
    );
    assert!(!evidence.settled("sk_num"));

    evidence.add("sk_num", &[sample(&port(14, 5), Want::U16(7006))]);
    evidence.end_round();
    assert_eq!(evidence.finding("sk_num", None), Finding::Found(14));
    assert!(evidence.settled("sk_num"));
    assert_eq!(evidence.finding("sk_num", Some(14)), Finding::Confirmed(14));
    assert_eq!(evidence.finding("sk_num", Some(16)), Finding::Wrong(16, Some(14)));
}

#[test]
fn new_specimens_that_disagree_leave_nothing() {
    let mut evidence = Evidence::default();
    for (at, value) in [(8, 5u32), (8, 6), (12, 7)] {
        let bytes = structure(&[(at, &value.to_ne_bytes())]);
        evidence.add("task_pid", &[sample(&bytes, Want::U32(value))]);
        evidence.end_round();
    }
    assert!(matches!(evidence.finding("task_pid", None), Finding::Unknown(_)));
    assert_eq!(evidence.finding("task_pid", Some(8)), Finding::Wrong(8, None));
}

#[test]
fn an_ipv4_address_within_a_mapped_one_is_not_the_field() {
    let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 1, 2, 3];
    let bytes = structure(&[(4, &[127, 1, 2, 3]), (32, &mapped)]);
    let mut evidence = Evidence::default();
    evidence.add("sk_daddr", &[sample(&bytes, Want::V4([127, 1, 2, 3]))]);
    assert_eq!(evidence.candidates("sk_daddr"), BTreeSet::from([4]));
}

#[test]
fn numbers_that_move_are_found_by_how_far_and_wrap() {
    let before = structure(&[(8, &u32::MAX.to_ne_bytes()), (12, &5u32.to_ne_bytes())]);
    let after = structure(&[(8, &6u32.to_ne_bytes()), (12, &11u32.to_ne_bytes())]);
    let mut evidence = Evidence::default();
    evidence.add("write_seq", &[sample(&after, Want::Moved(before.into(), 7))]);
    assert_eq!(evidence.candidates("write_seq"), BTreeSet::from([8]));
}

#[test]
fn two_ends_agree_on_the_number_itself() {
    let sender = structure(&[(8, &100u32.to_ne_bytes())]);
    // A count of bytes moves like the sequence number, but is not equal to it.
    let receiver = structure(&[(16, &100u32.to_ne_bytes()), (20, &40u32.to_ne_bytes())]);
    let mut evidence = Evidence::default();
    evidence.intersect("write_seq", &BTreeSet::from([8]));
    evidence.intersect("rcv_nxt", &BTreeSet::from([16, 20]));
    evidence.add_equal(("write_seq", &sender), ("rcv_nxt", &receiver));
    assert_eq!(evidence.only("rcv_nxt"), Some(16));
    assert_eq!(evidence.only("write_seq"), Some(8));
}

#[test]
fn a_pointer_that_appeared_was_null_and_is_the_kernels() {
    let before = structure(&[(24, &0x10u64.to_ne_bytes())]);
    let kernel = 0xffff_8881_0000_1000u64.to_ne_bytes();
    let after = structure(&[(8, &kernel), (16, &0x5555_0000u64.to_ne_bytes()), (24, &kernel)]);
    let mut evidence = Evidence::default();
    evidence.add("task_io_uring", &[sample(&after, Want::Appeared(before.into()))]);
    assert_eq!(evidence.candidates("task_io_uring"), BTreeSet::from([8]));
}

#[test]
fn a_stack_begins_on_a_page_and_holds_the_frame() {
    let frame = 0xffff_c900_0010_3b90u64;
    let bytes = structure(&[
        (0, &0xffff_c900_0010_0000u64.to_ne_bytes()),
        (8, &0xffff_c900_0010_0010u64.to_ne_bytes()),
        (16, &0xffff_c900_0010_4000u64.to_ne_bytes()),
        (24, &0xffff_c900_0000_0000u64.to_ne_bytes()),
    ]);
    let mut evidence = Evidence::default();
    evidence.add("task_stack", &[sample(&bytes, Want::StackOf(frame))]);
    assert_eq!(evidence.candidates("task_stack"), BTreeSet::from([0]));
}

#[test]
fn what_could_not_be_tried_is_said() {
    let mut evidence = Evidence::default();
    evidence.missing(&["sk_net"], "no namespaces");
    assert_eq!(evidence.finding("sk_net", None), Finding::Unknown("no namespaces".to_owned()));
    assert_eq!(evidence.finding("sk_net", Some(48)), Finding::Unknown("no namespaces".to_owned()));
    evidence.unneeded(&["sk_daddr6"], "no IPv6");
    assert_eq!(evidence.finding("sk_daddr6", None), Finding::Unneeded("no IPv6".to_owned()));
}

#[test]
fn a_field_at_the_end_of_what_was_read_is_not_taken() {
    let mut evidence = Evidence::default();
    evidence.add("sk_num", &[sample(&[1, 0, 1], Want::U16(1))]);
    assert_eq!(evidence.candidates("sk_num"), BTreeSet::from([0]));
}
