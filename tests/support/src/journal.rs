//! A journal in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use stepwell_engine::meta::{End, Meta, Parked, RunId};
use stepwell_engine::port::{
    AppendError, FinishError, Invocation, Journal, JournalError, ListQuery, Listed, Loaded, Page,
    PutMetaError, Seq,
};
use stepwell_interpreter::Timestamp;

use crate::faults::At;
use crate::{Faults, Place, lock};

/// A journal in memory.
pub struct MemoryJournal {
    inner: Mutex<Inner>,
    faults: At,
    /// Whether the last page and the end are one commit: both ways are right.
    ends_in_one_commit: bool,
}

#[derive(Default)]
struct Inner {
    metas: BTreeMap<Arc<str>, Arc<Meta>>,
    pages: BTreeMap<(RunId, Seq), Page>,
    leases: BTreeMap<String, Timestamp>,
    invocations: BTreeMap<String, Invocation>,
    appends: u64,
    /// The executions whose pages were appended, until somebody asks.
    appended: BTreeSet<Arc<str>>,
    finishes: BTreeMap<RunId, u32>,
}

impl MemoryJournal {
    pub(crate) fn new(faults: Arc<Faults>, ends_in_one_commit: bool) -> Self {
        MemoryJournal { inner: Mutex::default(), faults: faults.at(Place::Journal), ends_in_one_commit }
    }

    /// Every META.
    pub fn metas(&self) -> Vec<Arc<Meta>> {
        lock(&self.inner).metas.values().cloned().collect()
    }

    /// The META and pages of an execution, as a load gives them.
    pub fn loaded(&self, execution: &str) -> Option<Loaded> {
        lock(&self.inner).load(execution, None)
    }

    /// The pages of a run behind one.
    pub fn pages(&self, run: RunId, after: Seq) -> Vec<(Seq, Page)> {
        let range = (run, Seq(after.0 + 1))..=(run, Seq(u64::MAX));
        lock(&self.inner).pages.range(range).map(|((_, seq), page)| (*seq, page.clone())).collect()
    }

    /// Puts other bytes in the place of a page's.
    pub fn damage(&self, run: RunId, seq: Seq, bytes: &'static [u8]) {
        let mut inner = lock(&self.inner);
        let page = inner.pages.get_mut(&(run, seq)).expect("a page is damaged that was appended");
        page.bytes = bytes.into();
    }

    /// Whether the attempt that `token` names is kept under what some service calls it.
    pub fn keeps_invocation(&self, token: &str) -> bool {
        lock(&self.inner).invocations.values().any(|invocation| *invocation.token == *token)
    }

    /// The META of an execution, as it is.
    pub fn meta_of(&self, execution: &str) -> Option<Arc<Meta>> {
        lock(&self.inner).metas.get(execution).cloned()
    }

    /// The executions whose pages were appended since this was last asked.
    pub fn take_appended(&self) -> BTreeSet<Arc<str>> {
        std::mem::take(&mut lock(&self.inner).appended)
    }

    /// Pages appended so far.
    pub fn appends(&self) -> u64 {
        lock(&self.inner).appends
    }

    /// How often a run's end was written to its META where there was none.
    pub fn finishes(&self, run: RunId) -> u32 {
        lock(&self.inner).finishes.get(&run).copied().unwrap_or(0)
    }
}

impl Inner {
    fn load(&self, execution: &str, after: Option<(RunId, Seq)>) -> Option<Loaded> {
        let meta = self.metas.get(execution)?.clone();
        let after = after.filter(|(run, _)| *run == meta.run).map_or(0, |(_, seq)| seq.0);
        let range = (meta.run, Seq(after + 1))..=(meta.run, Seq(u64::MAX));
        let pages = self.pages.range(range).map(|((_, seq), page)| (*seq, page.clone())).collect();
        Some(Loaded { meta, pages })
    }

    /// Puts a META where there is room, and gives what is there then.
    fn put(&mut self, meta: &Arc<Meta>) -> Arc<Meta> {
        let there = self.metas.entry(meta.execution_arn.clone()).or_insert_with(|| meta.clone());
        if there.makes_room(meta.info.started_at) {
            *there = meta.clone();
        }
        there.clone()
    }

    fn append(&mut self, execution: &str, run: RunId, seq: Seq, page: Page) -> Result<(), AppendError> {
        if self.metas.get(execution).is_none_or(|meta| meta.run != run) {
            return Err(AppendError::Gone { execution: execution.to_owned() });
        }
        match self.pages.get(&(run, seq)) {
            Some(there) if *there == page => Ok(()),
            Some(_) => Err(AppendError::Conflict { execution: execution.to_owned(), seq }),
            None => {
                assert!(
                    seq.0 == 1 || self.pages.contains_key(&(run, Seq(seq.0 - 1))),
                    "page {} of {execution} would leave a gap",
                    seq.0
                );
                self.appends += 1;
                self.appended.insert(execution.into());
                self.pages.insert((run, seq), page);
                Ok(())
            }
        }
    }

    fn finish(&mut self, execution: &str, run: RunId, epoch: u32, end: End) -> Result<(), FinishError> {
        let moved_on = || FinishError::MovedOn(execution.to_owned());
        let meta = self.metas.get_mut(execution).filter(|meta| meta.run == run && meta.epoch == epoch);
        let meta = meta.ok_or_else(moved_on)?;
        if meta.end.is_none() {
            let end = stepwell_engine::stored::decode_end(&stepwell_engine::stored::encode_end(&end))
                .expect("what was just encoded is whole");
            *meta = Arc::new(Meta { end: Some(end), ..Meta::clone(meta) });
            *self.finishes.entry(run).or_default() += 1;
        }
        Ok(())
    }

    fn redrive(&mut self, execution: &str, run: RunId, epoch: u32, at: Timestamp) {
        let meta = self.metas.get_mut(execution).filter(|meta| meta.run == run && meta.epoch < epoch);
        if let Some(meta) = meta {
            *meta = Arc::new(meta.redriven(epoch, at));
        }
    }

    fn list(&self, query: &ListQuery) -> Listed {
        let mut metas: Vec<_> = self.metas.values().collect();
        metas.retain(|meta| query.names(meta));
        metas.retain(|meta| query.status.is_none_or(|status| meta.status() == status));
        metas.sort_by_key(|meta| (std::cmp::Reverse(meta.listed_at()), meta.execution_arn.clone()));
        let skipped = query.after.as_ref().and_then(|after| after.parse().ok()).unwrap_or(0);
        let found: Vec<_> =
            metas.iter().skip(skipped).take(query.limit).map(|meta| Arc::clone(meta)).collect();
        let end = skipped + found.len();
        Listed { next: (end < metas.len()).then(|| end.to_string()), metas: found }
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn load(
        &self,
        execution: &str,
        after: Option<(RunId, Seq)>,
    ) -> Result<Option<Loaded>, JournalError> {
        self.faults.before().await.map_err(JournalError)?;
        let loaded = lock(&self.inner).load(execution, after);
        self.faults.after().await.map_err(JournalError)?;
        Ok(loaded)
    }

    async fn meta(&self, execution: &str) -> Result<Option<Arc<Meta>>, JournalError> {
        self.faults.before().await.map_err(JournalError)?;
        Ok(lock(&self.inner).metas.get(execution).cloned())
    }

    async fn put_meta(&self, meta: Arc<Meta>) -> Result<(), PutMetaError> {
        self.faults.before().await.map_err(JournalError)?;
        let there = lock(&self.inner).put(&meta);
        self.faults.after().await.map_err(JournalError)?;
        if there.run == meta.run { Ok(()) } else { Err(PutMetaError::Exists(there)) }
    }

    async fn append(&self, execution: &str, run: RunId, seq: Seq, page: Page) -> Result<(), AppendError> {
        let unknown = |source| AppendError::Unknown { execution: execution.to_owned(), seq, source };
        self.faults.before().await.map_err(unknown)?;
        let appended = lock(&self.inner).append(execution, run, seq, page);
        self.faults.after().await.map_err(unknown)?;
        appended
    }

    async fn append_last(
        &self,
        execution: &str,
        (run, epoch): (RunId, u32),
        seq: Seq,
        page: Page,
        end: &End,
    ) -> Result<bool, AppendError> {
        if !self.ends_in_one_commit {
            return self.append(execution, run, seq, page).await.map(|()| false);
        }
        let unknown = |source| AppendError::Unknown { execution: execution.to_owned(), seq, source };
        self.faults.before().await.map_err(unknown)?;
        let appended = {
            let mut inner = lock(&self.inner);
            inner
                .append(execution, run, seq, page)
                .map(|()| inner.finish(execution, run, epoch, end.clone()).is_ok())
        };
        self.faults.after().await.map_err(unknown)?;
        appended
    }

    async fn finish(&self, execution: &str, run: RunId, epoch: u32, end: End) -> Result<(), FinishError> {
        self.faults.before().await.map_err(JournalError)?;
        let finished = lock(&self.inner).finish(execution, run, epoch, end);
        self.faults.after().await.map_err(JournalError)?;
        finished
    }

    async fn redrive(
        &self,
        execution: &str,
        run: RunId,
        epoch: u32,
        at: Timestamp,
    ) -> Result<(), JournalError> {
        self.faults.before().await.map_err(JournalError)?;
        lock(&self.inner).redrive(execution, run, epoch, at);
        self.faults.after().await.map_err(JournalError)
    }

    async fn list(&self, query: ListQuery) -> Result<Listed, JournalError> {
        self.faults.before().await.map_err(JournalError)?;
        Ok(lock(&self.inner).list(&query))
    }

    async fn put_lease(&self, message: &str, until: Timestamp) -> Result<(), JournalError> {
        self.faults.before().await.map_err(JournalError)?;
        lock(&self.inner).leases.insert(message.to_owned(), until);
        self.faults.after().await.map_err(JournalError)
    }

    async fn lease(&self, message: &str) -> Result<Option<Timestamp>, JournalError> {
        self.faults.before().await.map_err(JournalError)?;
        Ok(lock(&self.inner).leases.get(message).copied())
    }

    async fn put_invocation(&self, id: &str, invocation: &Invocation) -> Result<(), JournalError> {
        self.faults.before().await.map_err(JournalError)?;
        lock(&self.inner).invocations.insert(id.to_owned(), invocation.clone());
        self.faults.after().await.map_err(JournalError)
    }

    async fn invocation(&self, id: &str) -> Result<Option<Invocation>, JournalError> {
        self.faults.before().await.map_err(JournalError)?;
        Ok(lock(&self.inner).invocations.get(id).cloned())
    }

    async fn park(&self, execution: &str, run: RunId, why: Option<Parked>) -> Result<(), JournalError> {
        self.faults.before().await.map_err(JournalError)?;
        let mut inner = lock(&self.inner);
        if let Some(meta) = inner.metas.get_mut(execution).filter(|meta| meta.run == run) {
            *meta = Arc::new(Meta { parked: why, ..Meta::clone(meta) });
        }
        Ok(())
    }
}
