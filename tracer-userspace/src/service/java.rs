//! Java: the archive or the main class, under the name a person knows it by.

use super::command::Named;
use super::options::value_of;
use super::text::{base, is_showable, parent_base};

/// Options of the launcher whose value is the next word (java(1)).
const WITH_VALUE: &[&str] = &[
    "-cp",
    "-classpath",
    "--class-path",
    "-p",
    "--module-path",
    "--add-modules",
    "--add-exports",
    "--add-opens",
    "--add-reads",
    "--patch-module",
    "--limit-modules",
    "--upgrade-module-path",
    "--enable-native-access",
    "--source",
    "-d",
    "--describe-module",
    "--sun-misc-unsafe-memory-access",
    "--finalization",
    "--illegal-native-access",
];

/// Names `java ARGS`.
pub(super) fn name(args: &[String]) -> Named {
    // What the program was told to call itself.
    let own = ["-Dotel.service.name", "-Dspring.application.name", "--spring.application.name"];
    if let Some(name) =
        own.iter().find_map(|option| value_of(args, &[option])).filter(|name| is_showable(name))
    {
        return Named::Program(name.to_owned());
    }
    let mut words = args.iter().enumerate();
    while let Some((at, word)) = words.next() {
        let next = args.get(at + 1).map(String::as_str);
        let class_path =
            || value_of(args.get(..at).unwrap_or_default(), &["-cp", "-classpath", "--class-path"]);
        match (word.as_str(), next) {
            ("-jar", Some(jar)) => return archive(jar),
            ("-m" | "--module", Some(module)) => return by_module(module),
            (option, _) if WITH_VALUE.contains(&option) => {
                words.next();
            }
            (option, _) if option.starts_with("--module=") => {
                return by_module(option.strip_prefix("--module=").unwrap_or_default());
            }
            // @file holds more arguments that cannot be seen here.
            (option, _) if option.starts_with('-') || option.starts_with('@') || option.is_empty() => {}
            (class, _) => return by_class(class, class_path()),
        }
    }
    Named::Bare("java (no class)".to_owned())
}

/// `shop-1.2.3-SNAPSHOT.jar` → `shop`.
fn archive(path: &str) -> Named {
    let file = base(path);
    let stem = [".jar", ".war"].iter().find_map(|extension| file.strip_suffix(extension)).unwrap_or(file);
    let name = without_release(stem);
    match name {
        "jboss-modules" => Named::Program("wildfly".to_owned()),
        "start" if path.contains("jetty") => Named::Program("jetty".to_owned()),
        // Names that every build tool gives: the directory says more.
        "app" | "application" | "main" | "service" => match parent_base(path) {
            Some(dir)
                if !matches!(
                    dir,
                    "app" | "target" | "libs" | "build" | "opt" | "srv" | "lib" | "root" | "tmp"
                ) =>
            {
                Named::of(&[dir], "java")
            }
            _ => Named::of(&[name], "java"),
        },
        _ => Named::of(&[name], "java"),
    }
}

/// A Maven artifact without its version: from the first `-` that a digit follows.
fn without_release(stem: &str) -> &str {
    let cut = stem.match_indices('-').find(|(at, _)| {
        stem.get(at + 1..)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()) || rest == "SNAPSHOT")
    });
    match cut.and_then(|(at, _)| stem.get(..at)) {
        Some(name) if !name.is_empty() => name,
        _ => stem,
    }
}

fn by_module(module: &str) -> Named {
    match module.split_once('/') {
        Some((_, class)) => by_class(class, None),
        None => Named::of(&[module], "java"),
    }
}

fn by_class(class: &str, class_path: Option<&str>) -> Named {
    let known = match class {
        "org.apache.catalina.startup.Bootstrap" => Some("tomcat"),
        "kafka.Kafka" => Some("kafka"),
        "org.apache.zookeeper.server.quorum.QuorumPeerMain" => Some("zookeeper"),
        "org.apache.cassandra.service.CassandraDaemon" => Some("cassandra"),
        "org.elasticsearch.bootstrap.Elasticsearch"
        | "org.elasticsearch.server/org.elasticsearch.bootstrap.Elasticsearch" => Some("elasticsearch"),
        "org.opensearch.bootstrap.OpenSearch" => Some("opensearch"),
        "org.eclipse.jetty.start.Main" => Some("jetty"),
        "org.jboss.modules.Main" => Some("wildfly"),
        _ => None,
    };
    if let Some(name) = known {
        return Named::Program(name.to_owned());
    }
    // A launcher of the archive that is its class path.
    if class.starts_with("org.springframework.boot.loader.")
        && let Some(jar) = class_path.filter(|path| !path.contains(':') && path.ends_with(".jar"))
    {
        return archive(jar);
    }
    // `java Server.java` compiles and runs a source file.
    if let Some(source) = class.strip_suffix(".java") {
        return Named::of(&[base(source)], "java");
    }
    let simple = class.rsplit(['.', '/']).next().unwrap_or(class);
    // `Outer$Main` is written with a dollar sign, and known by its outer class.
    let simple = simple.split('$').next().filter(|outer| !outer.is_empty()).unwrap_or(simple);
    Named::of(&[simple], "java")
}
