//! The Journal on SQLite.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rusqlite::Connection;
use stepwell_engine::meta::{End, Meta, Parked, RunId};
use stepwell_engine::port::{
    AppendError, FinishError, Journal, JournalError, ListQuery, Listed, Loaded, Page, PutMetaError, Seq,
};
use stepwell_interpreter::Timestamp;

use crate::backlog::Backlog;
use crate::batch::{find, hash};
use crate::error::StoreError;
use crate::executions::{self, Appended, Finished, Put};
use crate::hot::{Hot, HotExecutions};
use crate::read::Readers;
use crate::writer::Writer;

/// Executions in the store.
pub(crate) struct LocalJournal {
    pub(crate) writer: Writer,
    pub(crate) readers: Readers,
    pub(crate) hot: Arc<HotExecutions>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) backlog: Arc<Backlog>,
}

#[async_trait]
impl Journal for LocalJournal {
    async fn load(
        &self,
        execution: &str,
        after: Option<(RunId, Seq)>,
    ) -> Result<Option<Loaded>, JournalError> {
        let (hot, moment) = self.hot.find(execution);
        if let Some(Hot { id, run, tail: Some(tail), meta: Some(meta), .. }) = hot {
            let after = behind(after, run);
            if tail <= after {
                return Ok(Some(Loaded { meta, pages: vec![] }));
            }
            let pages = self.readers.read(|connection| executions::read_pages(connection, id, after))?;
            return Ok(Some(Loaded { meta, pages }));
        }
        let Some((hot, loaded)) = self.readers.read(|connection| load(connection, execution, after))? else {
            return Ok(None);
        };
        self.hot.keep(execution, hot, moment);
        Ok(Some(loaded))
    }

    async fn meta(&self, execution: &str) -> Result<Option<Arc<Meta>>, JournalError> {
        let (hot, moment) = self.hot.find(execution);
        if let Some(Hot { meta: Some(meta), .. }) = hot {
            return Ok(Some(meta));
        }
        let read = self.readers.read(|connection| {
            let snapshot = connection.unchecked_transaction()?;
            let Some(hot) = find(&snapshot, execution)? else { return Ok(None) };
            let meta = Arc::new(executions::read_meta(&snapshot, execution, &hot)?);
            let tail = Some(executions::read_tail(&snapshot, hot.id)?);
            Ok(Some((meta.clone(), Hot { tail, meta: Some(meta), ..hot })))
        });
        let Some((meta, hot)) = read? else { return Ok(None) };
        self.hot.keep(execution, hot, moment);
        Ok(Some(meta))
    }

    async fn put_meta(&self, meta: Arc<Meta>) -> Result<(), PutMetaError> {
        let (bytes, input) = (executions::meta_bytes(&meta), executions::pack(&meta.input));
        match self.writer.write(move |batch| executions::put(batch, &meta, &bytes, &input)).await {
            Ok(Put::Done) => Ok(()),
            Ok(Put::Exists(known)) => Err(PutMetaError::Exists(known)),
            Err(error) => Err(JournalError::from(error).into()),
        }
    }

    async fn append(&self, execution: &str, run: RunId, seq: Seq, page: Page) -> Result<(), AppendError> {
        let arn = Box::<str>::from(execution);
        let _unwritten = self.backlog.hold(page.bytes.len());
        let written = self.writer.write(move |batch| executions::append(batch, &arn, run, seq, &page)).await;
        appended(execution, seq, written)
    }

    async fn append_last(
        &self,
        execution: &str,
        (run, epoch): (RunId, u32),
        seq: Seq,
        page: Page,
        end: &End,
    ) -> Result<bool, AppendError> {
        let (arn, end) = (Box::<str>::from(execution), end.clone());
        let _unwritten = self.backlog.hold(page.bytes.len());
        let written = self.writer.write(move |batch| {
            let appended = executions::append(batch, &arn, run, seq, &page)?;
            if appended != Appended::Done {
                return Ok((appended, false));
            }
            let finished = executions::finish(batch, &arn, run, epoch, &end)?;
            Ok((appended, finished == Finished::Done))
        });
        let (written, finished) = match written.await {
            Ok((written, finished)) => (Ok(written), finished),
            Err(error) => (Err(error), false),
        };
        appended(execution, seq, written).map(|()| finished)
    }

    async fn finish(&self, execution: &str, run: RunId, epoch: u32, end: End) -> Result<(), FinishError> {
        let arn = Box::<str>::from(execution);
        match self.writer.write(move |batch| executions::finish(batch, &arn, run, epoch, &end)).await {
            Ok(Finished::Done) => Ok(()),
            Ok(Finished::MovedOn) => Err(FinishError::MovedOn(execution.to_owned())),
            Err(error) => Err(JournalError::from(error).into()),
        }
    }

    async fn redrive(
        &self,
        execution: &str,
        run: RunId,
        epoch: u32,
        at: Timestamp,
    ) -> Result<(), JournalError> {
        let arn = Box::<str>::from(execution);
        Ok(self.writer.write(move |batch| executions::redrive(batch, &arn, run, epoch, at)).await?)
    }

    async fn list(&self, query: ListQuery) -> Result<Listed, JournalError> {
        Ok(self.readers.read_much(move |connection| list(connection, &query)).await?)
    }

    async fn put_lease(&self, message: &str, until: Timestamp) -> Result<(), JournalError> {
        self.leases.put(message, until);
        Ok(())
    }

    async fn lease(&self, message: &str) -> Result<Option<Timestamp>, JournalError> {
        Ok(self.leases.find(message))
    }

    async fn park(&self, execution: &str, run: RunId, why: Option<Parked>) -> Result<(), JournalError> {
        let arn = Box::<str>::from(execution);
        Ok(self.writer.write(move |batch| executions::park(batch, &arn, run, why.as_ref())).await?)
    }
}

impl From<StoreError> for JournalError {
    fn from(error: StoreError) -> Self {
        JournalError(error.boxed())
    }
}

fn appended(execution: &str, seq: Seq, written: Result<Appended, StoreError>) -> Result<(), AppendError> {
    let execution = execution.to_owned();
    match written {
        Ok(Appended::Done) => Ok(()),
        Ok(Appended::Conflict) => Err(AppendError::Conflict { execution, seq }),
        Ok(Appended::Gone) => Err(AppendError::Gone { execution }),
        Err(error) => Err(AppendError::Unknown { execution, seq, source: error.boxed() }),
    }
}

fn behind(after: Option<(RunId, Seq)>, run: RunId) -> u64 {
    after.filter(|(known, _)| *known == run).map_or(0, |(_, seq)| seq.0)
}

/// META, pages and tail of an execution, as of one moment.
fn load(
    connection: &Connection,
    execution: &str,
    after: Option<(RunId, Seq)>,
) -> Result<Option<(Hot, Loaded)>, StoreError> {
    let snapshot = connection.unchecked_transaction()?;
    let Some(mut hot) = find(&snapshot, execution)? else { return Ok(None) };
    let meta = Arc::new(executions::read_meta(&snapshot, execution, &hot)?);
    let pages = executions::read_pages(&snapshot, hot.id, behind(after, hot.run))?;
    hot.tail = Some(match pages.last() {
        Some((seq, _)) => seq.0,
        None => executions::read_tail(&snapshot, hot.id)?,
    });
    hot.meta = Some(meta.clone());
    Ok(Some((hot, Loaded { meta, pages })))
}

/// Where a page of a listing ended: start date and number of its last execution.
type Cursor = (i64, i64);

fn list(connection: &Connection, query: &ListQuery) -> Result<Listed, StoreError> {
    let after = query.after.as_deref().map_or(Ok((i64::MAX, i64::MAX)), cursor)?;
    let numbers: Vec<i64> = match query.status {
        Some(status) => executions::status_number(status).into_iter().collect(),
        None => executions::status_numbers().collect(),
    };
    let snapshot = connection.unchecked_transaction()?;
    let mut found = vec![];
    for status in numbers {
        found.extend(list_status(&snapshot, query, status, after)?);
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    let more = found.len() > query.limit;
    found.truncate(query.limit);
    let next = found.last().filter(|_| more).map(|(started_at, id)| format!("{started_at}.{id}"));
    let mut metas = Vec::with_capacity(found.len());
    for (_, id) in found {
        // Two ARNs may share a hash.
        let meta = executions::read_summary(&snapshot, id)?;
        metas.extend(meta.filter(|meta| query.names(meta)).map(Arc::new));
    }
    Ok(Listed { metas, next })
}

// As its table is kept in this order, a page costs its own rows, however many lie before it, behind it and beside it.
const LIST: &str =
    "SELECT started_at, id FROM listing WHERE machine = ?1 AND status = ?2 AND (started_at, id) < (?3, ?4)
     ORDER BY started_at DESC, id DESC LIMIT ?5";

fn list_status(
    connection: &Connection,
    query: &ListQuery,
    status: i64,
    after: Cursor,
) -> Result<Vec<Cursor>, StoreError> {
    let mut statement = connection.prepare_cached(LIST)?;
    let limit = i64::try_from(query.limit.saturating_add(1)).unwrap_or(i64::MAX);
    let machine = hash(&query.state_machine_arn);
    let rows = statement
        .query_map((machine, status, after.0, after.1, limit), |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn cursor(token: &str) -> Result<Cursor, StoreError> {
    let (started_at, id) = token.split_once('.').ok_or(StoreError::Token)?;
    Ok((started_at.parse().map_err(|_| StoreError::Token)?, id.parse().map_err(|_| StoreError::Token)?))
}

/// The leases of this process's drivers. They end with it: at its start every former delivery is dead.
#[derive(Default)]
pub(crate) struct Leases(Mutex<HashMap<Box<str>, Timestamp>>);

/// Leases kept at most; then those that ended longest ago go.
const LEASES_MAX: usize = 4096;

impl Leases {
    fn put(&self, message: &str, until: Timestamp) {
        let mut leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        leases.insert(message.into(), until);
        if leases.len() > LEASES_MAX {
            let mut ends: Vec<Timestamp> = leases.values().copied().collect();
            let (_, median, _) = ends.select_nth_unstable(LEASES_MAX / 2);
            let median = *median;
            leases.retain(|_, until| *until >= median);
        }
    }

    fn find(&self, message: &str) -> Option<Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(message).copied()
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;
    use crate::testing::{Fixture, MACHINE, arn, end, meta, page};

    fn seqs(loaded: &Loaded) -> Vec<u64> {
        loaded.pages.iter().map(|(seq, _)| seq.0).collect()
    }

    /// An execution with two pages, written by `fixture`.
    async fn written(fixture: &Fixture, input: &str) -> Arc<Meta> {
        let journal = &fixture.ports.journal;
        let meta = meta("a", 7, 1_000, input);
        journal.put_meta(meta.clone()).await.expect("put");
        for seq in 1..=2 {
            let page = page(seq, &format!("page {seq}"));
            journal.append(&arn("a"), RunId(7), Seq(seq), page).await.expect("appended");
        }
        meta
    }

    #[tokio::test]
    async fn what_was_acknowledged_is_read_hot_and_after_a_restart() {
        let mut fixture = Fixture::new();
        let input = format!("{{\"text\": {:?}}}", "long ".repeat(1000));
        let meta = written(&fixture, &input).await;
        fixture
            .ports
            .journal
            .finish(&arn("a"), RunId(7), 0, end("SUCCEEDED", Some("1")))
            .await
            .expect("finished");
        for _ in 0..2 {
            let journal = &fixture.ports.journal;
            let loaded = journal.load(&arn("a"), None).await.expect("read").expect("it exists");
            assert_eq!(seqs(&loaded), [1, 2]);
            assert_eq!(loaded.pages[1].1, page(2, "page 2"));
            assert_eq!(*loaded.meta, Meta { end: Some(end("SUCCEEDED", Some("1"))), ..Meta::clone(&meta) });
            for (after, expected) in [((7, 1), vec![2]), ((7, 2), vec![]), ((8, 2), vec![1, 2])] {
                let after = Some((RunId(after.0), Seq(after.1)));
                let loaded = journal.load(&arn("a"), after).await.expect("read").expect("it exists");
                assert_eq!(seqs(&loaded), expected);
            }
            assert!(journal.load(&arn("b"), None).await.expect("read").is_none());
            fixture = fixture.reopened();
        }
    }

    #[tokio::test]
    async fn conditions_refuse_what_came_second() {
        let mut fixture = Fixture::new();
        written(&fixture, "{}").await;
        for _ in 0..2 {
            let journal = &fixture.ports.journal;
            journal.put_meta(meta("a", 7, 1_000, "{}")).await.expect("its own retry");
            let other = journal.put_meta(meta("a", 8, 1_000, "{}")).await;
            assert!(matches!(other, Err(PutMetaError::Exists(known)) if known.run == RunId(7)));

            let append = |run, seq, page| journal.append("x", run, seq, page);
            assert!(matches!(append(RunId(7), Seq(3), page(1, "")).await, Err(AppendError::Gone { .. })));
            let arn = arn("a");
            let append = |run, seq, page| journal.append(&arn, run, seq, page);
            append(RunId(7), Seq(2), page(2, "page 2")).await.expect("its own retry");
            let conflict = append(RunId(7), Seq(2), page(9, "page 2")).await;
            assert!(matches!(conflict, Err(AppendError::Conflict { .. })));
            assert!(matches!(append(RunId(8), Seq(3), page(1, "")).await, Err(AppendError::Gone { .. })));

            let finish = |run, epoch| journal.finish(&arn, run, epoch, end("FAILED", None));
            assert!(matches!(finish(RunId(7), 1).await, Err(FinishError::MovedOn(_))));
            assert!(matches!(finish(RunId(8), 0).await, Err(FinishError::MovedOn(_))));
            finish(RunId(7), 0).await.expect("finished");
            let again = journal.finish(&arn, RunId(7), 0, end("ABORTED", None)).await;
            again.expect("it has ended already");
            let loaded = journal.load(&arn, None).await.expect("read").expect("it exists");
            assert_eq!(loaded.meta.status(), "FAILED");
            fixture = fixture.reopened();
        }
    }

    #[tokio::test]
    async fn a_listing_is_newest_first_and_goes_on_where_it_ended() {
        let fixture = Fixture::new();
        let journal = &fixture.ports.journal;
        for n in 0..10_u32 {
            // Two of each start date.
            let meta = meta(&format!("e{n}"), n.into(), i64::from(n / 2), "{}");
            journal.put_meta(meta).await.expect("put");
            if n % 3 == 0 {
                let arn = arn(&format!("e{n}"));
                journal.finish(&arn, RunId(n.into()), 0, end("SUCCEEDED", None)).await.expect("finished");
            }
        }
        let check = async |status, expected: &str| {
            let (mut names, mut after) = (vec![], None);
            loop {
                let query = ListQuery { state_machine_arn: MACHINE.into(), status, limit: 3, after };
                let listed = journal.list(query).await.expect("listed");
                assert!(listed.metas.len() <= 3);
                names.extend(listed.metas.iter().map(|meta| meta.info.name.to_string()));
                after = listed.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(names.join(" "), expected);
        };
        // Those that have ended did so later than any began.
        check(None, "e9 e6 e3 e0 e8 e7 e5 e4 e2 e1").await;
        check(Some("SUCCEEDED"), "e9 e6 e3 e0").await;
        check(Some("RUNNING"), "e8 e7 e5 e4 e2 e1").await;
        check(Some("PENDING_REDRIVE"), "").await;

        let after = Some("no token".to_owned());
        let query = ListQuery { state_machine_arn: MACHINE.into(), status: None, limit: 3, after };
        assert!(journal.list(query).await.is_err());
    }

    /// SQLite's steps for a page of ten, in a listing of `others` executions more, of three machines and all statuses.
    fn steps(others: i64, status: i64, after: Cursor) -> (usize, i32) {
        let mut connection = Connection::open_in_memory().expect("opened");
        crate::schema::prepare(&mut connection).expect("prepared");
        let insert = "INSERT INTO listing (machine, status, started_at, id) VALUES (?1, ?2, ?3, ?4)";
        let mut insert = connection.prepare(insert).expect("it fits the tables");
        for n in 0..others {
            insert.execute((n % 3, n % 4, n, n)).expect("inserted");
        }
        for n in 0..20 {
            insert.execute((1, 4, n * 50, others + n)).expect("inserted");
        }
        let mut page = connection.prepare(LIST).expect("it fits the tables");
        let rows = page.query_map((1, status, after.0, after.1, 10), |row| row.get::<_, i64>(1));
        let rows = rows.expect("asked").count();
        assert_eq!(page.get_status(StatementStatus::FullscanStep), 0, "{others} {status}");
        assert_eq!(page.get_status(StatementStatus::Sort), 0, "{others} {status}");
        (rows, page.get_status(StatementStatus::VmStep))
    }

    #[test]
    fn a_page_of_a_listing_costs_its_own_rows() {
        let newest = (i64::MAX, i64::MAX);
        // A status that many have, the newest and some in the middle; one that few have; one that none has.
        for (status, after, rows) in
            [(0, newest, 10), (0, (300, 0), 10), (4, newest, 10), (4, (500, 0), 10), (5, newest, 0)]
        {
            let few = steps(600, status, after);
            assert_eq!(few.0, rows);
            assert_eq!(steps(20_000, status, after), few, "status {status} from {after:?}");
        }
    }

    #[test]
    fn no_listing_reads_a_whole_table() {
        let mut connection = Connection::open_in_memory().expect("opened");
        crate::schema::prepare(&mut connection).expect("prepared");
        for sql in [LIST, executions::SUMMARY] {
            let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("a plan");
            let steps = plan.raw_query().mapped(|row| row.get::<_, String>(3));
            for step in steps.map(|step| step.expect("a step")) {
                assert!(step.starts_with("SEARCH "), "{step}: {sql}");
            }
        }
    }

    #[tokio::test]
    async fn a_damaged_row_is_an_error() {
        let damage = [
            "UPDATE execution SET meta = x'ff'",
            "UPDATE execution SET meta = 'text'",
            "UPDATE execution SET meta = zeroblob(50)",
            "UPDATE execution SET input = x'01ffffffff'",
            "UPDATE execution SET run = x'00'",
            "UPDATE page SET bytes = 17",
            "UPDATE page SET message = x'ff'",
        ];
        for sql in damage {
            let fixture = Fixture::new();
            written(&fixture, "{}").await;
            let Fixture { directory, store, .. } = fixture;
            store.close();
            let connection = Connection::open(directory.path().join("stepwell.db")).expect("opened");
            connection.execute(sql, []).expect(sql);
            drop(connection);
            let fixture = Fixture::within(directory, None);
            assert!(fixture.ports.journal.load(&arn("a"), None).await.is_err(), "{sql}");
        }
    }

    #[tokio::test]
    async fn parked_and_leases_come_back() {
        let fixture = Fixture::new();
        written(&fixture, "{}").await;
        let parked = Parked { message: "m".into(), why: "it fails".into() };
        fixture.ports.journal.park(&arn("a"), RunId(7), Some(parked.clone())).await.expect("parked");
        fixture.ports.journal.park(&arn("a"), RunId(8), None).await.expect("not its run");
        fixture.ports.journal.put_lease("m", Timestamp(5)).await.expect("leased");
        assert_eq!(fixture.ports.journal.lease("m").await.expect("read"), Some(Timestamp(5)));
        let fixture = fixture.reopened();
        let loaded = fixture.ports.journal.load(&arn("a"), None).await.expect("read").expect("it exists");
        assert_eq!(loaded.meta.parked, Some(parked));
        assert_eq!(fixture.ports.journal.lease("m").await.expect("read"), None, "its driver is dead");
    }
}
