//! Real command lines, and what a person calls them.

use super::command::name;
use super::text::MAX_NAME_CHARS;
use super::{NameSource, ProcessFacts};

/// A process by its executable, command name and arguments; `~` stands for a blank within an argument.
fn process(exe: &str, comm: &str, line: &str) -> ProcessFacts {
    ProcessFacts {
        pid: 100,
        exe: (!exe.is_empty()).then(|| exe.to_owned()),
        comm: comm.to_owned(),
        args: line.split(' ').filter(|word| !word.is_empty()).map(|word| word.replace('~', " ")).collect(),
        ..ProcessFacts::default()
    }
}

/// Executable, command name, command line, and the name.
#[rustfmt::skip]
const CASES: &[(&str, &str, &str, &str)] = &[
    // Python
    ("/usr/bin/python3.11", "gunicorn", "/usr/bin/python3 /usr/bin/gunicorn front:app", "gunicorn front:app"),
    (
        "/usr/bin/python3.11",
        "gunicorn",
        "/usr/bin/python3 /usr/bin/gunicorn -w 4 -b 0.0.0.0:8000 --threads 8 shop.wsgi:application",
        "gunicorn shop.wsgi:application",
    ),
    (
        "/usr/bin/python3.11",
        "gunicorn",
        "/usr/bin/python3 /usr/bin/gunicorn front:app -w 4 -k gthread",
        "gunicorn front:app",
    ),
    (
        "/usr/bin/python3.11",
        "gunicorn",
        "/venv/bin/python /venv/bin/gunicorn --env DB_PASSWORD=x --reload front:make_app(key=\"s3cret\")",
        "gunicorn front:make_app",
    ),
    ("/usr/bin/python3.11", "gunicorn", "/venv/bin/python /venv/bin/gunicorn -c conf.py", "gunicorn"),
    ("/usr/bin/python3.11", "gunicorn", "gunicorn:~master~[front:app]", "gunicorn front:app"),
    ("/usr/bin/python3.11", "gunicorn", "gunicorn:~worker~[front:app]", "gunicorn front:app"),
    ("/usr/bin/python3.11", "gunicorn: worke", "gunicorn:~worker~[shop]", "gunicorn shop"),
    (
        "/usr/bin/python3.12",
        "uvicorn",
        "/usr/local/bin/python /usr/local/bin/uvicorn main:app --host 0.0.0.0 --port 80 --proxy-headers",
        "uvicorn main:app",
    ),
    ("/usr/bin/python3.12", "python", "python -m uvicorn main:app --reload", "uvicorn main:app"),
    (
        "/usr/bin/python3.12",
        "hypercorn",
        "/usr/bin/python3 /usr/bin/hypercorn shop.asgi:app",
        "hypercorn shop.asgi:app",
    ),
    ("/usr/bin/python3.12", "python3", "python3 -m http.server 8000", "python -m http.server"),
    ("/usr/bin/python3.12", "python3", "python3 -mhttp.server", "python -m http.server"),
    (
        "/usr/bin/python3.12",
        "python3",
        "python3 -u -W ignore -X dev /srv/shop/server.py --port 80",
        "python server.py",
    ),
    ("/usr/bin/python3.12", "python3", "python3 -Im shop", "python -m shop"),
    ("/usr/bin/python3.12", "python3", "python3 -Wignore server.py", "python server.py"),
    (
        "/usr/bin/python3.12",
        "python3",
        "python3 server.py --password=hunter2 --token abc",
        "python server.py",
    ),
    ("/usr/bin/python3.12", "python3", "python3 -c import~os;key='x'", "python -c"),
    ("/usr/bin/python3.12", "python3", "python3 -", "python -"),
    ("/usr/bin/python3.12", "python3", "python3", "python (no script)"),
    ("/usr/bin/pypy3.9", "pypy3", "pypy3 server.py", "pypy server.py"),
    ("/usr/bin/python3.11", "supervisord", "/usr/bin/python3 /usr/bin/supervisord -n", "supervisord"),
    (
        "/usr/bin/python3.11",
        "celery",
        "/usr/bin/python3 /usr/bin/celery -A proj worker -l info",
        "celery proj worker",
    ),
    (
        "/usr/bin/python3.11",
        "celery",
        "/usr/bin/python3 /usr/bin/celery --app=proj.tasks beat",
        "celery proj.tasks beat",
    ),
    ("/usr/bin/python3.11", "celery", "/usr/bin/python3 -m celery -A proj worker", "celery proj worker"),
    (
        "/usr/bin/python3.11",
        "celery",
        "[celeryd:~celery@host:MainProcess]~-active-~(worker~-A~proj~-l~info)",
        "celery proj worker",
    ),
    ("/usr/bin/python3.11", "celery", "[celeryd:~celery@host:ForkPoolWorker-1]", "celery"),
    (
        "/usr/bin/python3.11",
        "flask",
        "/usr/bin/python3 /usr/bin/flask --app hello run --port 5000",
        "flask hello",
    ),
    ("/usr/bin/python3.11", "flask", "/usr/bin/python3 /usr/bin/flask run", "flask"),
    ("/usr/bin/python3.11", "python", "python manage.py runserver 0.0.0.0:8000", "manage.py runserver"),
    ("/usr/bin/python3.11", "python", "python /srv/shop/manage.py runserver", "django shop"),
    ("/usr/bin/python3.11", "python", "python /app/manage.py runserver", "manage.py runserver"),
    ("/usr/bin/python3.11", "python", "python /opt/shop/__main__.py", "python shop"),
    ("/usr/bin/uwsgi-core", "uwsgi", "uwsgi --ini /etc/uwsgi/shop.ini", "uwsgi shop.ini"),
    ("/usr/bin/uwsgi-core", "uwsgi", "uwsgi --http :9090 --module front:app --master", "uwsgi front:app"),
    ("/usr/bin/uwsgi", "uwsgi", "/usr/bin/uwsgi --socket :3031 --wsgi-file /srv/shop/app.py", "uwsgi app.py"),
    ("/usr/bin/python3.11", "shop-api", "shop-api", "shop-api"),
    // Node
    ("/usr/bin/node", "node", "node server.js", "node server.js"),
    ("/usr/bin/node", "node", "node /srv/shop/server.js --api-key=abc", "node server.js"),
    (
        "/usr/bin/node",
        "MainThread",
        "/usr/bin/node --max-old-space-size=4096 --inspect=0.0.0.0:9229 dist/main.js",
        "node main.js",
    ),
    ("/usr/bin/node", "node", "node -r dotenv/config --import ./tracing.mjs server.mjs", "node server.mjs"),
    ("/usr/bin/node", "node", "node --enable-source-maps server", "node server"),
    ("/usr/bin/node", "node", "node --frobnicate hunter2 server.js", "node server.js"),
    ("/usr/bin/node", "node", "node -e require('x')", "node -e"),
    ("/usr/bin/node", "node", "node --title=shop server.js", "shop"),
    ("/usr/bin/node", "node", "node", "node (no script)"),
    ("/usr/bin/node", "npm start", "npm~start", "npm start"),
    ("/usr/bin/node", "npm run serve", "npm~run~serve", "npm run serve"),
    (
        "/usr/bin/node",
        "node",
        "node /usr/lib/node_modules/npm/bin/npm-cli.js run start --silent",
        "npm run start",
    ),
    ("/usr/bin/node", "node", "node /usr/share/yarn/bin/yarn.js start", "yarn start"),
    ("/usr/bin/node", "node", "node /app/node_modules/.bin/next start -p 3000", "next start"),
    ("/usr/bin/node", "next-server (v1", "next-server~(v14.1.0)", "next-server"),
    (
        "/usr/bin/node",
        "node",
        "node /app/node_modules/.bin/ts-node --files src/server.ts",
        "ts-node server.ts",
    ),
    ("/usr/bin/node", "node", "node /app/node_modules/.bin/nodemon server.js", "nodemon server.js"),
    ("/usr/bin/node", "PM2 v5.3.0: God", "PM2~v5.3.0:~God~Daemon~(/root/.pm2)", "PM2"),
    ("/usr/bin/node", "node /srv/shop/", "node~/srv/shop/server.js", "node server.js"),
    ("/usr/bin/node", "shop-api", "shop-api", "shop-api"),
    ("/usr/bin/deno", "deno", "deno run --allow-net server.ts", "deno server.ts"),
    ("/usr/bin/bun", "bun", "bun run src/index.ts", "bun index.ts"),
    // Java
    ("/usr/lib/jvm/java-17/bin/java", "java", "java -jar shop.jar", "shop"),
    (
        "/usr/lib/jvm/java-17/bin/java",
        "java",
        "java -Xmx1g -jar /opt/shop-1.2.3-SNAPSHOT.jar --db.password=x",
        "shop",
    ),
    ("/usr/lib/jvm/java-17/bin/java", "java", "java -jar order-service-2.0.jar", "order-service"),
    ("/usr/lib/jvm/java-17/bin/java", "java", "java -jar my-app-v2.jar", "my-app-v2"),
    (
        "/usr/lib/jvm/java-17/bin/java",
        "java",
        "java -cp /opt/a.jar:/opt/b.jar com.example.Main --port 80",
        "Main",
    ),
    (
        "/usr/lib/jvm/java-17/bin/java",
        "java",
        "java -Dkey=secret -classpath x com.example.Server$Main",
        "Server",
    ),
    (
        "/usr/lib/jvm/java-17/bin/java",
        "java",
        "java --add-opens java.base/java.lang=ALL-UNNAMED -p mods -m shop/com.example.Shop",
        "Shop",
    ),
    ("/usr/lib/jvm/java-17/bin/java", "java", "java --module=com.example.shop", "com.example.shop"),
    ("/usr/lib/jvm/java-17/bin/java", "java", "java -Dspring.application.name=orders -jar app.jar", "orders"),
    ("/usr/lib/jvm/java-17/bin/java", "java", "java -jar app.jar --spring.application.name=orders", "orders"),
    ("/usr/lib/jvm/java-17/bin/java", "java", "java -Dotel.service.name=cart -jar app.jar", "cart"),
    ("/usr/lib/jvm/java-17/bin/java", "java", "java -jar /srv/orders/app.jar", "orders"),
    ("/usr/lib/jvm/java-17/bin/java", "java", "java -jar /app/app.jar", "app"),
    (
        "/usr/lib/jvm/java-17/bin/java",
        "java",
        "java -cp /opt/shop.jar org.springframework.boot.loader.launch.JarLauncher",
        "shop",
    ),
    (
        "/usr/lib/jvm/java-17/bin/java",
        "java",
        "java -Dcatalina.base=/x -classpath /x/b.jar org.apache.catalina.startup.Bootstrap start",
        "tomcat",
    ),
    ("/usr/lib/jvm/java-17/bin/java", "java", "java -cp x kafka.Kafka config/server.properties", "kafka"),
    ("/usr/lib/jvm/java-17/bin/java", "java", "java /srv/Server.java 8080", "Server"),
    ("/usr/lib/jvm/java-17/bin/java", "java", "java @args.txt", "java (no class)"),
    // Ruby
    ("/usr/bin/ruby3.1", "ruby", "puma~6.4.0~(tcp://0.0.0.0:9292)~[shop]", "puma shop"),
    ("/usr/bin/ruby3.1", "ruby", "puma:~cluster~worker~0:~4242~[shop]", "puma shop"),
    ("/usr/bin/ruby3.1", "ruby", "unicorn~master~-c~config/unicorn.rb~-E~production", "unicorn"),
    ("/usr/bin/ruby3.1", "ruby", "unicorn~worker[1]~-c~config/unicorn.rb", "unicorn"),
    ("/usr/bin/ruby3.1", "ruby", "sidekiq~7.1.2~shop~[0~of~5~busy]", "sidekiq shop"),
    ("/usr/bin/ruby3.1", "ruby", "Passenger~RubyApp:~/srv/shop/public~(production)", "passenger shop"),
    ("/usr/bin/ruby3.1", "ruby", "ruby bin/rails s -p 3000", "rails server"),
    ("/usr/bin/ruby3.1", "ruby", "ruby -I lib server.rb", "ruby server.rb"),
    ("/usr/bin/ruby3.1", "ruby", "/usr/bin/ruby /usr/bin/bundle exec rackup -p 80", "rackup"),
    ("/usr/bin/ruby3.1", "ruby", "ruby -e sleep", "ruby -e"),
    // PHP, Perl, .NET, Erlang, shells
    ("/usr/sbin/php-fpm8.2", "php-fpm8.2", "php-fpm:~pool~www", "php-fpm www"),
    (
        "/usr/sbin/php-fpm8.2",
        "php-fpm8.2",
        "php-fpm:~master~process~(/etc/php/8.2/fpm/php-fpm.conf)",
        "php-fpm",
    ),
    ("/usr/sbin/php-fpm8.2", "php-fpm8.2", "/usr/sbin/php-fpm8.2 --nodaemonize", "php-fpm"),
    ("/usr/bin/php8.2", "php", "php /srv/server.php", "php server.php"),
    ("/usr/bin/php8.2", "php", "php artisan serve --port=80", "php artisan serve"),
    ("/usr/bin/php8.2", "php", "php -S 0.0.0.0:8000 -t public", "php -S 0.0.0.0:8000"),
    ("/usr/bin/php8.2", "php", "php -d memory_limit=1G -f worker.php", "php worker.php"),
    ("/usr/bin/php8.2", "php", "php -r echo~1;", "php -r"),
    ("/usr/bin/perl", "perl", "perl -w -I lib app.pl", "perl app.pl"),
    ("/usr/bin/perl", "starman", "/usr/bin/perl /usr/bin/starman --port 80", "starman"),
    ("/usr/bin/dotnet", "dotnet", "dotnet /app/Shop.Api.dll --urls http://+:80", "Shop.Api"),
    ("/usr/bin/dotnet", "dotnet", "dotnet exec --depsfile x.json Shop.DLL", "Shop"),
    ("/usr/bin/dotnet", "dotnet", "dotnet run --project src/Shop.csproj", "dotnet run Shop"),
    (
        "/usr/lib/erlang/bin/beam.smp",
        "beam.smp",
        "beam.smp -W w -- -root /x -setcookie hunter2 -- -sname rabbit@host",
        "rabbitmq",
    ),
    (
        "/app/erts/bin/beam.smp",
        "beam.smp",
        "beam.smp -- -root /x -name shop@127.0.0.1 -setcookie hunter2",
        "shop",
    ),
    ("/usr/bin/dash", "sh", "sh start.sh", "sh start.sh"),
    ("/usr/bin/dash", "run-shop", "/bin/sh /usr/bin/run-shop --key=x", "run-shop"),
    ("/usr/bin/dash", "sh", "sh -c exec~node~server.js~--key~hunter2", "sh -c node"),
    ("/usr/bin/dash", "sh", "/bin/sh -c KEY=hunter2~./run.sh", "sh -c run.sh"),
    ("/usr/bin/bash", "bash", "-bash", "bash (no script)"),
    ("/usr/bin/bash", "bash", "bash -eu -o pipefail /srv/run.sh", "bash run.sh"),
    ("/usr/bin/lua5.4", "lua", "lua app.lua", "lua app.lua"),
    // Programs of their own
    ("/usr/sbin/nginx", "nginx", "nginx:~master~process~/usr/sbin/nginx~-g~daemon~on;", "nginx"),
    ("/usr/sbin/nginx", "nginx", "nginx:~worker~process", "nginx"),
    ("/usr/sbin/nginx", "nginx", "/usr/sbin/nginx -c /tmp/x.conf", "nginx"),
    (
        "/usr/lib/postgresql/15/bin/postgres",
        "postgres",
        "/usr/lib/postgresql/15/bin/postgres -D /var/lib/x",
        "postgres",
    ),
    (
        "/usr/lib/postgresql/15/bin/postgres",
        "postgres",
        "postgres:~15/main:~alice~shop~10.0.0.7(50312)~idle",
        "postgres",
    ),
    ("/usr/lib/postgresql/15/bin/postgres", "postgres", "postgres:~checkpointer~", "postgres"),
    ("/usr/bin/redis-check-rdb", "redis-server", "/usr/bin/redis-server~127.0.0.1:6379", "redis-server"),
    ("/usr/bin/redis-check-rdb", "redis-server", "redis-server~*:6379~[cluster]", "redis-server"),
    ("/usr/bin/redis-check-rdb", "redis-server", "/usr/bin/redis-server /etc/redis.conf", "redis-server"),
    ("/usr/sbin/apache2", "apache2", "/usr/sbin/apache2 -k start", "apache2"),
    ("/usr/sbin/httpd", "httpd", "/usr/sbin/httpd -DFOREGROUND", "httpd"),
    ("/usr/sbin/mariadbd", "mariadbd", "/usr/sbin/mariadbd --basedir=/usr", "mariadbd"),
    ("/srv/shop/releases/42/shop-1.2.3", "shop", "/srv/shop/current/shop --token abc", "shop"),
    ("/srv/user-service", "user-service", "./user-service -listen :8080", "user-service"),
    (
        "/srv/a-name-longer-than-fifteen",
        "a-name-longer-t",
        "./a-name-longer-than-fifteen",
        "a-name-longer-than-fifteen",
    ),
    ("/srv/shop", "worker-3", "something-else", "shop"),
    ("/bin/busybox", "httpd", "httpd -f -p 80", "httpd"),
    ("/bin/busybox", "busybox", "busybox httpd -f", "httpd"),
    ("/bin/busybox", "sh", "/bin/sh /srv/start.sh", "sh start.sh"),
    (
        "/usr/lib/ld-linux-x86-64.so.2",
        "ld-linux-x86-64",
        "/lib64/ld-linux-x86-64.so.2 --library-path /x /opt/shop/bin/shop -v",
        "shop",
    ),
    ("/opt/My~App/server", "server", "/opt/My~App/server", "server"),
    ("/opt/chrome/chrome", "chrome", "/opt/chrome/chrome~--type=renderer~--key=abc", "chrome"),
    ("/usr/sbin/sshd", "sshd", "sshd:~alice~[priv]", "sshd"),
    ("/usr/bin/envoy", "envoy", "envoy -c /etc/envoy.yaml", "envoy"),
    ("", "shopd", "shopd --x", "shopd"),
];

#[test]
fn command_lines_become_the_names_people_use() {
    let mut wrong = Vec::new();
    for (exe, comm, line, want) in CASES {
        let got = name(&process(&exe.replace('~', " "), comm, line));
        if got.name != *want || got.source != NameSource::Command {
            wrong.push(format!("exe {exe}, comm {comm}, line {line}\n  want {want}\n  got  {}", got.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_interpreter_is_never_the_whole_name() {
    let interpreters =
        ["python3", "node", "java", "ruby", "php", "perl", "dotnet", "sh", "bash", "lua", "deno", "bun"];
    for interpreter in interpreters {
        for line in ["", " -x", " --unknown value", " -", " --password=x"] {
            let line = format!("{interpreter}{line}");
            let got = name(&process(&format!("/usr/bin/{interpreter}"), interpreter, &line)).name;
            assert_ne!(got, interpreter, "{line}");
            assert!(!got.contains("password"), "{line}: {got}");
        }
    }
}

#[test]
fn without_a_command_line_the_command_name_stands() {
    for (comm, want) in [
        ("kworker/0:1-events", "kworker/0:1-events"),
        ("", "unknown"),
        ("a\u{7}b", "ab"),
        ("python3", "python3 (script unknown)"),
    ] {
        let got = name(&process("", comm, ""));
        assert_eq!((got.name.as_str(), got.source), (want, NameSource::Comm));
    }
    assert_eq!(name(&process("/srv/shop", "", "")).name, "shop");
    let empty_words =
        ProcessFacts { args: vec![String::new(); 3], comm: "x".into(), ..ProcessFacts::default() };
    assert_eq!(name(&empty_words).name, "x");
}

#[test]
fn any_words_give_a_bounded_printable_name() {
    let programs =
        ["python3", "node", "java", "ruby", "php", "sh", "beam.smp", "busybox", "ld-linux.so", "shop", ""];
    let words = [
        "",
        "-",
        "--",
        "-m",
        "-c",
        "-jar",
        "-cp",
        "=",
        "(",
        "[",
        "a:b",
        "-W",
        "/",
        "..",
        "-\u{202e}",
        "é(",
        "\u{0}",
        "run",
        "exec",
        "--app",
        "-A",
        "uwsgi",
        "gunicorn",
        "manage.py",
        "bundle",
        "-sname",
        "@",
        ":",
        " : ",
        "nginx: x",
    ];
    let long = "é".repeat(3000);
    let mut state = 1u64;
    for _ in 0..20_000 {
        let mut pick = |from: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % from
        };
        let program = programs[pick(programs.len())];
        let mut args = vec![program.to_owned()];
        for _ in 0..pick(6) {
            args.push(if pick(20) == 0 { long.clone() } else { words[pick(words.len())].to_owned() });
        }
        let exe = programs[pick(programs.len())];
        let facts = ProcessFacts {
            exe: (pick(3) > 0).then(|| format!("/usr/bin/{exe}")),
            comm: words[pick(words.len())].to_owned(),
            args,
            ..ProcessFacts::default()
        };
        let got = name(&facts).name;
        assert!(!got.is_empty() && got.chars().count() <= MAX_NAME_CHARS, "{facts:?}: {got}");
        assert!(!got.chars().any(char::is_control), "{facts:?}: {got}");
    }
}
