//! Activities on SQLite, and the tasks that wait for their workers.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use rusqlite::{Connection, OptionalExtension, Row};
use stepwell_engine::meta::RunId;
use stepwell_engine::port::{Activities, ActivitiesError, Activity, WaitingTask};
use stepwell_interpreter::{AttemptId, Timestamp};
use tokio::sync::watch;

use crate::batch::{Batch, hash};
use crate::error::StoreError;
use crate::read::Readers;
use crate::registry::{tags, tags_text};
use crate::writer::{Kind, Writer};

/// Activities in the store.
pub(crate) struct LocalActivities {
    pub(crate) writer: Writer,
    pub(crate) readers: Readers,
    pub(crate) arrivals: Arc<Arrivals>,
    pub(crate) forgotten: Arc<Forgotten>,
}

/// Who waits for tasks, by the activity's hash.
#[derive(Default)]
pub(crate) struct Arrivals(Mutex<HashMap<i64, watch::Sender<()>>>);

/// Tasks whose rows are about to go: nobody sees them any more.
#[derive(Default)]
pub(crate) struct Forgotten(Mutex<HashSet<WaitingTask>>);

#[async_trait]
impl Activities for LocalActivities {
    async fn create(&self, activity: Arc<Activity>) -> Result<Arc<Activity>, ActivitiesError> {
        let created = self.writer.write(move |batch| match find(batch.connection, &activity.arn)? {
            Some(there) => Ok(Arc::new(there)),
            None => put(batch, &activity).map(|()| activity.clone()),
        });
        created.await.map_err(unavailable)
    }

    async fn activity(&self, arn: &str) -> Result<Option<Arc<Activity>>, ActivitiesError> {
        let found = self.readers.read(|connection| find(connection, arn));
        Ok(found.map_err(unavailable)?.map(Arc::new))
    }

    async fn update(&self, activity: Arc<Activity>, before: &Activity) -> Result<bool, ActivitiesError> {
        let before = before.clone();
        let updated = self.writer.write(move |batch| {
            let is_expected = find(batch.connection, &activity.arn)?.is_some_and(|there| there == before);
            if is_expected {
                put(batch, &activity)?;
            }
            Ok(is_expected)
        });
        updated.await.map_err(unavailable)
    }

    async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Arc<Activity>>, ActivitiesError> {
        let after = after.unwrap_or_default().to_owned();
        let listed = self.readers.read_much(move |connection| list(connection, &after, limit)).await;
        listed.map_err(unavailable)
    }

    async fn delete(&self, arn: &str) -> Result<(), ActivitiesError> {
        let arn = Box::<str>::from(arn);
        let deleted = self.writer.write(move |batch| {
            batch.statement("DELETE FROM activity WHERE arn = ?1")?.execute([&*arn])?;
            Ok(())
        });
        deleted.await.map_err(unavailable)
    }

    async fn offer(&self, task: WaitingTask) -> Result<(), ActivitiesError> {
        self.writer.accepts().map_err(unavailable)?;
        self.forgotten.lock().remove(&task);
        let activity = hash(&task.activity);
        self.writer.post(Kind::Owed, move |batch| {
            insert(batch, activity, &task)?;
            batch.task_waits(activity);
            Ok(())
        });
        Ok(())
    }

    async fn waiting(&self, activity: &str, limit: usize) -> Result<Vec<WaitingTask>, ActivitiesError> {
        let activity = Arc::<str>::from(activity);
        // What is forgotten after this line is no more than stale.
        let hidden = self.forgotten.lock().len();
        let read = self.readers.read(|connection| waiting(connection, &activity, limit + hidden));
        let mut tasks = read.map_err(unavailable)?;
        let forgotten = self.forgotten.lock();
        tasks.retain(|task| !forgotten.contains(task));
        tasks.truncate(limit);
        Ok(tasks)
    }

    async fn forget(&self, task: &WaitingTask) -> Result<(), ActivitiesError> {
        self.forgotten.lock().insert(task.clone());
        let (task, forgotten) = (task.clone(), self.forgotten.clone());
        self.writer.post(Kind::Courtesy, move |batch| {
            remove(batch, hash(&task.activity), &task)?;
            forgotten.lock().remove(&task);
            Ok(())
        });
        Ok(())
    }

    fn arrival(&self, activity: &str, _looks: u32) -> BoxFuture<'static, ()> {
        let mut arrivals = self.arrivals.lock();
        let mut receiver = arrivals.entry(hash(activity)).or_default().subscribe();
        async move {
            // An error is no arrival, but a reason to look.
            let _ = receiver.changed().await;
        }
        .boxed()
    }
}

impl Arrivals {
    /// A task of the activity of this hash waits, and can be seen.
    pub(crate) fn tell(&self, activity: i64) {
        let mut arrivals = self.lock();
        let Some(sender) = arrivals.get(&activity) else { return };
        if sender.send(()).is_err() {
            // Nobody waits.
            arrivals.remove(&activity);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Forgotten {
    fn lock(&self) -> MutexGuard<'_, HashSet<WaitingTask>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unavailable(error: StoreError) -> ActivitiesError {
    ActivitiesError(error.boxed())
}

fn put(batch: &Batch<'_>, activity: &Activity) -> Result<(), StoreError> {
    batch
        .statement(
            "INSERT INTO activity (arn, name, created_at, encryption, tags) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET created_at = ?3, encryption = ?4, tags = ?5",
        )?
        .execute((
            &*activity.arn,
            &*activity.name,
            activity.created_at.0,
            activity.encryption.as_deref(),
            tags_text(&activity.tags),
        ))?;
    Ok(())
}

const COLUMNS: &str = "SELECT arn, name, created_at, encryption, tags FROM activity";

fn find(connection: &Connection, arn: &str) -> Result<Option<Activity>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("{COLUMNS} WHERE arn = ?1"))?;
    statement.query_row([arn], |row| Ok(read(row))).optional()?.transpose()
}

fn list(connection: &Connection, after: &str, limit: usize) -> Result<Vec<Arc<Activity>>, StoreError> {
    let mut statement =
        connection.prepare_cached(&format!("{COLUMNS} WHERE arn > ?1 ORDER BY arn LIMIT ?2"))?;
    let mut rows = statement.query((after, count(limit)))?;
    let mut activities = vec![];
    while let Some(row) = rows.next()? {
        activities.push(Arc::new(read(row)?));
    }
    Ok(activities)
}

fn read(row: &Row<'_>) -> Result<Activity, StoreError> {
    let damaged = || StoreError::Damaged { table: "activity", key: 0, why: "its tags".to_owned() };
    let tags = row.get_ref(4)?.as_str().ok().and_then(tags).ok_or_else(damaged)?;
    Ok(Activity {
        arn: row.get(0)?,
        name: row.get(1)?,
        created_at: Timestamp(row.get(2)?),
        encryption: row.get(3)?,
        tags,
    })
}

/// What the index of waiting tasks holds.
fn place(task: &WaitingTask) -> i64 {
    hash(&format!("{} {:x} {}", task.execution, task.run.0, task.attempt.0))
}

fn insert(batch: &Batch<'_>, activity: i64, task: &WaitingTask) -> Result<(), StoreError> {
    let (place, run) = (place(task), task.run.0.to_be_bytes());
    let values = (place, activity, &*task.execution, run, task.attempt.0);
    batch
        .statement(
            "INSERT INTO waiting (place, activity, execution, run, attempt) SELECT ?1, ?2, ?3, ?4, ?5
             WHERE NOT EXISTS (SELECT 1 FROM waiting WHERE place = ?1 AND activity = ?2)",
        )?
        .execute(values)?;
    Ok(())
}

fn remove(batch: &Batch<'_>, activity: i64, task: &WaitingTask) -> Result<(), StoreError> {
    batch
        .statement("DELETE FROM waiting WHERE place = ?1 AND activity = ?2")?
        .execute((place(task), activity))?;
    Ok(())
}

fn waiting(
    connection: &Connection,
    activity: &Arc<str>,
    limit: usize,
) -> Result<Vec<WaitingTask>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT execution, run, attempt FROM waiting WHERE activity = ?1 ORDER BY number LIMIT ?2",
    )?;
    let rows = statement.query_map((hash(activity), count(limit)), |row| {
        Ok(WaitingTask {
            activity: activity.clone(),
            execution: row.get(0)?,
            run: RunId(u128::from_be_bytes(row.get(1)?)),
            attempt: AttemptId(row.get(2)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fixture, arn};

    #[tokio::test]
    async fn activities_and_waiting_tasks_outlive_the_process() {
        let mut fixture = Fixture::new();
        let one = Arc::new(Activity {
            arn: "arn:aws:states:us-east-1:123456789012:activity:a".into(),
            name: "a".into(),
            created_at: Timestamp(5),
            encryption: Some("{}".into()),
            tags: vec![("team".into(), "a \"b\"".into())],
        });
        let task = WaitingTask {
            activity: one.arn.clone(),
            execution: arn("e").into(),
            run: RunId(3),
            attempt: AttemptId(2),
        };
        fixture.ports.activities.create(one.clone()).await.expect("created");
        fixture.ports.activities.offer(task.clone()).await.expect("offered");
        let tasks = [task];
        for _ in 0..2 {
            fixture = fixture.reopened();
            let port = &fixture.ports.activities;
            assert_eq!(port.activity(&one.arn).await.expect("read"), Some(one.clone()));
            assert_eq!(port.waiting(&one.arn, 9).await.expect("read"), tasks);
        }
        let port = &fixture.ports.activities;
        port.forget(&tasks[0]).await.expect("forgotten");
        assert_eq!(port.waiting(&one.arn, 9).await.expect("read"), [], "at once");
        fixture = fixture.reopened();
        assert_eq!(fixture.ports.activities.waiting(&one.arn, 9).await.expect("read"), []);
    }
}
