//! A row whose bytes have changed: its execution rests, its history says so, all others go on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use stepwell_engine::StopError;
use stepwell_engine::port::Refused;
use stepwell_test_support::{Answer, World};
use support::{Life, WAIT, arn};

/// A store with two executions that wait, and callbacks for two more.
async fn make(directory: &Path, world: &World) {
    world.tasks.script(|call| match call.token {
        Some(_) => Answer::submit(Duration::ZERO),
        None => Answer::echo(call, Duration::ZERO),
    });
    let life = Life::open(directory, world);
    let callback = support::callback();
    for name in ["damaged", "sound"] {
        let input = format!(r#"{{"name":"{name}","text":"{}"}}"#, "text ".repeat(200));
        life.start(WAIT, name, &input).await;
        life.start((callback.0, &callback.1), name, &input).await;
    }
    for name in ["damaged", "sound"] {
        life.until_events(&arn("Wait", name), 2).await;
        life.until_events(&arn("Callback", name), 5).await;
    }
    life.settle().await;
    life.close().await;
}

fn change(directory: &Path, sql: &str) {
    let connection = Connection::open(directory.join("stepwell.db")).unwrap();
    assert!(connection.execute(sql, []).unwrap() > 0, "{sql}");
}

/// The number of the execution of this name and machine, as SQL.
fn number(machine: &str, name: &str) -> String {
    format!("(SELECT id FROM execution WHERE arn = '{}')", arn(machine, name))
}

/// Changes the store, and lets it go on for a day.
async fn after(sql: &str, check: impl AsyncFn(&Life)) {
    let (directory, world) = (tempfile::tempdir().unwrap(), World::new(1));
    make(directory.path(), &world).await;
    change(directory.path(), sql);
    let life = Life::open(directory.path(), &world);
    let sound = [arn("Wait", "sound"), arn("Callback", "sound")];
    let token = &life.tokens(&sound[1]).await[0];
    life.succeed(token, "1").await;
    life.until_ended(&sound).await;
    for arn in &sound {
        assert_eq!(life.meta(arn).await.status(), "SUCCEEDED", "{sql}: {arn}");
    }
    let before = life.world.clock.next_wake();
    for _ in 0..100 {
        life.pass().await;
    }
    assert!(life.world.clock.next_wake() > before);
    check(&life).await;
    assert!(world.tasks.most_calls() <= 1, "{sql}");
    life.close().await;
}

fn is_damage(error: &(dyn std::error::Error + 'static)) -> bool {
    Refused::is_in(error)
}

#[tokio::test]
async fn an_execution_whose_page_is_damaged_rests() {
    let wait = arn("Wait", "damaged");
    let flip = |place: &str| {
        let of = number("Wait", "damaged");
        format!(
            "UPDATE page SET bytes = CAST(substr(bytes, 1, {place}) || x'55aa55aa' || substr(bytes, {place} + 5) AS BLOB)
             WHERE key = {of} << 28 | 1"
        )
    };
    for sql in [
        flip("1"),
        flip("20"),
        flip("length(bytes) - 4"),
        format!("UPDATE page SET message = 'other' WHERE key >> 28 = {}", number("Wait", "damaged")),
        format!("UPDATE page SET delivery = delivery + 1 WHERE key >> 28 = {}", number("Wait", "damaged")),
        format!("DELETE FROM page WHERE key = {} << 28 | 1", number("Wait", "damaged")),
    ] {
        after(&sql, async |life| {
            if sql.starts_with("DELETE") {
                // Nothing tells a page that is not there from one that was never written.
                return;
            }
            let meta = life.meta(&wait).await;
            let why = meta.parked.as_ref().map(|parked| &*parked.why).unwrap_or_default().to_owned();
            assert_eq!(meta.status(), "RUNNING", "{sql}");
            assert!(why.starts_with("stored page is damaged: page 1: "), "{sql}: {why}");
            let history = life.engine.history(&wait).await.unwrap_err();
            assert!(is_damage(&history) && history.to_string().contains("page 1"), "{sql}: {history}");
            let stop = life.engine.stop(&wait, Default::default()).await.unwrap_err();
            assert!(matches!(&stop, StopError::Unavailable(_)), "{sql}: {stop}");
        })
        .await;
    }
}

#[tokio::test]
async fn an_execution_whose_meta_is_damaged_rests() {
    let wait = arn("Wait", "damaged");
    for column in ["meta", "input"] {
        for place in ["0", "3", "30", "length({}) - 4"] {
            let place = place.replace("{}", column);
            let sql = format!(
                "UPDATE execution
                 SET {column} = CAST(substr({column}, 1, {place}) || x'55aa55aa' || substr({column}, {place} + 5) AS BLOB)
                 WHERE arn = '{wait}'"
            );
            after(&sql, async |life| {
                let error = life.engine.describe(&wait).await.unwrap_err();
                assert!(is_damage(&error) && error.to_string().contains("execution row"), "{sql}: {error}");
            })
            .await;
        }
    }
    // A META that is another's is damaged, too.
    let sql = format!(
        "UPDATE execution SET meta = (SELECT meta FROM execution WHERE arn = '{}') WHERE arn = '{wait}'",
        arn("Wait", "sound")
    );
    after(&sql, async |life| {
        let error = life.engine.describe(&wait).await.unwrap_err();
        assert!(error.to_string().contains("its META is another's"), "{error}");
    })
    .await;
}

/// Whose message it was, nobody can say: it stays where it is, and nobody else's waits for it.
#[tokio::test]
async fn a_message_that_is_damaged_stays_undelivered() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::new(1);
    make(directory.path(), &world).await;
    let damaged = || {
        let connection = Connection::open(directory.path().join("stepwell.db")).unwrap();
        let sql = "SELECT count(*), max(receives) FROM message WHERE id = 1";
        connection.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).unwrap()
    };
    change(
        directory.path(),
        "INSERT INTO message (id, due, receives, body) VALUES (1, NULL, 0, x'c60011223344')",
    );
    let life = Life::open(directory.path(), &world);
    life.until_ended(&[arn("Wait", "damaged"), arn("Wait", "sound")]).await;
    for _ in 0..100 {
        life.pass().await;
    }
    assert_eq!(damaged(), (1, 0), "it is there, and nobody tries it again and again");
    life.close().await;
}

/// What a machine says is misread in no place; what runs of it rests.
#[tokio::test]
async fn a_machine_whose_revision_is_damaged_is_refused() {
    let arn = "arn:aws:states:us-east-1:123456789012:stateMachine:Wait";
    for column in ["definition", "role_arn", "name", "logging", "tags", "updated_at", "edition", "is_updated"]
    {
        let other = match column {
            "definition" => "replace(definition, '3600', '3601')".to_owned(),
            "tags" => "'[\"a\",\"b\"]'".to_owned(),
            "role_arn" | "name" => format!("{column} || 'x'"),
            "logging" => "NULL".to_owned(),
            _ => format!("{column} + 1"),
        };
        let (directory, world) = (tempfile::tempdir().unwrap(), World::new(1));
        make(directory.path(), &world).await;
        change(directory.path(), &format!("UPDATE revision SET {column} = {other} WHERE arn = '{arn}'"));
        let life = Life::open(directory.path(), &world);
        let error = life.ports().registry.machine(arn).await.unwrap_err();
        assert!(is_damage(&error) && error.to_string().contains("revision row"), "{column}: {error}");
        let sound = support::arn("Callback", "sound");
        life.succeed(&life.tokens(&sound).await[0], "1").await;
        life.until_ended(&[sound]).await;
        assert_eq!(life.meta(&support::arn("Wait", "sound")).await.status(), "RUNNING", "{column}");
        life.close().await;
    }
}
