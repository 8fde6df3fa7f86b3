//! What a guest's console must not show: signs that the kernel itself was hurt.

/// Beginnings of kernel messages, without the time in front, and parts of them, that mean a fault.
const BEGINNINGS: &[&str] = &["Kernel panic", "BUG:", "kernel BUG at", "Oops", "WARNING:", "watchdog: BUG:"];
const PARTS: &[&str] = &[
    "general protection fault",
    "unable to handle kernel",
    "unable to handle page fault",
    "soft lockup",
    "hard LOCKUP",
    "self-detected stall",
    "detected stalls on CPUs",
    "detected expedited stalls",
    "blocked for more than",
    "rcu_preempt kthread starved",
    "divide error:",
    "stack-protector:",
    "Out of memory: Killed",
];

/// Lines shown before and after the one with the sign.
const BEFORE: usize = 3;
const AFTER: usize = 30;

/// The first fault in a console log and the lines round it.
pub fn fault(console: &str) -> Option<String> {
    let lines: Vec<&str> = console.lines().collect();
    let at = lines.iter().position(|line| is_fault(line))?;
    let range = at.saturating_sub(BEFORE)..(at + AFTER).min(lines.len());
    Some(lines.get(range)?.join("\n"))
}

/// The last lines, for a guest that says nothing more.
pub fn tail(console: &str, count: usize) -> String {
    let lines: Vec<&str> = console.lines().collect();
    lines.get(lines.len().saturating_sub(count)..).unwrap_or_default().join("\n")
}

fn is_fault(line: &str) -> bool {
    let message = message(line);
    BEGINNINGS.iter().any(|beginning| message.starts_with(beginning))
        || PARTS.iter().any(|part| message.contains(part))
}

/// The message without `[    1.234567] ` in front, and without the `[    T123]` of kernels that name the caller.
fn message(line: &str) -> &str {
    let mut rest = line.trim_start();
    while let Some((mark, after)) = rest.strip_prefix('[').and_then(|inside| inside.split_once(']')) {
        if !mark.chars().all(|c| c.is_ascii_digit() || matches!(c, ' ' | '.' | 'T' | 'C')) {
            break;
        }
        rest = after.trim_start();
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_found_with_the_lines_round_them() {
        for line in [
            "[    4.123456] BUG: kernel NULL pointer dereference, address: 0000000000000008",
            "[    4.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100",
            "[   12.000000] WARNING: CPU: 0 PID: 99 at kernel/bpf/verifier.c:1 check+0x1/0x2",
            "[    9.9][   T44] Oops: 0000 [#1] SMP",
            "[   40.0] watchdog: BUG: soft lockup - CPU#0 stuck for 23s! [tracer:99]",
            "[   61.0] rcu: INFO: rcu_preempt self-detected stall on CPU",
            "[  242.0] INFO: task tracer:99 blocked for more than 120 seconds.",
            "general protection fault, probably for non-canonical address 0xdead: 0000 [#1]",
        ] {
            let console = format!("[    0.1] before\n{line}\n[    5.0] after");
            let found = fault(&console).unwrap_or_else(|| panic!("not seen: {line}"));
            assert!(found.contains("before") && found.contains("after"), "{found}");
        }
    }

    #[test]
    fn an_ordinary_boot_is_no_fault() {
        let console = "[    0.000000] Command line: console=ttyS0 panic=-1\n\
                       [    0.1] MDS CPU bug present and SMT on, data leak possible.\n\
                       [    0.2] RETBleed: WARNING: Spectre v2 mitigation leaves CPU vulnerable to RETBleed attacks\n\
                       [    0.3] x86/mm: Checked W+X mappings: passed, no W+X pages found.\n\
                       [    1.0] guest-init: a job spoke of a BUG: not the kernel's\n\
                       [    2.5] ACPI: PM: Preparing to enter system sleep state S5\n";
        assert_eq!(fault(console), None);
    }

    #[test]
    fn the_tail_is_the_end() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a", 5), "a");
    }
}
