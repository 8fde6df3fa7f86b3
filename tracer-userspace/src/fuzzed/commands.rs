//! Command lines, environments and control groups, which processes write themselves: to names, masked.

use super::Input;
use crate::secret;
use crate::service::{ProcessFacts, cgroup, environ, service_name};

/// Words that the rules know, so that random choices get past the first comparison.
const WORDS: [&str; 24] = [
    "python3",
    "-m",
    "gunicorn",
    "app:create()",
    "java",
    "-jar",
    "-cp",
    "node",
    "--require",
    "ruby",
    "sh",
    "-c",
    "/lib64/ld-linux.so.2",
    "busybox",
    "env",
    "--",
    "-",
    "",
    "nginx: worker process",
    "php-fpm: pool www",
    "--password",
    "http://user:pw@h/",
    "KEY=value",
    "--token=x",
];

fn words(input: &mut Input<'_>) -> Vec<String> {
    let count = input.byte() % 12;
    let mut words = Vec::new();
    for _ in 0..count {
        let choice = input.byte();
        if choice & 1 == 0 {
            words.push(
                WORDS.get(usize::from(choice >> 1) % WORDS.len()).copied().unwrap_or_default().to_owned(),
            );
        } else {
            let len = usize::from(choice >> 3);
            words.push(String::from_utf8_lossy(input.take(len)).into_owned());
        }
    }
    words
}

fn facts(input: &mut Input<'_>) -> ProcessFacts {
    let args = words(input);
    let groups = cgroup::parse(&String::from_utf8_lossy(input.bytes()));
    let flags = input.byte();
    ProcessFacts {
        pid: 1,
        exe: (flags & 1 != 0).then(|| args.first().cloned().unwrap_or_default()),
        comm: String::from_utf8_lossy(input.take(usize::from(flags >> 4))).into_owned(),
        kernel_thread: flags & 2 != 0,
        env: environ::parse(input.bytes()),
        cgroups: groups.paths,
        container: groups.container,
        in_pod: groups.in_pod,
        pod_name: (flags & 4 != 0).then(|| args.last().cloned().unwrap_or_default()),
        unit: groups.unit,
        args,
        ..ProcessFacts::default()
    }
}

/// Makes a few processes out of `data`, each the parent of the one before, and names them.
pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut family = Vec::new();
    while !input.is_empty() && family.len() < 10 {
        family.push(facts(&mut input));
    }
    for (at, process) in family.iter().enumerate() {
        let parents = family.get(at + 1..).unwrap_or_default();
        let named = service_name(process, parents);
        let letters = named.name.chars().count();
        assert!((1..=64).contains(&letters), "{named:?} of {process:?}");
        assert!(!named.name.chars().any(char::is_control), "{named:?}");
        let mut masked = process.args.clone();
        secret::mask_arguments(&process.comm, &mut masked);
        assert_eq!(masked.len(), process.args.len());
        // What is masked stays masked, and nothing more of it goes.
        let once = masked.clone();
        secret::mask_arguments(&process.comm, &mut masked);
        assert_eq!(once, masked);
    }
}
