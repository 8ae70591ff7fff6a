//! Activities in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use stepwell_engine::port::{Activities, ActivitiesError, Activity, WaitingTask};
use stepwell_interpreter::Timestamp;
use tokio::sync::watch;

use crate::faults::At;
use crate::{Faults, Place, lock};

/// Activities in memory.
pub struct MemoryActivities {
    inner: Mutex<Inner>,
    /// How many tasks were offered.
    offers: watch::Sender<u64>,
    faults: At,
}

#[derive(Default)]
struct Inner {
    activities: BTreeMap<Arc<str>, Arc<Activity>>,
    /// In the order they were offered.
    waiting: Vec<WaitingTask>,
}

/// An activity of this name.
pub fn activity(name: &str) -> Activity {
    Activity {
        arn: format!("arn:aws:states:us-east-1:123456789012:activity:{name}").into(),
        name: name.into(),
        created_at: Timestamp(0),
        encryption: None,
        tags: vec![],
    }
}

impl MemoryActivities {
    pub(crate) fn new(faults: Arc<Faults>) -> Self {
        MemoryActivities {
            inner: Mutex::default(),
            offers: watch::Sender::new(0),
            faults: faults.at(Place::Activities),
        }
    }

    /// Puts an activity, whatever was there.
    pub fn put(&self, activity: Activity) {
        lock(&self.inner).activities.insert(activity.arn.clone(), Arc::new(activity));
    }

    /// The tasks that wait, of all activities.
    pub fn tasks(&self) -> Vec<WaitingTask> {
        lock(&self.inner).waiting.clone()
    }

    async fn faulty<T>(&self, call: impl FnOnce(&mut Inner) -> T + Send) -> Result<T, ActivitiesError> {
        self.faults.before().await.map_err(ActivitiesError)?;
        let answer = call(&mut lock(&self.inner));
        self.faults.after().await.map_err(ActivitiesError)?;
        Ok(answer)
    }
}

#[async_trait]
impl Activities for MemoryActivities {
    async fn create(&self, activity: Arc<Activity>) -> Result<Arc<Activity>, ActivitiesError> {
        self.faulty(|inner| inner.activities.entry(activity.arn.clone()).or_insert(activity).clone()).await
    }

    async fn activity(&self, arn: &str) -> Result<Option<Arc<Activity>>, ActivitiesError> {
        self.faulty(|inner| inner.activities.get(arn).cloned()).await
    }

    async fn update(&self, activity: Arc<Activity>, before: &Activity) -> Result<bool, ActivitiesError> {
        let update = |inner: &mut Inner| match inner.activities.get_mut(&activity.arn) {
            Some(there) if **there == *before => {
                *there = activity;
                true
            }
            _ => false,
        };
        self.faulty(update).await
    }

    async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Arc<Activity>>, ActivitiesError> {
        let behind = |arn: &str| after.is_none_or(|after| arn > after);
        let list = |inner: &mut Inner| {
            let behind = inner.activities.values().filter(|activity| behind(&activity.arn));
            behind.take(limit).cloned().collect()
        };
        self.faulty(list).await
    }

    async fn delete(&self, arn: &str) -> Result<(), ActivitiesError> {
        self.faulty(|inner| drop(inner.activities.remove(arn))).await
    }

    async fn offer(&self, task: WaitingTask) -> Result<(), ActivitiesError> {
        let offer = |inner: &mut Inner| {
            if !inner.waiting.contains(&task) {
                inner.waiting.push(task);
            }
            self.offers.send_modify(|offers| *offers += 1);
        };
        self.faulty(offer).await
    }

    async fn waiting(&self, activity: &str, limit: usize) -> Result<Vec<WaitingTask>, ActivitiesError> {
        let waiting = |inner: &mut Inner| {
            let tasks = inner.waiting.iter().filter(|task| *task.activity == *activity);
            tasks.take(limit).cloned().collect()
        };
        self.faulty(waiting).await
    }

    async fn forget(&self, task: &WaitingTask) -> Result<(), ActivitiesError> {
        self.faulty(|inner| inner.waiting.retain(|waiting| waiting != task)).await
    }

    fn arrival(&self, _activity: &str, _looks: u32) -> BoxFuture<'static, ()> {
        let mut offers = self.offers.subscribe();
        async move {
            // The sender lives as long as whoever waits.
            let _ = offers.changed().await;
        }
        .boxed()
    }
}
