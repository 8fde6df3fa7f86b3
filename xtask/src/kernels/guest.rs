//! One guest: a run of QEMU, from its start to its end, whatever happens.
//!
//! Emulation in software (TCG), one virtual CPU, which in emulation is faster than two. The console goes to a file, the
//! reports come through a virtio-serial port that is QEMU's standard output.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tracer_guest::frame::{Decoder, Frame};
use tracer_guest::plan::{DISK, PORT};

use super::console;

/// What to boot.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The kernel's image.
    pub kernel: PathBuf,
    /// The initramfs.
    pub initramfs: PathBuf,
    /// The root image, if the plan wants one.
    pub image: Option<PathBuf>,
    /// Added to the kernel's command line.
    pub append: String,
    /// Memory in MiB.
    pub memory: u32,
    /// From start to power-off. A loaded machine needs 100 s and more to boot one.
    pub limit: Duration,
    /// Where the console's log goes.
    pub console: PathBuf,
}

/// How often the console is looked at while nothing is reported.
const TICK: Duration = Duration::from_millis(500);

/// Boots it and hands each report to `on`, in order. Fails unless the guest did all it was asked, powered off by itself,
/// and its kernel came to no harm.
pub fn run(machine: &Machine, mut on: impl FnMut(Frame)) -> Result<()> {
    let mut qemu = Qemu::start(machine)?;
    let deadline = Instant::now() + machine.limit;
    let mut decoder = Decoder::default();
    let mut failed = None;
    let mut done = false;
    let ended = loop {
        match qemu.output.recv_timeout(TICK) {
            Ok(bytes) => {
                for frame in decoder.push(&bytes)? {
                    match frame {
                        Frame::Done => done = true,
                        Frame::Failed(reason) => failed = Some(reason),
                        other => on(other),
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                // A kernel that is hurt may live on and never report; but let it write the whole story first.
                if fault(machine).is_some() {
                    thread::sleep(TICK * 4);
                    break false;
                }
            }
            Err(RecvTimeoutError::Disconnected) => break true,
        }
        if Instant::now() > deadline {
            break false;
        }
    };
    let said = qemu.end();
    let log = read_console(machine);
    if let Some(fault) = console::fault(&log) {
        bail!("the guest's kernel came to harm; its console ({}):\n{fault}", machine.console.display());
    }
    if let Some(reason) = failed {
        bail!("the guest could not do what was planned: {reason}\n{}", console::tail(&log, 15));
    }
    if !ended {
        bail!(
            "the guest's time of {} s was up; its console ends:\n{}",
            machine.limit.as_secs(),
            console::tail(&log, 15)
        );
    }
    if !done {
        bail!(
            "the guest ended without a report; QEMU said {said:?}; its console ends:\n{}",
            console::tail(&log, 25)
        );
    }
    Ok(())
}

fn fault(machine: &Machine) -> Option<String> {
    console::fault(&read_console(machine))
}

fn read_console(machine: &Machine) -> String {
    let bytes = std::fs::read(&machine.console).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\r', "")
}

/// A running QEMU; never outlives this value, nor the thread that made it.
struct Qemu {
    child: Child,
    output: Receiver<Vec<u8>>,
    /// Never written to, and open until the end: at end of file QEMU would mark the port as disconnected.
    _silent: Option<ChildStdin>,
}

impl Qemu {
    fn start(machine: &Machine) -> Result<Self> {
        // The chardev of the console is opened by QEMU; an older log must not be taken for this run's.
        File::create(&machine.console)
            .with_context(|| format!("cannot write {}", machine.console.display()))?;
        let mut command = command(machine);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C on a terminal reaches this process group only: QEMU is ended by us, or with us.
        command.process_group(0);
        // SAFETY: between fork and exec one system call is made; it takes integers only.
        unsafe {
            command.pre_exec(|| {
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == 0 {
                    Ok(())
                } else {
                    Err(std::io::Error::last_os_error())
                }
            });
        }
        let mut child = command
            .spawn()
            .context("cannot start qemu-system-x86_64; the package qemu-system-x86 brings it")?;
        let mut stdout = child.stdout.take().context("QEMU has no standard output")?;
        let silent = child.stdin.take();
        let (send, output) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = stdout.read(&mut buffer) {
                if send.send(buffer.get(..count).unwrap_or_default().to_vec()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, output, _silent: silent })
    }

    /// Makes sure that it has ended and returns what it complained of.
    fn end(&mut self) -> String {
        // It may have ended by itself: nothing to do then.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
        let mut said = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _unreadable = stderr.read_to_string(&mut said);
        }
        said.trim().to_owned()
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        self.end();
    }
}

fn command(machine: &Machine) -> Command {
    let path = |path: &Path| path.display().to_string();
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args([
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
        "-M",
        "pc",
        "-cpu",
        "max",
    ]);
    qemu.args(["-accel", "tcg,thread=multi,tb-size=256", "-smp", "1", "-m", &machine.memory.to_string()]);
    qemu.args(["-kernel", &path(&machine.kernel), "-initrd", &path(&machine.initramfs)]);
    qemu.args([
        "-chardev",
        &format!("file,id=console,path={}", path(&machine.console)),
        "-serial",
        "chardev:console",
    ]);
    qemu.args(["-device", "virtio-serial-pci", "-chardev", "stdio,id=report,signal=off"]);
    qemu.args(["-device", &format!("virtserialport,chardev=report,name={PORT}")]);
    if let Some(image) = &machine.image {
        qemu.args(["-drive", &format!("if=none,id=root,file={},format=raw,readonly=on", path(image))]);
        qemu.args(["-device", &format!("virtio-blk-pci,drive=root,serial={DISK}")]);
    }
    // Level 5 and not less: WARN() speaks at level 4. A panic ends QEMU at once.
    let line = "console=ttyS0 quiet loglevel=5 panic=-1 printk.devkmsg=on random.trust_cpu=on net.ifnames=0";
    qemu.args(["-append", format!("{line} {}", machine.append).trim_end()]);
    qemu
}
