//! The kernel's list of trace events: their numbers, and where the members of their records lie.
//!
//! It is a file system that most hosts have mounted. Where it is not, it is mounted for this process alone and at no
//! place: nobody sees it, and it is gone with the descriptor.

use std::io::{self, Read};
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

/// Where it usually is (Documentation/trace/ftrace.rst), newest first.
const PLACES: [&str; 2] = ["/sys/kernel/tracing/events", "/sys/kernel/debug/tracing/events"];

/// The folder of events.
pub(super) struct Tracefs(OwnedFd);

/// One event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Its number, for `perf_event_open`.
    pub id: u64,
    fields: Vec<Field>,
}

/// A member of an event's record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    name: String,
    offset: usize,
    size: usize,
}

impl Tracefs {
    /// Opens it, mounting it if need be.
    pub fn open() -> io::Result<Self> {
        let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        for place in PLACES {
            match openat(CWD, place, folder, Mode::empty()) {
                Ok(events) => return Ok(Self(events)),
                Err(rustix::io::Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let context = fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&context)?;
        let harmless = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let root = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, harmless)?;
        Ok(Self(openat(&root, "events", folder, Mode::empty())?))
    }

    /// What the kernel says of an event; `None` if it has no such.
    pub fn event(&self, group: &str, name: &str) -> io::Result<Option<Event>> {
        let read = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = match openat(&self.0, format!("{group}/{name}/format"), read, Mode::empty()) {
            Ok(file) => file,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut text = String::new();
        std::fs::File::from(file).read_to_string(&mut text)?;
        Ok(Event::parse(&text))
    }
}

impl Event {
    /// Reads a `format` file (Documentation/trace/events.rst, section 4).
    pub(super) fn parse(text: &str) -> Option<Self> {
        let id = text.lines().find_map(|line| line.strip_prefix("ID:"))?.trim().parse().ok()?;
        Some(Self { id, fields: text.lines().filter_map(field).collect() })
    }

    /// Whether the record has these members: name, offset, size in bytes.
    pub fn has(&self, members: &[(&str, usize, usize)]) -> bool {
        let is_there = |&(name, offset, size): &(&str, usize, usize)| {
            self.fields.iter().any(|field| (&*field.name, field.offset, field.size) == (name, offset, size))
        };
        members.iter().all(is_there)
    }
}

/// A line like `field:int ret; offset:20; size:4; signed:1;`.
fn field(line: &str) -> Option<Field> {
    let mut parts = line.trim().split(';').map(str::trim);
    let declared = parts.next()?.strip_prefix("field:")?;
    let offset = parts.next()?.strip_prefix("offset:")?.parse().ok()?;
    let size = parts.next()?.strip_prefix("size:")?.parse().ok()?;
    let name = declared.rsplit([' ', '*']).next()?.to_owned();
    Some(Field { name, offset, size })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::events::SOCK_MSG_LENGTH;

    /// As Linux 7.3 prints it.
    const FORMAT: &str = "name: sock_send_length
ID: 1743
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:void * sk;	offset:8;	size:8;	signed:0;
	field:__u16 family;	offset:16;	size:2;	signed:0;
	field:__u16 protocol;	offset:18;	size:2;	signed:0;
	field:int ret;	offset:20;	size:4;	signed:1;
	field:int flags;	offset:24;	size:4;	signed:1;

print fmt: \"sk address = %p\", REC->sk
";

    #[test]
    fn a_record_is_known_by_its_members() {
        let event = Event::parse(FORMAT).unwrap();
        assert_eq!(event.id, 1743);
        assert!(event.has(SOCK_MSG_LENGTH));
        let moved = Event::parse(&FORMAT.replace("offset:20", "offset:32")).unwrap();
        assert!(!moved.has(SOCK_MSG_LENGTH));
        let other = Event::parse(&FORMAT.replace("void * sk", "void * skaddr")).unwrap();
        assert!(!other.has(SOCK_MSG_LENGTH));
    }

    #[test]
    fn what_is_no_description_is_no_event() {
        for text in ["", "ID:", "ID: x", "field:;offset:;size:;"] {
            assert_eq!(Event::parse(text), None, "{text:?}");
        }
        assert_eq!(Event::parse("ID: 1\nfield:\nfield:a;offset:-1;size:1").unwrap().fields, []);
    }
}
