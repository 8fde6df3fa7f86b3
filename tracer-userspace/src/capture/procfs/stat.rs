//! `/proc/PID/stat` (proc_pid_stat(5)).

/// The fields that are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// Field 2.
    pub comm: String,
    /// Field 4.
    pub ppid: u32,
    /// Field 9, bit `PF_KTHREAD`.
    pub kernel_thread: bool,
    /// Field 22, clock ticks since boot.
    pub start_ticks: u64,
}

/// `PF_KTHREAD` (include/linux/sched.h).
const PF_KTHREAD: u64 = 0x0020_0000;

/// Parses the file. The command name stands in parentheses and may contain anything, parentheses, blanks and line
/// ends included: it ends at the last `)`.
pub(super) fn parse(bytes: &[u8]) -> Option<Stat> {
    let open = bytes.iter().position(|byte| *byte == b'(')?;
    let close = bytes.iter().rposition(|byte| *byte == b')')?;
    let comm = String::from_utf8_lossy(bytes.get(open + 1..close)?).into_owned();
    let rest = std::str::from_utf8(bytes.get(close + 1..)?).ok()?;
    // The first field after the name is field 3.
    let mut fields = rest.split_ascii_whitespace().skip(1);
    let ppid = fields.next()?.parse().ok()?;
    let flags: u64 = fields.nth(4)?.parse().ok()?;
    let start_ticks = fields.nth(12)?.parse().ok()?;
    Some(Stat { comm, ppid, kernel_thread: flags & PF_KTHREAD != 0, start_ticks })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(comm: &str) -> String {
        format!(
            "42 ({comm}) S 7 42 42 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 200 18446744073709551615 1 1 0\n"
        )
    }

    #[test]
    fn any_command_name_is_read() {
        for comm in ["node", "a b", "x) S 1 1", "((", ")", "", "new\nline", "ü"] {
            let stat = parse(line(comm).as_bytes()).unwrap();
            let want = Stat { comm: comm.into(), ppid: 7, kernel_thread: false, start_ticks: 987_654 };
            assert_eq!(stat, want);
        }
        let binary = [b"42 (\xff\xfe".as_slice(), line("").split_once('(').unwrap().1.as_bytes()].concat();
        assert_eq!(parse(&binary).unwrap().comm, "\u{fffd}\u{fffd}");
    }

    #[test]
    fn kernel_threads_are_told_by_their_flag() {
        let thread = line("kthreadd").replace("4194304", "2129984");
        assert!(parse(thread.as_bytes()).unwrap().kernel_thread);
    }

    #[test]
    fn what_is_cut_off_is_not_believed() {
        let whole = line("node");
        let needed = whole.find("987654").unwrap() + 6;
        for end in 0..needed - 5 {
            assert_eq!(parse(&whole.as_bytes()[..end]), None, "{end}");
        }
        assert_eq!(parse(b")("), None);
    }
}
