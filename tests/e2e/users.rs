//! The chain of the demonstration, without the demonstration: it works, and each row is really in the database.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use tracer_tests::services::users;
use tracer_tests::suite::{self, Need, test};

const NEEDS: &[Need] =
    &[Need::Command("nginx"), Need::Command("gunicorn"), Need::File("/usr/lib/postgresql", "", "")];

fn main() -> ExitCode {
    suite::run(NEEDS, vec![test("users_are_stored", users_are_stored)])
}

fn users_are_stored() -> Result<String> {
    let chain = users::start()?;
    let (created, found) = chain.send(30)?;
    let rows = chain.postgres.sql("users_db", "SELECT count(*) FROM users")?;
    ensure!(rows.trim() == created.to_string(), "{created} users were created, {rows} are stored");
    let logged = chain.users.log_at_least("/users", 30)?.len();
    ensure!(logged == 30, "user-service served {logged} of 30 requests");
    Ok(format!("{created} created, {found} looked up"))
}
