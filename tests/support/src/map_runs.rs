//! Map Runs in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use stepwell_engine::map_run::{
    Change, Claims, Count, Cursor, Ended, Known, MapRun, Outcome, Transformation,
};
use stepwell_engine::meta::RunId;
use stepwell_engine::port::{Changed, ListedMapRuns, MapRuns, MapRunsError, MapRunsQuery};
use stepwell_engine::stored::{decode_map_run, encode_map_run};
use stepwell_expr::Payload;
use stepwell_interpreter::{AttemptId, MapRunLimits, Timestamp};

use crate::faults::At;
use crate::{Faults, Place, lock};

/// Map Runs in memory.
pub struct MemoryMapRuns {
    inner: Mutex<Inner>,
    faults: At,
}

#[derive(Default)]
struct Inner {
    map_runs: BTreeMap<Arc<str>, Arc<MapRun>>,
    /// The outcomes that are known, and whether their results are kept.
    outcomes: BTreeMap<(Arc<str>, u64), (Outcome, bool)>,
}

impl MemoryMapRuns {
    pub(crate) fn new(faults: Arc<Faults>) -> Self {
        MemoryMapRuns { inner: Mutex::default(), faults: faults.at(Place::MapRuns) }
    }

    /// Every Map Run.
    pub fn all(&self) -> Vec<Arc<MapRun>> {
        lock(&self.inner).map_runs.values().cloned().collect()
    }
}

impl Inner {
    fn change(&mut self, arn: &str, change: &Change) -> Option<Changed> {
        let known = self.map_runs.get(arn)?.clone();
        if let Change::Outcome(outcome) = change
            && self
                .outcomes
                .get(&(known.arn.clone(), outcome.index))
                .is_some_and(|(there, _)| there.redrives >= outcome.redrives)
        {
            return Some(Changed { map_run: known, applied: false });
        }
        let Some(next) = known.changed(change) else {
            return Some(Changed { map_run: known, applied: false });
        };
        let next = decode_map_run(&encode_map_run(&next)).expect("what was just encoded is whole");
        if let Change::Outcome(outcome) = change {
            let kept = known.keeps(outcome.status);
            self.outcomes.insert((known.arn.clone(), outcome.index), (outcome.clone(), kept));
        }
        let map_run = Arc::new(next);
        self.map_runs.insert(map_run.arn.clone(), map_run.clone());
        Some(Changed { map_run, applied: true })
    }

    fn list(&self, query: &MapRunsQuery) -> ListedMapRuns {
        let mut found: Vec<_> =
            self.map_runs.values().filter(|map_run| map_run.execution_arn == query.execution_arn).collect();
        found.sort_by_key(|map_run| (std::cmp::Reverse(map_run.started_at), map_run.arn.clone()));
        let skipped = query.after.as_ref().and_then(|after| after.parse().ok()).unwrap_or(0);
        let map_runs: Vec<_> = found.iter().skip(skipped).take(query.limit).copied().cloned().collect();
        let end = skipped + map_runs.len();
        ListedMapRuns { next: (end < found.len()).then(|| end.to_string()), map_runs }
    }
}

#[async_trait]
impl MapRuns for MemoryMapRuns {
    async fn create(&self, map_run: Arc<MapRun>) -> Result<Arc<MapRun>, MapRunsError> {
        self.faults.before().await.map_err(MapRunsError)?;
        let there = lock(&self.inner).map_runs.entry(map_run.arn.clone()).or_insert(map_run).clone();
        self.faults.after().await.map_err(MapRunsError)?;
        Ok(there)
    }

    async fn map_run(&self, arn: &str) -> Result<Option<Arc<MapRun>>, MapRunsError> {
        self.faults.before().await.map_err(MapRunsError)?;
        Ok(lock(&self.inner).map_runs.get(arn).cloned())
    }

    async fn change(&self, arn: &str, change: Change) -> Result<Option<Changed>, MapRunsError> {
        self.faults.before().await.map_err(MapRunsError)?;
        let changed = lock(&self.inner).change(arn, &change);
        self.faults.after().await.map_err(MapRunsError)?;
        Ok(changed)
    }

    async fn results(&self, arn: &str, from: u64, limit: usize) -> Result<Vec<(u64, Payload)>, MapRunsError> {
        self.faults.before().await.map_err(MapRunsError)?;
        let inner = lock(&self.inner);
        let arn: Arc<str> = arn.into();
        let kept = inner.outcomes.range((arn.clone(), from)..=(arn, u64::MAX));
        let kept = kept.filter(|(_, (_, is_kept))| *is_kept);
        let kept = kept.map(|((_, index), (outcome, _))| (*index, outcome.result.clone()));
        Ok(kept.take(limit).collect())
    }

    async fn outcomes(
        &self,
        arn: &str,
        from: u64,
        limit: usize,
        failures: bool,
    ) -> Result<Vec<Known>, MapRunsError> {
        self.faults.before().await.map_err(MapRunsError)?;
        let inner = lock(&self.inner);
        let arn: Arc<str> = arn.into();
        let known =
            inner.outcomes.range((arn.clone(), from)..=(arn, u64::MAX)).map(|(_, (outcome, _))| outcome);
        let known = known.filter(|outcome| !failures || outcome.status != "SUCCEEDED").take(limit);
        Ok(known.map(Outcome::known).collect())
    }

    async fn list(&self, query: MapRunsQuery) -> Result<ListedMapRuns, MapRunsError> {
        self.faults.before().await.map_err(MapRunsError)?;
        Ok(lock(&self.inner).list(&query))
    }
}

/// A Map Run that has just begun, of the state `label` in the execution `parent` of the machine `machine`.
pub fn map_run(machine: &str, parent: &str, name: &str) -> MapRun {
    const ARN: &str = "arn:aws:states:us-east-1:123456789012";
    MapRun {
        arn: format!("{ARN}:mapRun:{machine}/label:{name}").into(),
        execution_arn: format!("{ARN}:execution:{machine}:{parent}").into(),
        run: RunId(7),
        epoch: 0,
        attempt: AttemptId(1),
        state_machine_arn: format!("{ARN}:stateMachine:{machine}/label").into(),
        express: false,
        started_at: Timestamp(0),
        items: 0,
        limits: MapRunLimits::default(),
        updates: 0,
        transformation: Transformation::None,
        cursor: Cursor::default(),
        ended: Ended::default(),
        result_bytes: 0,
        ending: None,
        closed_at: None,
        redrives: 0,
        redriven_at: None,
        unsuccessful: Ended::default(),
        not_redrivable: Count::default(),
        claims: Claims::default(),
        failure_bytes: 0,
    }
}
