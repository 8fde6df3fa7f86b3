//! The chain of the demonstration: nginx → `frontend-api` → `user-service` → PostgreSQL `users_db`.

use anyhow::{Context, Result, ensure};

use super::postgres::Postgres;
use super::{Options, Service, gunicorn, nginx, postgres};
use crate::client::Connection;

/// The running chain. Fields in the order in which they stop.
#[derive(Debug)]
pub struct Users {
    /// The public side.
    pub nginx: Service,
    /// gunicorn with `frontend_api.py`.
    pub frontend: Service,
    /// gunicorn with `user_service.py`.
    pub users: Service,
    /// The database server.
    pub postgres: Postgres,
}

/// Starts it, from the database up.
pub fn start() -> Result<Users> {
    let postgres = postgres::start()?;
    postgres.sql("postgres", "CREATE DATABASE users_db")?;
    postgres.sql(
        "users_db",
        "CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL, email text NOT NULL)",
    )?;
    let database = format!(
        "host=127.0.0.1 port={} user=postgres dbname=users_db sslmode=disable gssencmode=disable",
        postgres.port()
    );
    let users = gunicorn::start_program(
        "user_service.py",
        &[("DATABASE", &database)],
        &Options::named("user-service"),
    )?;
    let options = Options::named("frontend-api").calling(&users);
    let frontend = gunicorn::start_program("frontend_api.py", &[], &options)?;
    let nginx = nginx::start(&Options::default().calling(&frontend))?;
    Ok(Users { nginx, frontend, users, postgres })
}

impl Users {
    /// Sends `count` requests, one after the other: users are created, and every second one is looked up again.
    /// The names are the same each time. Returns how many were created and how many looked up.
    pub fn send(&self, count: u32) -> Result<(u32, u32)> {
        const NAMES: [&str; 6] = ["Ada", "Grace", "Edsger", "Barbara", "Tony", "Frances"];
        let mut connection = Connection::open(self.nginx.port())?;
        let (mut created, mut found) = (0, 0);
        for request in 0..count {
            if request % 3 == 2 {
                connection.fetch(&format!("/users/{created}"))?;
                found += 1;
                continue;
            }
            let name = NAMES.get(created as usize % NAMES.len()).context("no name")?;
            let body = format!(r#"{{"name": "{name}", "email": "{}@example.com"}}"#, name.to_lowercase());
            connection.send(format!(
                "POST /users HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            ))?;
            let answer = connection.answer()?;
            ensure!(answer.status == 201, "POST /users was answered with {}", answer.status);
            created += 1;
        }
        Ok((created, found))
    }
}
