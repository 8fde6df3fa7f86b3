//! A kernel made of bytes, with the structures at offsets of the test's choice and things that look like them.

use std::collections::BTreeMap;

use super::*;

#[derive(Default)]
struct Fake {
    objects: BTreeMap<u64, Vec<u8>>,
}

impl Fake {
    /// An object of zeros; they lie 64 KiB apart.
    fn object(&mut self, len: usize) -> u64 {
        let at = 0xffff_8880_0000_0000 + 0x1_0000 * self.objects.len() as u64;
        self.objects.insert(at, vec![0; len]);
        at
    }

    fn put(&mut self, object: u64, at: u32, value: u64) {
        self.bytes(object, at, &value.to_ne_bytes());
    }

    fn bytes(&mut self, object: u64, at: u32, value: &[u8]) {
        let to = self.objects.get_mut(&object).unwrap();
        to[at as usize..at as usize + value.len()].copy_from_slice(value);
    }
}

impl KernelMemory for Fake {
    fn read(&self, address: u64, len: usize) -> Option<Vec<u8>> {
        let (start, bytes) = self.objects.range(..=address).next_back()?;
        let from = usize::try_from(address - start).ok()?;
        let end = bytes.len().min(from.checked_add(len)?);
        bytes.get(from..end).filter(|bytes| !bytes.is_empty()).map(<[u8]>::to_vec)
    }

    fn follows(&self, value: u64) -> bool {
        value.is_multiple_of(8) && self.read(value, 1).is_some()
    }
}

/// A descriptor table of `len` with files at some numbers, and a task that leads to it by `way`.
fn table(fake: &mut Fake, way: [u32; 4], len: u32, slots: &[(u32, u64)]) -> (u64, Table) {
    let [task_files, files_fdt, fdt_fd, fdt_max] = way;
    let (task, files, fdt) = (fake.object(4096), fake.object(512), fake.object(64));
    let array = fake.object(8 * len as usize);
    fake.put(task, task_files, files);
    fake.put(files, files_fdt, fdt);
    fake.put(fdt, fdt_fd, array);
    fake.bytes(fdt, fdt_max, &len.to_ne_bytes());
    for (number, file) in slots {
        fake.put(array, 8 * number, *file);
    }
    let bytes = fake.read(task, 4096).unwrap();
    (task, Table { task: bytes, len, same: (3, 5), other: 4, closed: len - 1 })
}

#[test]
fn the_way_to_the_files_is_found_wherever_it_leads() {
    for way in [[1824, 32, 8, 0], [2960, 96, 40, 20], [0, 0, 56, 4]] {
        let mut fake = Fake::default();
        let (a, b) = (fake.object(512), fake.object(512));
        let (task, facts) = table(&mut fake, way, 64, &[(3, a), (4, b), (5, a)]);
        assert_eq!(facts.search(&fake), BTreeSet::from([way]));
        assert!(facts.fits(&fake, &way));
        assert!(!facts.fits(&fake, &[way[0] + 8, way[1], way[2], way[3]]));
        assert_eq!(file_of(&fake, task, 4, &way), Some(b));
        assert_eq!(file_of(&fake, task, 6, &way), None, "not open");
    }
}

#[test]
fn a_table_that_looks_alike_is_ruled_out_by_another_task() {
    let way = [800, 32, 8, 0];
    let mut fake = Fake::default();
    let (a, b) = (fake.object(512), fake.object(512));
    let (task, mut first) = table(&mut fake, way, 64, &[(3, a), (4, b), (5, a)]);
    // Somebody else's table (a parent's, say) with the same files, which this task knows too.
    let (other, _) = table(&mut fake, way, 64, &[(3, a), (4, b), (5, a)]);
    let files = fake.pointer(other + 800).unwrap();
    fake.put(task, 1600, files);
    first.task = fake.read(task, 4096).unwrap();
    let mut joint = Joint::new(FILES_FIELDS);
    joint.narrow(None, |way| first.fits(&fake, way), || first.search(&fake));
    assert_eq!(joint.only(), None, "two ways fit the first task");
    let (_, second) = table(&mut fake, way, 128, &[(3, a), (4, b), (5, a)]);
    joint.narrow(None, |way| second.fits(&fake, way), || second.search(&fake));
    assert_eq!(joint.only(), Some(way));
}

/// A socket: its file, its `struct socket` with the inode behind it, and its `struct sock`.
fn socket(fake: &mut Fake, way: [u32; 4], number: u64) -> (u64, u64, u64) {
    let [file_private, socket_file, socket_sk, sk_socket] = way;
    let (file, socket, sk) = (fake.object(512), fake.object(2048), fake.object(1024));
    fake.put(file, file_private, socket);
    fake.put(file, 40, socket + 128); // f_inode
    fake.put(socket, socket_file, file);
    fake.put(socket, socket_sk, sk);
    fake.put(socket, 128 + 64, number);
    fake.put(sk, sk_socket, socket);
    (file, socket, sk)
}

#[test]
fn a_file_and_its_socket_point_at_each_other_and_the_sock_is_another() {
    let way = [24, 16, 48, 288];
    let mut fake = Fake::default();
    let (file, at, sk) = socket(&mut fake, way, 77);
    assert_eq!(search_socket(&fake, file), BTreeSet::from([way]));
    assert_eq!(socket_of(&fake, file, &way), Some((at, sk)));
    assert_eq!(socket_of(&fake, file, &[24, 16, 16, 24]), None, "the file is not the sock");
    let plain = fake.object(512);
    assert_eq!(socket_of(&fake, plain, &way), None);
}

#[test]
fn the_inode_is_found_by_a_file_that_is_no_socket() {
    let way = [24, 16, 48, 288];
    let mut fake = Fake::default();
    let (plain, inode) = (fake.object(512), fake.object(1024));
    fake.put(plain, 40, inode);
    fake.put(inode, 64, 4_026_532_000);
    let mut facts = |number| {
        let (file, socket, _) = socket(&mut fake, way, number);
        // Another word behind the socket that happens to be the number.
        fake.put(socket, 256, 70_001);
        Inodes { file, socket, number, plain, plain_number: 4_026_532_000 }
    };
    let (first, second) = (facts(70_001), facts(70_002));
    assert_eq!(first.search(&fake), BTreeSet::from([[128, 64]]));
    assert_eq!(first.sums(&fake), BTreeSet::from([[192, 0], [256, 0]]));
    assert!(second.fits(&fake, &[128, 64]) && !second.fits(&fake, &[256, 0]));
}

#[test]
fn the_namespace_is_the_one_that_bears_the_number() {
    let mut fake = Fake::default();
    let sk = |fake: &mut Fake, number: u32| {
        let (sk, net, other) = (fake.object(1024), fake.object(4096), fake.object(4096));
        fake.put(sk, 40, other);
        fake.put(sk, 48, net);
        fake.bytes(net, 176, &number.to_ne_bytes());
        fake.bytes(other, 400, &4_026_531_840u32.to_ne_bytes());
        sk
    };
    let (first, second) = (sk(&mut fake, 4_026_531_840), sk(&mut fake, 4_026_532_300));
    let mut joint = Joint::new(NET_FIELDS);
    for (sk, number) in [(first, 4_026_531_840), (second, 4_026_532_300)] {
        joint.narrow(None, |at| net_fits(&fake, sk, number, at), || search_net(&fake, sk, number));
    }
    assert_eq!(joint.only(), Some([48, 176]));
}

#[test]
fn what_was_given_is_searched_for_only_if_it_does_not_fit() {
    let mut joint = Joint::new(NET_FIELDS);
    joint.narrow(Some([48, 176]), |_| true, || panic!("no search is needed"));
    assert_eq!(joint.only(), Some([48, 176]));
    let mut joint = Joint::new(NET_FIELDS);
    joint.narrow(Some([40, 176]), |at| at[0] == 48, || BTreeSet::from([[48, 176]]));
    let mut evidence = Evidence::default();
    joint.tell(&mut evidence);
    assert_eq!(evidence.only("sk_net"), Some(48));
    assert_eq!(evidence.only("net_inum"), Some(176));
}
