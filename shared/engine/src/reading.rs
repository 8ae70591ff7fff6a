//! What may be asked of executions.

use std::sync::Arc;

use stepwell_expr::Payload;
use stepwell_interpreter::{Execution, Record};

use crate::Engine;
use crate::meta::{End, Meta, PayloadPlace, RunId};
use crate::port::{JournalError, ListQuery, Listed, Loaded, Refused, Seq};
use crate::run::{Run, read_pages};
use crate::stored::{PagePlace, StoredError, decode_page};

impl Engine {
    /// Whether what is kept at hand of a run, where that is as far as page `seq`, is `execution`: for tests that hold it against
    /// the journal.
    pub fn agrees(&self, execution_arn: &str, run: RunId, seq: Seq, execution: &Execution) -> bool {
        let differs =
            |known: &Run| known.meta.run == run && known.seq == seq && known.execution != *execution;
        !self.inner.runs.is_there(execution_arn, |known| differs(known))
    }

    /// What is known of an execution, its output included.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn describe(&self, execution_arn: &str) -> Result<Option<Arc<Meta>>, JournalError> {
        let journal = &self.inner.ports.journal;
        // Behind every page: the META alone.
        let Some(meta) = journal.meta(execution_arn).await? else { return Ok(None) };
        match meta.end.as_ref().filter(|end| end.output.is_none()).and_then(|end| end.output_at) {
            None => Ok(Some(meta)),
            Some(PayloadPlace::Input) => Ok(Some(with_output(&meta, meta.input.clone()))),
            Some(PayloadPlace::Page { seq, index }) => {
                let after = Some((meta.run, Seq(seq.saturating_sub(1))));
                let Some(loaded) = journal.load(execution_arn, after).await? else { return Ok(None) };
                if loaded.meta.run != meta.run {
                    return Ok(Some(loaded.meta));
                }
                let output = self.payload(&loaded, seq, index)?;
                Ok(Some(with_output(&meta, output)))
            }
        }
    }

    /// A payload that a page holds itself.
    fn payload(&self, loaded: &Loaded, seq: u64, index: u32) -> Result<Payload, JournalError> {
        let missing = || StoredError::Elsewhere { seq, index };
        let page = loaded.pages.iter().find(|(at, _)| at.0 == seq).ok_or_else(missing);
        let payload = page.and_then(|(_, page)| {
            // What the page refers to elsewhere is not what is looked for.
            let place = PagePlace { run: loaded.meta.run, seq: Seq(seq), writer: &page.writer };
            let decoded = decode_page(place, &page.bytes, |_| Some(Payload::default()))?;
            decoded.table.get(index as usize).cloned().ok_or_else(missing)
        });
        payload.map_err(damaged)
    }

    /// Every record of an execution, also while it runs.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn history(
        &self,
        execution_arn: &str,
    ) -> Result<Option<(Arc<Meta>, Vec<Record>)>, JournalError> {
        let Some(loaded) = self.inner.ports.journal.load(execution_arn, None).await? else { return Ok(None) };
        let mut records = vec![];
        read_pages(&loaded, |_, _, decoded| records.extend(decoded.records)).map_err(damaged)?;
        Ok(Some((loaded.meta, records)))
    }

    /// Executions, newest first.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn list(&self, query: ListQuery) -> Result<Listed, JournalError> {
        self.inner.ports.journal.list(query).await
    }
}

/// What is damaged is so however often it is read.
fn damaged(error: StoredError) -> JournalError {
    JournalError(Box::new(Refused(error.into())))
}

fn with_output(meta: &Meta, output: Payload) -> Arc<Meta> {
    let end = meta.end.clone().map(|end| End { output: Some(output), ..end });
    Arc::new(Meta { end, ..meta.clone() })
}
