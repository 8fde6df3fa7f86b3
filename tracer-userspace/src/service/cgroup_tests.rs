//! Control group paths as they are found on real hosts.

use super::*;

const ID: &str = "9f3f66385f20a3b92c7e3300724b0b099f3f66385f20a3b92c7e3300724b0b09";

fn parsed(text: &str) -> CgroupFacts {
    parse(&text.replace("ID", ID))
}

#[test]
fn containers_by_the_form_of_their_group() {
    use ContainerRuntime::*;
    for (text, runtime) in [
        ("0::/system.slice/docker-ID.scope", Docker),
        ("0::/../docker-ID.scope", Docker),
        ("12:memory:/docker/ID\n1:name=systemd:/docker/ID", Docker),
        ("0::/docker/ID/init.scope", Docker),
        ("0::/machine.slice/libpod-ID.scope/container", Podman),
        ("0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope", Podman),
        ("5:cpu:/libpod_parent/libpod-ID", Podman),
        (
            "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12_3.slice/cri-containerd-ID.scope",
            Containerd,
        ),
        ("0::/system.slice/containerd.service/kubepods-besteffort-pod12.slice:cri-containerd:ID", Containerd),
        ("0::/system.slice/nerdctl-ID.scope", Containerd),
        ("0::/kubepods.slice/kubepods-pod1.slice/crio-ID.scope", Crio),
        ("4:cpu:/kubepods/burstable/pod1234-5678/ID", Other),
        ("4:cpu:/ecs/task/ID", Other),
    ] {
        let container = parsed(text).container.unwrap_or_else(|| panic!("no container in {text}"));
        assert_eq!((container.id.as_str(), container.runtime, container.name), (ID, runtime, None), "{text}");
    }
}

#[test]
fn whole_systems_have_names() {
    for (text, name, runtime) in [
        ("0::/lxc/web1/system.slice/nginx.service", "web1", ContainerRuntime::Lxc),
        ("0::/lxc.payload.web-1", "web-1", ContainerRuntime::Lxc),
        ("0::/lxc.payload/web1/init.scope", "web1", ContainerRuntime::Lxc),
        (
            "0::/machine.slice/systemd-nspawn@deb.service/payload/system.slice/ssh.service",
            "deb",
            ContainerRuntime::Nspawn,
        ),
        ("0::/machine.slice/machine-my\\x2ddeb.scope/payload", "my-deb", ContainerRuntime::Nspawn),
    ] {
        let container = parsed(text).container.unwrap_or_else(|| panic!("no container in {text}"));
        assert_eq!((container.name.as_deref(), container.runtime), (Some(name), runtime), "{text}");
    }
    assert_eq!(parsed("0::/lxc/web1/system.slice/nginx.service").unit.as_deref(), Some("nginx.service"));
}

#[test]
fn what_is_not_in_a_container() {
    for text in [
        "0::/",
        "0::/init.scope",
        "0::/system.slice/nginx.service",
        "0::/user.slice/user-0.slice/session-3.scope",
        "0::/machine.slice/libpod-conmon-ID.scope",
        "0::/machine.slice/crio-conmon-ID.scope",
        "0::/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator",
        "0::/machine.slice/systemd-nspawn@deb.service/supervisor",
        "0::/lxc.monitor.web1",
        // 32 digits are no container id.
        "4:memory:/process_api/9f3f66385f20a3b92c7e3300724b0b09\n0::/",
        "",
        "garbage",
        "0::",
    ] {
        assert_eq!(parsed(text).container, None, "{text}");
    }
}

#[test]
fn the_innermost_container_counts() {
    let inner = "a".repeat(64);
    let facts =
        parse(&format!("0::/system.slice/docker-{ID}.scope/kubepods/pod1/cri-containerd-{inner}.scope"));
    assert_eq!(facts.container.map(|container| container.id), Some(inner));
    assert!(facts.in_pod);
}

#[test]
fn units() {
    for (text, unit) in [
        ("0::/system.slice/nginx.service", Some("nginx.service")),
        (
            "0::/system.slice/system-postgresql.slice/postgresql@15-main.service",
            Some("postgresql@15-main.service"),
        ),
        ("0::/system.slice/foo.service/payload", Some("foo.service")),
        ("0::/system.slice/my\\x2dapp.service", Some("my-app.service")),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/shop.service", Some("shop.service")),
        ("0::/user.slice/user-1000.slice/user@1000.service/init.scope", None),
        ("0::/user.slice/user-1000.slice/session-4.scope", None),
        ("0::/init.scope", None),
        ("3:cpu:/\n1:name=systemd:/system.slice/nginx.service\n0::/", Some("nginx.service")),
        // The unit is the container manager's, not the container's.
        ("0::/system.slice/containerd.service/kubepods-pod12.slice:cri-containerd:ID", None),
        ("0::/machine.slice/systemd-nspawn@deb.service/payload", None),
        ("1:name=systemd:/system.slice/docker.service\n3:cpu:/docker/ID", None),
    ] {
        assert_eq!(parsed(text).unit.as_deref(), unit, "{text}");
    }
}

#[test]
fn units_that_are_services() {
    for (unit, name) in [
        ("nginx.service", Some("nginx")),
        ("gunicorn@shop.service", Some("gunicorn@shop")),
        ("ssh.service", None),
        ("ssh@3-10.0.0.1:22.service", None),
        ("cron.service", None),
        ("supervisor.service", None),
        ("pm2-root.service", None),
        ("getty@tty1.service", None),
        ("run-u12.service", None),
        ("actions.runner.x.service", None),
        ("init.scope", None),
        (".service", None),
    ] {
        assert_eq!(service_of_unit(unit), name, "{unit}");
    }
}

#[test]
fn hostile_paths_stay_bounded() {
    let long = format!("0::/{}", "x/".repeat(100_000));
    assert!(parse(&long).paths.is_empty());
    let many: String = (0..1000).map(|n| format!("{n}:c{n}:/p{n}\n")).collect();
    assert_eq!(parse(&many).paths.len(), MAX_PATHS);
    assert_eq!(unescape("a\\x2"), "a\\x2");
    assert_eq!(unescape("\\xzz\\x2d"), "\\xzz-");
    assert_eq!(unescape("\\xü"), "\\xü");
}

/// The whole file, as hosts with only version 1, or with both, have it.
#[test]
fn version_1_hosts() {
    let systemd = |path: &str| {
        parsed(&format!(
            "12:pids:{path}\n11:rdma:/\n10:net_cls,net_prio:/\n9:memory:{path}\n8:cpuset:/\n7:hugetlb:/\n\
             6:freezer:/\n5:perf_event:/\n4:devices:{path}\n3:blkio:/\n2:cpu,cpuacct:/\n1:name=systemd:{path}\n0::{path}"
        ))
    };
    let nginx = systemd("/system.slice/nginx.service");
    assert_eq!((nginx.unit.as_deref(), nginx.container), (Some("nginx.service"), None));
    assert_eq!(nginx.paths, ["/system.slice/nginx.service", "/"]);

    // Docker with its own driver, on a host with version 1 alone: no hierarchy of systemd's, no unified one.
    let docker = |id: &str| {
        let all = [
            "pids",
            "net_cls,net_prio",
            "memory",
            "hugetlb",
            "freezer",
            "devices",
            "cpuset",
            "cpu,cpuacct",
            "blkio",
        ];
        parsed(&all.iter().enumerate().map(|(n, name)| format!("{n}:{name}:{id}\n")).collect::<String>())
    };
    let plain = docker("/docker/ID");
    assert_eq!(
        plain.container.map(|found| (found.id, found.runtime)),
        Some((ID.to_owned(), ContainerRuntime::Docker))
    );
    assert_eq!((plain.unit, plain.paths.len()), (None, 1));
    let pod = docker("/kubepods/burstable/pod8d9d8f5e-6c3c-4c1e-9d2c-1f0a0b0c0d0e/ID");
    assert!(pod.in_pod && pod.container.is_some());

    // With systemd's driver the unit of the container's monitor is not the container's.
    let scope = systemd("/system.slice/docker-ID.scope");
    assert_eq!((scope.container.map(|found| found.id), scope.unit), (Some(ID.to_owned()), None));

    // Both versions mounted, and the service only in systemd's own hierarchy.
    let hybrid =
        parsed("9:memory:/\n1:name=systemd:/system.slice/system-shop.slice/shop@1.service\n0::/init.scope");
    assert_eq!(hybrid.unit.as_deref(), Some("shop@1.service"));
}

#[test]
fn groups_around_a_process_end_at_its_container() {
    let around = |path: &str| groups_around(&path.replace("ID", ID)).collect::<Vec<_>>();
    assert_eq!(around("/a.slice/a-b\\x2dc.slice/x.service"), ["a.slice", "a-b-c.slice", "x.service"]);
    assert_eq!(around("/machine.slice/libpod-ID.scope/system.slice/x.service"), ["machine.slice"]);
    assert_eq!(around("/"), [""; 0]);
}
