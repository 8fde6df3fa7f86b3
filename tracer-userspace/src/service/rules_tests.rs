//! Which rule names a process, and how workers find their server.

use super::*;

fn process(exe: &str, line: &str) -> ProcessFacts {
    ProcessFacts {
        exe: Some(exe.to_owned()),
        comm: text::base(exe).to_owned(),
        args: line.split(' ').map(|word| word.replace('~', " ")).collect(),
        ..ProcessFacts::default()
    }
}

fn container(runtime: ContainerRuntime, name: Option<&str>) -> Option<Container> {
    Some(Container { id: "a".repeat(64), runtime, name: name.map(str::to_owned) })
}

fn named(facts: &ProcessFacts, parents: &[&ProcessFacts]) -> (String, NameSource) {
    let name = service_name(facts, parents.iter().copied());
    (name.name.to_string(), name.source)
}

#[test]
fn the_first_rule_that_gives_a_name_decides() {
    let mut facts = process("/usr/bin/node", "node server.js");
    assert_eq!(named(&facts, &[]), ("node server.js".into(), NameSource::Command));
    facts.unit = Some("shop.service".into());
    assert_eq!(named(&facts, &[]), ("shop".into(), NameSource::Unit));
    facts.container = container(ContainerRuntime::Docker, Some("shop-1"));
    assert_eq!(named(&facts, &[]), ("shop-1".into(), NameSource::Container));
    facts.in_pod = true;
    facts.pod_name = Some("frontend-6d4b75cb6d-hk5tz".into());
    assert_eq!(named(&facts, &[]), ("frontend/shop-1".into(), NameSource::Pod));
    facts.env.otel_resource_service_name = Some("from-resource".into());
    assert_eq!(named(&facts, &[]), ("from-resource".into(), NameSource::Otel));
    facts.env.otel_service_name = Some("from-name".into());
    assert_eq!(named(&facts, &[]), ("from-name".into(), NameSource::Otel));
}

#[test]
fn a_container_without_a_known_name_is_named_by_its_command() {
    let mut facts = process("/usr/bin/node", "node server.js");
    facts.container = container(ContainerRuntime::Docker, None);
    facts.unit = Some("docker.service".into());
    assert_eq!(named(&facts, &[]), ("node server.js".into(), NameSource::Command));
}

#[test]
fn a_container_that_is_a_whole_system_does_not_name_its_services() {
    let mut facts = process("/usr/sbin/nginx", "nginx:~worker~process");
    facts.container = container(ContainerRuntime::Lxc, Some("web1"));
    facts.unit = Some("proxy.service".into());
    assert_eq!(named(&facts, &[]), ("proxy".into(), NameSource::Unit));
    facts.unit = None;
    assert_eq!(named(&facts, &[]), ("nginx".into(), NameSource::Command));
}

#[test]
fn pods() {
    for (pod, workload) in [
        ("frontend-6d4b75cb6d-hk5tz", "frontend"),
        ("user-service-5f7c9d8b4-xx2zq", "user-service"),
        ("web-0", "web-0"),
        ("worker-abcde", "worker-abcde"),
        ("shop", "shop"),
        ("-6d4b75cb6d-hk5tz", "-6d4b75cb6d-hk5tz"),
    ] {
        assert_eq!(workload_of_pod(pod), workload);
    }
    let mut facts = process("/usr/bin/node", "node server.js");
    facts.pod_name = Some("frontend-6d4b75cb6d-hk5tz".into());
    // HOSTNAME outside of a pod is only a host's name.
    assert_eq!(named(&facts, &[]).1, NameSource::Command);
    facts.in_pod = true;
    assert_eq!(named(&facts, &[]), ("frontend".into(), NameSource::Pod));
    facts.container = container(ContainerRuntime::Containerd, Some("frontend"));
    assert_eq!(named(&facts, &[]), ("frontend".into(), NameSource::Pod));
}

#[test]
fn units_that_start_many_programs_name_none() {
    let mut facts = process("/usr/bin/node", "node server.js");
    for unit in ["ssh.service", "supervisor.service", "cron.service"] {
        facts.unit = Some(unit.into());
        assert_eq!(named(&facts, &[]), ("node server.js".into(), NameSource::Command), "{unit}");
    }
}

#[test]
fn workers_of_a_prefork_server_have_one_name() {
    let groups = [
        (
            "/usr/bin/python3.11",
            "/usr/bin/python3 /usr/bin/gunicorn front:app",
            "/usr/bin/python3 /usr/bin/gunicorn front:app",
        ),
        ("/usr/bin/python3.11", "gunicorn:~master~[front:app]", "gunicorn:~worker~[front:app]"),
        (
            "/usr/bin/python3.11",
            "/usr/bin/python3 /usr/bin/uvicorn a:app --workers 2",
            "/usr/bin/python3 -c from~multiprocessing.spawn~import~spawn_main;~spawn_main(1) --multiprocessing-fork",
        ),
        (
            "/usr/bin/python3.11",
            "/usr/bin/python3 /usr/bin/celery -A proj worker",
            "[celeryd:~celery@host:ForkPoolWorker-1]",
        ),
        ("/usr/sbin/nginx", "nginx:~master~process~/usr/sbin/nginx", "nginx:~worker~process"),
        ("/usr/bin/uwsgi-core", "uwsgi --ini shop.ini", "uWSGI~worker~1"),
        ("/usr/sbin/apache2", "/usr/sbin/apache2 -k start", "/usr/sbin/apache2 -k start"),
        (
            "/usr/lib/postgresql/15/bin/postgres",
            "/usr/lib/postgresql/15/bin/postgres -D x",
            "postgres:~15/main:~a~b~[local]~idle",
        ),
        ("/usr/bin/ruby3.1", "puma~6.4.0~(tcp://0.0.0.0:9292)~[shop]", "puma:~cluster~worker~0:~1~[shop]"),
        ("/usr/bin/node", "node server.js", "/usr/bin/node /srv/server.js"),
    ];
    for (exe, master, worker) in groups {
        let (master, worker) = (process(exe, master), process(exe, worker));
        let init = process("/usr/lib/systemd/systemd", "/sbin/init");
        assert_eq!(named(&worker, &[&master, &init]), named(&master, &[&init]), "{:?}", worker.args);
        assert_ne!(named(&worker, &[&master]).0, "", "{:?}", worker.args);
    }
}

#[test]
fn a_worker_takes_what_only_its_server_says() {
    // The title was written over the environment.
    let mut master = process("/usr/sbin/nginx", "nginx:~master~process");
    master.env.otel_service_name = Some("edge".into());
    let mut worker = process("/usr/sbin/nginx", "nginx:~worker~process");
    assert_eq!(named(&worker, &[&master]).0, "edge");
    worker.env.otel_service_name = Some("edge-2".into());
    assert_eq!(named(&worker, &[&master]).0, "edge-2");
}

#[test]
fn other_programs_of_the_same_interpreter_are_no_workers() {
    let parent = process("/usr/bin/node", "node gateway.js");
    let child = process("/usr/bin/node", "node billing.js");
    assert_eq!(named(&child, &[&parent]).0, "node billing.js");
    // PM2 starts many different programs and is Node itself.
    let pm2 = process("/usr/bin/node", "PM2~v5.3.0:~God~Daemon~(/root/.pm2)");
    let app = process("/usr/bin/node", "node~/srv/billing.js");
    assert_eq!(named(&app, &[&pm2]).0, "node billing.js");
    // The pools of php-fpm are different services.
    let master = process("/usr/sbin/php-fpm8.2", "php-fpm:~master~process~(x)");
    let pool = process("/usr/sbin/php-fpm8.2", "php-fpm:~pool~billing");
    assert_eq!(named(&pool, &[&master]).0, "php-fpm billing");
}

#[test]
fn a_child_in_another_container_is_no_worker() {
    let mut parent = process("/usr/bin/python3", "python3 supervisor.py");
    parent.env.otel_service_name = Some("host-agent".into());
    let mut child = process("/usr/bin/python3", "python3 -c x");
    child.container = container(ContainerRuntime::Docker, None);
    assert_eq!(named(&child, &[&parent]).0, "python -c");
}

#[test]
fn without_an_executable_nobody_is_a_worker() {
    let parent = ProcessFacts { comm: "kthreadd".into(), kernel_thread: true, ..ProcessFacts::default() };
    let child = ProcessFacts { comm: "kworker/0:1".into(), kernel_thread: true, ..ProcessFacts::default() };
    assert_eq!(named(&child, &[&parent]), ("kworker/0:1".into(), NameSource::Comm));
}

#[test]
fn long_names_are_cut() {
    let mut facts = process("/usr/bin/node", "node server.js");
    facts.env.otel_service_name = Some("x".repeat(500));
    assert_eq!(named(&facts, &[]).0.chars().count(), text::MAX_NAME_CHARS);
}
