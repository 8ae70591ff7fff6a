//! The Journal on DynamoDB: one conditional write for each commit.
//!
//! A page's condition is that there is none of its key, and nothing more: a transaction that also looked at META would
//! cost four times as much. That the run is the one its execution has is known from META as this process put or last read
//! it; a run that has not ended keeps its META (PROTOCOL §2).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::try_join_all;
use stepwell_engine::meta::{End, Meta, Parked, RunId};
use stepwell_engine::port::{
    AppendError, FinishError, Invocation, Journal, JournalError, ListQuery, Listed, Loaded, Page,
    PutMetaError, Seq,
};
use stepwell_interpreter::Timestamp;

use crate::blobs::{BlobError, NO_BUCKET};
use crate::error::StoreError;
use crate::executions::{
    META, PAGE, end_attributes, expiry, meta_item, owner, page_item, page_sort, pages_end, parked_attribute,
    read_meta, read_page, run_text, same_page,
};
use crate::head::head;
use crate::item::{Fields, Item, Write, Written, key, number, text};
use crate::listing;
use crate::machines::maybe;
use crate::store::{LAST, Range, Table};
use crate::table::{EXPIRES, LISTED, SORT};

/// How many executions are remembered; a fold's cache holds fewer.
const KNOWN_MAX: usize = 10_000;

/// How long a lease is kept behind its end, for people to see.
const LEASE_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// How long what a call is for is kept behind the time in which its end is told: Lambda tells again for six hours.
const INVOCATION_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Executions in the table.
pub(crate) struct DynamoJournal {
    table: Arc<Table>,
    known: Mutex<HashMap<Arc<str>, Known>>,
}

/// What this process saw last of an execution's META.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    run: RunId,
    epoch: u32,
    name: Arc<str>,
}

impl DynamoJournal {
    pub(crate) fn new(table: Arc<Table>) -> Self {
        DynamoJournal { table, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Arc<str>, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, meta: &Meta) -> Known {
        let known = Known { run: meta.run, epoch: meta.epoch, name: meta.info.name.clone() };
        let mut all = self.known();
        if all.len() >= KNOWN_MAX {
            all.clear();
        }
        all.insert(meta.execution_arn.clone(), known.clone());
        known
    }

    /// What is known of a run; `None` where its execution has another or none. Reads META where nobody has yet.
    async fn run(
        &self,
        execution: &str,
        run: RunId,
        epoch: Option<u32>,
    ) -> Result<Option<Known>, StoreError> {
        let is_it = |known: &Known| known.run == run && epoch.is_none_or(|epoch| known.epoch == epoch);
        let known = self.known().get(execution).cloned();
        if known.as_ref().is_some_and(is_it) {
            return Ok(known);
        }
        Ok(self.read_meta(execution).await?.map(|(_, known)| known).filter(is_it))
    }

    async fn read_meta(&self, execution: &str) -> Result<Option<(Arc<Meta>, Known)>, StoreError> {
        let Some(item) = self.table.item(execution, META).await? else { return Ok(None) };
        self.meta_of(&item).await.map(Some)
    }

    async fn meta_of(&self, item: &Item) -> Result<(Arc<Meta>, Known), StoreError> {
        let meta = Arc::new(read_meta(&self.table.bodies, item).await?);
        let known = self.remember(&meta);
        Ok((meta, known))
    }

    async fn load_all(&self, execution: &str) -> Result<Option<Loaded>, StoreError> {
        // META comes first, so that it is never newer than the pages: a META that says the end has its last page.
        let items = self.table.items(Range::new(execution, META, format!("{PAGE}{LAST}"))).await?;
        let Some((first, pages)) = items.split_first() else { return Ok(None) };
        if first.text(SORT)? != META {
            return Ok(None);
        }
        let (meta, _) = self.meta_of(first).await?;
        let pages = self.pages_of(meta.run, pages).await?;
        Ok(Some(Loaded { meta, pages }))
    }

    async fn load_behind(&self, execution: &str, run: RunId, seq: Seq) -> Result<Option<Loaded>, StoreError> {
        let Some((meta, _)) = self.read_meta(execution).await? else { return Ok(None) };
        let first = if meta.run == run { Seq(seq.0.saturating_add(1)) } else { Seq(0) };
        let range = Range::new(execution, page_sort(meta.run, first), pages_end(meta.run));
        let pages = self.pages_of(meta.run, &self.table.items(range).await?).await?;
        Ok(Some(Loaded { meta, pages }))
    }

    /// The pages of this run; an earlier one's may be there still.
    async fn pages_of(&self, run: RunId, items: &[Item]) -> Result<Vec<(Seq, Page)>, StoreError> {
        let prefix = format!("{PAGE}{:032x}#", run.0);
        let of_run = items.iter().filter(|item| item.text(SORT).is_ok_and(|sort| sort.starts_with(&prefix)));
        try_join_all(of_run.map(|item| read_page(&self.table.bodies, run, item))).await
    }

    async fn try_put_meta(&self, meta: &Meta) -> Result<Option<Arc<Meta>>, StoreError> {
        let now = self.table.clock.now().0.div_euclid(1000);
        let item = meta_item(&self.table.bodies, meta).await?;
        let input = item.get("input_body").cloned();
        let put = Write::put(item)
            .when(format!("attribute_not_exists(pk) OR {EXPIRES} < :now"))
            .with(":now", number(now));
        let there = match self.table.write(put).await? {
            Written::Done => None,
            Written::Not(Some(item)) => Some(self.meta_of(&item).await?.0),
            Written::Not(None) => match self.read_meta(&meta.execution_arn).await? {
                Some((there, _)) => Some(there),
                None => return Err(StoreError::damaged(&*meta.execution_arn, "it is there, and it is not")),
            },
        };
        match there {
            Some(there) if there.run != meta.run => {
                self.table.bodies.forget(&owner(meta.run), input.as_ref()).await;
                Ok(Some(there))
            }
            _ => {
                self.remember(meta);
                Ok(None)
            }
        }
    }

    async fn try_append(
        &self,
        execution: &str,
        run: RunId,
        seq: Seq,
        page: &Page,
    ) -> Result<Appended, StoreError> {
        if self.run(execution, run, None).await?.is_none() {
            return Ok(Appended::Gone);
        }
        let item = page_item(&self.table.bodies, (execution, run), seq, page).await?;
        match self.table.write(Write::put(item.clone()).when_absent()).await? {
            Written::Done => Ok(Appended::Done),
            Written::Not(Some(there)) if same_page(&there, &item) => Ok(Appended::Done),
            Written::Not(there) => {
                if there.as_ref().and_then(|there| there.get("body")) != item.get("body") {
                    self.table.bodies.forget(&owner(run), item.get("body")).await;
                }
                Ok(Appended::Conflict)
            }
        }
    }

    async fn try_finish(
        &self,
        execution: &str,
        run: RunId,
        epoch: u32,
        end: &End,
    ) -> Result<bool, StoreError> {
        let Some(known) = self.run(execution, run, Some(epoch)).await? else { return Ok(false) };
        let set =
            format!("SET end_body = :end_body, brief = :brief, {LISTED} = :listed, {EXPIRES} = :expires");
        let listed = listing::placed(end.status, end.at, &known.name);
        let mut finish = Write::update((execution, META), set)
            .when("run_id = :run AND epoch = :epoch AND attribute_not_exists(end_body)")
            .with(":run", run_text(run))
            .with(":epoch", number(epoch))
            .with(":listed", text(listed))
            .with(":expires", expiry(end.at, self.table.retention));
        for (name, value) in end_attributes(&self.table.bodies, run, end).await? {
            finish = finish.with(&format!(":{name}"), value);
        }
        match self.table.write(finish).await? {
            Written::Done => Ok(true),
            Written::Not(None) => Ok(false),
            Written::Not(Some(there)) => {
                let is_it =
                    there.get("run_id") == Some(&run_text(run)) && there.number::<u32>("epoch")? == epoch;
                Ok(is_it && there.contains_key("end_body"))
            }
        }
    }

    async fn try_redrive(
        &self,
        execution: &str,
        run: RunId,
        epoch: u32,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        loop {
            let Some((meta, _)) = self.read_meta(execution).await? else { return Ok(()) };
            if meta.run != run || meta.epoch >= epoch {
                return Ok(());
            }
            let next = meta.redriven(epoch, at);
            let set = format!(
                "SET epoch = :epoch, head = :head, {LISTED} = :listed REMOVE end_body, brief, {EXPIRES}"
            );
            let redrive = Write::update((execution, META), set)
                .when("run_id = :run AND epoch = :before")
                .with(":epoch", number(epoch))
                .with(":head", head(&next))
                .with(":listed", text(listing::place(next.status(), &next)))
                .with(":run", run_text(run))
                .with(":before", number(meta.epoch));
            if let Written::Done = self.table.write(redrive).await? {
                self.remember(&next);
                return Ok(());
            }
            // Epochs only grow, so this comes to an end.
        }
    }

    async fn try_park(&self, execution: &str, run: RunId, why: Option<Parked>) -> Result<(), StoreError> {
        let park = match &why {
            Some(parked) => Write::update((execution, META), "SET parked = :parked")
                .with(":parked", parked_attribute(parked)),
            None => Write::update((execution, META), "REMOVE parked"),
        };
        self.table.write(park.when("run_id = :run").with(":run", run_text(run))).await.map(drop)
    }
}

enum Appended {
    Done,
    Conflict,
    Gone,
}

fn lease_of(message: &str) -> String {
    format!("LEASE#{message}")
}

const LEASE: &str = "LEASE";

fn invocation_of(id: &str) -> String {
    format!("INVOCATION#{id}")
}

const INVOCATION: &str = "INVOCATION";

fn read_invocation(item: &Item) -> Result<Invocation, StoreError> {
    Ok(Invocation {
        token: item.text("task_token")?.into(),
        resource: item.text("resource_arn")?.into(),
        trace: maybe(item, "trace_id")?,
        until: Timestamp(item.number("until_ms")?),
    })
}

fn unavailable(error: StoreError) -> JournalError {
    JournalError(error.boxed())
}

#[async_trait]
impl Journal for DynamoJournal {
    async fn load(
        &self,
        execution: &str,
        after: Option<(RunId, Seq)>,
    ) -> Result<Option<Loaded>, JournalError> {
        let loaded = match after {
            None => self.load_all(execution).await,
            Some((run, seq)) => self.load_behind(execution, run, seq).await,
        };
        loaded.map_err(unavailable)
    }

    async fn meta(&self, execution: &str) -> Result<Option<Arc<Meta>>, JournalError> {
        let found = self.read_meta(execution).await.map_err(unavailable)?;
        Ok(found.map(|(meta, _)| meta))
    }

    async fn put_meta(&self, meta: Arc<Meta>) -> Result<(), PutMetaError> {
        match self.try_put_meta(&meta).await.map_err(unavailable)? {
            None => Ok(()),
            Some(there) => Err(PutMetaError::Exists(there)),
        }
    }

    async fn append(&self, execution: &str, run: RunId, seq: Seq, page: Page) -> Result<(), AppendError> {
        let execution_arn = execution.to_owned();
        match self.try_append(execution, run, seq, &page).await {
            Ok(Appended::Done) => Ok(()),
            Ok(Appended::Conflict) => Err(AppendError::Conflict { execution: execution_arn, seq }),
            Ok(Appended::Gone) => Err(AppendError::Gone { execution: execution_arn }),
            Err(StoreError::Blob(BlobError::NoBucket { bytes, most })) => {
                Err(AppendError::TooLarge { execution: execution_arn, bytes, most, why: NO_BUCKET })
            }
            Err(error) => Err(AppendError::Unknown { execution: execution_arn, seq, source: error.boxed() }),
        }
    }

    async fn finish(&self, execution: &str, run: RunId, epoch: u32, end: End) -> Result<(), FinishError> {
        match self.try_finish(execution, run, epoch, &end).await.map_err(unavailable)? {
            true => Ok(()),
            false => Err(FinishError::MovedOn(execution.to_owned())),
        }
    }

    async fn redrive(
        &self,
        execution: &str,
        run: RunId,
        epoch: u32,
        at: Timestamp,
    ) -> Result<(), JournalError> {
        self.try_redrive(execution, run, epoch, at).await.map_err(unavailable)
    }

    async fn list(&self, query: ListQuery) -> Result<Listed, JournalError> {
        listing::list(&self.table, &query).await.map_err(unavailable)
    }

    async fn put_lease(&self, message: &str, until: Timestamp) -> Result<(), JournalError> {
        let mut item = key(&lease_of(message), LEASE);
        item.insert("until_ms".into(), number(until.0));
        item.insert(EXPIRES.into(), expiry(until, LEASE_KEPT));
        self.table.write(Write::put(item)).await.map(drop).map_err(unavailable)
    }

    async fn lease(&self, message: &str) -> Result<Option<Timestamp>, JournalError> {
        let found = self.table.item(&lease_of(message), LEASE).await.map_err(unavailable)?;
        let until = found.map(|item| item.number("until_ms").map(Timestamp)).transpose();
        until.map_err(unavailable)
    }

    async fn put_invocation(&self, id: &str, invocation: &Invocation) -> Result<(), JournalError> {
        let mut item = key(&invocation_of(id), INVOCATION);
        item.insert("task_token".into(), text(&*invocation.token));
        item.insert("resource_arn".into(), text(&*invocation.resource));
        if let Some(trace) = &invocation.trace {
            item.insert("trace_id".into(), text(&**trace));
        }
        item.insert("until_ms".into(), number(invocation.until.0));
        item.insert(EXPIRES.into(), expiry(invocation.until, INVOCATION_KEPT));
        self.table.write(Write::put(item)).await.map(drop).map_err(unavailable)
    }

    async fn invocation(&self, id: &str) -> Result<Option<Invocation>, JournalError> {
        let found = self.table.item(&invocation_of(id), INVOCATION).await.map_err(unavailable)?;
        found.map(|item| read_invocation(&item)).transpose().map_err(unavailable)
    }

    async fn park(&self, execution: &str, run: RunId, why: Option<Parked>) -> Result<(), JournalError> {
        self.try_park(execution, run, why).await.map_err(unavailable)
    }
}
