//! Activities on DynamoDB, and the tasks that wait for their workers.
//!
//! All activities stand in one partition, in the order of their ARNs. A waiting task is two items that are put and removed together: one
//! by its place in line, one by its name, so that it keeps its place when it is offered again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::atomic::{AtomicU64, Ordering};
use stepwell_engine::meta::RunId;
use stepwell_engine::port::{Activities, ActivitiesError, Activity, WaitingTask};
use stepwell_interpreter::{AttemptId, Timestamp};
use tokio::sync::watch;

use crate::error::StoreError;
use crate::item::{Fields, Item, Reason, Transacted, Write, Written, key, number, text};
use crate::machines::{maybe, read_tags, tags_attribute};
use crate::store::{LAST, Range, Table};
use crate::table::SORT;

/// The partition of all activities.
const ACTIVITIES: &str = "ACTIVITIES";

/// Under an activity: what the sort keys of the line's places begin with.
const PLACE: &str = "PLACE#";

/// Under an activity: what the sort keys of the tasks' names begin with.
const TASK: &str = "TASK#";

/// After how long a worker looks again at first, and at last: a task may have been offered by another process. So a worker that
/// waits a minute in vain looks 33 times, and each look at an empty line is one read unit.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));

/// After how long a worker looks again who has looked this often.
fn look_again(looks: u32) -> Duration {
    (LOOK_AGAIN.0 * 2_u32.pow(looks.min(8))).min(LOOK_AGAIN.1)
}

/// Activities in the table.
pub(crate) struct DynamoActivities {
    table: Arc<Table>,
    /// How many tasks this process has offered, so that those of one millisecond keep their order.
    offered: AtomicU64,
    offers: watch::Sender<u64>,
}

impl DynamoActivities {
    pub(crate) fn new(table: Arc<Table>) -> Self {
        DynamoActivities { table, offered: AtomicU64::new(0), offers: watch::Sender::new(0) }
    }

    async fn find(&self, arn: &str) -> Result<Option<Arc<Activity>>, StoreError> {
        self.table.item(ACTIVITIES, arn).await?.map(|item| read(&item)).transpose()
    }

    async fn put(&self, activity: &Arc<Activity>) -> Result<Arc<Activity>, StoreError> {
        match self.table.write(Write::put(item(activity)).when_absent()).await? {
            Written::Done => Ok(activity.clone()),
            Written::Not(Some(there)) => read(&there),
            Written::Not(None) => Err(StoreError::damaged(&*activity.arn, "it is there, and it is not")),
        }
    }

    async fn replace(&self, activity: &Activity, before: &Activity) -> Result<bool, StoreError> {
        let (next, known) = (item(activity), item(before));
        let mut put = Write::put(next.clone());
        let mut conditions = vec![];
        for name in ["activity_name", "created_at", "encryption", "tags"] {
            match known.get(name) {
                Some(value) => {
                    conditions.push(format!("{name} = :{name}"));
                    put = put.with(&format!(":{name}"), value.clone());
                }
                None => conditions.push(format!("attribute_not_exists({name}) AND attribute_exists({SORT})")),
            }
        }
        match self.table.write(put.when(conditions.join(" AND "))).await? {
            Written::Done => Ok(true),
            // This very update, whose answer was lost.
            Written::Not(there) => Ok(there.is_some_and(|there| there == next) && next != known),
        }
    }

    async fn listed(&self, after: Option<&str>, limit: usize) -> Result<Vec<Arc<Activity>>, StoreError> {
        // A text's successor is the text with the least character behind it.
        let from = after.map_or_else(|| " ".to_owned(), |after| format!("{after}\u{1}"));
        let range = Range { limit: Some(limit), ..Range::new(ACTIVITIES, from, LAST) };
        self.table.items(range).await?.iter().map(read).collect()
    }

    async fn add(&self, task: &WaitingTask) -> Result<(), StoreError> {
        let line = line_of(&task.activity);
        let clock = &self.table.clock;
        let offered = self.offered.fetch_add(1, Ordering::Relaxed) & 0xFFFF_FFFF;
        let place = format!("{PLACE}{:014}#{offered:08x}#{:016x}", clock.now().0.max(0), clock.random());
        let mut named = key(&line, &name_of(task));
        named.insert("place".into(), text(place.as_str()));
        let mut placed = key(&line, &place);
        placed.insert("execution_arn".into(), text(&*task.execution));
        placed.insert("run_id".into(), text(format!("{:032x}", task.run.0)));
        placed.insert("attempt".into(), number(task.attempt.0));
        match self.table.transact(vec![Write::put(named).when_absent(), Write::put(placed)]).await? {
            Transacted::Done => Ok(()),
            Transacted::Not(reasons) if reasons.first().is_some_and(Reason::failed) => Ok(()),
            Transacted::Not(_) => Err(StoreError::damaged(line, "a task was refused its place")),
        }
    }

    async fn first(&self, activity: &str, limit: usize) -> Result<Vec<WaitingTask>, StoreError> {
        let line = line_of(activity);
        let items = self.table.items(Range { limit: Some(limit), ..Range::prefix(&line, PLACE) }).await?;
        let activity: Arc<str> = activity.into();
        let read = |item: &Item| {
            let run = u128::from_str_radix(item.text("run_id")?, 16);
            Ok(WaitingTask {
                activity: activity.clone(),
                execution: item.text("execution_arn")?.into(),
                run: RunId(run.map_err(|error| StoreError::damaged("run_id", error))?),
                attempt: AttemptId(item.number("attempt")?),
            })
        };
        items.iter().map(read).collect()
    }

    async fn remove(&self, task: &WaitingTask) -> Result<(), StoreError> {
        let line = line_of(&task.activity);
        let name = name_of(task);
        let Some(named) = self.table.item(&line, &name).await? else { return Ok(()) };
        let place = named.text("place")?;
        let same = Write::delete((&line, &name)).when("place = :place").with(":place", text(place));
        // Where it has another place by now, somebody else forgot it, and it was offered anew.
        self.table.transact(vec![same, Write::delete((&line, place))]).await.map(drop)
    }
}

fn line_of(activity: &str) -> String {
    format!("LINE#{activity}")
}

fn name_of(task: &WaitingTask) -> String {
    format!("{TASK}{}#{:032x}#{}", task.execution, task.run.0, task.attempt.0)
}

fn item(activity: &Activity) -> Item {
    let mut item = key(ACTIVITIES, &activity.arn);
    item.insert("activity_name".into(), text(&*activity.name));
    item.insert("created_at".into(), number(activity.created_at.0));
    item.insert("tags".into(), tags_attribute(&activity.tags));
    if let Some(encryption) = &activity.encryption {
        item.insert("encryption".into(), text(&**encryption));
    }
    item
}

fn read(item: &Item) -> Result<Arc<Activity>, StoreError> {
    Ok(Arc::new(Activity {
        arn: item.text(SORT)?.into(),
        name: item.text("activity_name")?.into(),
        created_at: Timestamp(item.number("created_at")?),
        encryption: maybe(item, "encryption")?,
        tags: read_tags(item)?,
    }))
}

fn unavailable(error: StoreError) -> ActivitiesError {
    ActivitiesError(error.boxed())
}

#[async_trait]
impl Activities for DynamoActivities {
    async fn create(&self, activity: Arc<Activity>) -> Result<Arc<Activity>, ActivitiesError> {
        self.put(&activity).await.map_err(unavailable)
    }

    async fn activity(&self, arn: &str) -> Result<Option<Arc<Activity>>, ActivitiesError> {
        self.find(arn).await.map_err(unavailable)
    }

    async fn update(&self, activity: Arc<Activity>, before: &Activity) -> Result<bool, ActivitiesError> {
        self.replace(&activity, before).await.map_err(unavailable)
    }

    async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Arc<Activity>>, ActivitiesError> {
        self.listed(after, limit).await.map_err(unavailable)
    }

    async fn delete(&self, arn: &str) -> Result<(), ActivitiesError> {
        self.table.write(Write::delete((ACTIVITIES, arn))).await.map(drop).map_err(unavailable)
    }

    async fn offer(&self, task: WaitingTask) -> Result<(), ActivitiesError> {
        let added = self.add(&task).await.map_err(unavailable);
        self.offers.send_modify(|offers| *offers += 1);
        added
    }

    async fn waiting(&self, activity: &str, limit: usize) -> Result<Vec<WaitingTask>, ActivitiesError> {
        self.first(activity, limit).await.map_err(unavailable)
    }

    async fn forget(&self, task: &WaitingTask) -> Result<(), ActivitiesError> {
        self.remove(task).await.map_err(unavailable)
    }

    fn arrival(&self, _activity: &str, looks: u32) -> BoxFuture<'static, ()> {
        let mut offers = self.offers.subscribe();
        let clock = self.table.clock.clone();
        async move {
            let changed = std::pin::pin!(offers.changed());
            let later = std::pin::pin!(clock.sleep(look_again(looks)));
            futures::future::select(changed, later).await;
        }
        .boxed()
    }
}
