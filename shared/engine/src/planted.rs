//! Bugs that tests plant, to show that the simulation would catch them. Without the feature `planted-bugs` there are none, and every
//! question after one is `false` at compile time.

use std::time::Duration;

use crate::commit::Proposal;
use crate::driver::{DriveError, Driver};
use crate::meta::End;
use crate::port::{FinishError, JournalError};
use crate::run::Run;
use crate::{Driven, Engine};

/// A bug, each of which breaks a rule of PROTOCOL.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A page is taken for committed that was never appended (line 11).
    CommitSkipped,
    /// Calls are made and timers set before the page that records them (line 15).
    EffectBeforeCommit,
    /// A page that is there after a lost reply is taken for another's (line 12).
    OwnPageTakenForAnothers,
    /// What calls have brought is forgotten when another page comes first (line 13).
    ResultsForgotten,
    /// A buried driver goes on (line 7).
    FenceIgnored,
    /// The message goes though its driver could not do its work (line 21).
    MessageDeletedEarly,
    /// A second delivery goes on under the first one's message, as if it were that one (line 6).
    RedeliveryClaims,
    /// A driver claims what is ready though its trigger means nothing (line 8).
    NoOpDriverClaims,
    /// A slice ends while a call is open (line 16).
    HandOverWithOpenCall,
    /// What is ready is left without a message (line 19).
    ContinueForgotten,
    /// A cached fold is taken for the journal's tail (§2).
    EventualRead,
    /// A burial does not set the dead driver's timers again (line 27).
    TimerNotSetAgain,
    /// A timer that comes early is taken for void (§3).
    EarlyTimerDropped,
    /// A token ends its task a second time (line c1).
    TokenReusable,
    /// A callback is answered before its fact is there (line c3).
    AnsweredByMessage,
    /// A callback's fact is written, and no message sent (line c2).
    FactWithoutMessage,
    /// A start's message is sent behind its META (line s2).
    StartMessageLast,
    /// A driver is buried while its lease holds (line 23).
    LeaseIgnored,
    /// A call that goes on by itself is recorded as such before it is known which attempt it is.
    AcceptedNotKept,
    /// The end of a call that went on by itself is taken a second time.
    AcceptedTwice,
    /// The end of an epoch is written into the META of another (`finish`).
    FinishNotConditional,
    /// META has the end before the parent was told of it (`finish`).
    ParentToldLast,
    /// A message of an earlier epoch is good (line 4).
    EpochIgnored,
    /// A slice may end before its driver's first page (ARCHITECTURE, "A slice ends behind a driver's first page").
    SliceEndsBeforeFirstPage,
    /// A burial counts as a driver's page (ARCHITECTURE, "A burial is no driver's page").
    BurialCountsAsPage,
    /// A Map Run's cursor moves before its executions are started (§5).
    CursorMovesFirst,
    /// A stop writes its fact in another epoch than its message is for (line c2).
    StopOfAnotherEpoch,
    /// A timer that a clock finds early that has gone back is forgotten.
    TimerForgotten,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 28] = [
        Bug::CommitSkipped,
        Bug::EffectBeforeCommit,
        Bug::OwnPageTakenForAnothers,
        Bug::ResultsForgotten,
        Bug::FenceIgnored,
        Bug::MessageDeletedEarly,
        Bug::RedeliveryClaims,
        Bug::NoOpDriverClaims,
        Bug::HandOverWithOpenCall,
        Bug::ContinueForgotten,
        Bug::EventualRead,
        Bug::TimerNotSetAgain,
        Bug::EarlyTimerDropped,
        Bug::TokenReusable,
        Bug::AnsweredByMessage,
        Bug::FactWithoutMessage,
        Bug::StartMessageLast,
        Bug::LeaseIgnored,
        Bug::AcceptedNotKept,
        Bug::AcceptedTwice,
        Bug::FinishNotConditional,
        Bug::ParentToldLast,
        Bug::EpochIgnored,
        Bug::SliceEndsBeforeFirstPage,
        Bug::BurialCountsAsPage,
        Bug::CursorMovesFirst,
        Bug::StopOfAnotherEpoch,
        Bug::TimerForgotten,
    ];
}

#[cfg(feature = "planted-bugs")]
mod choice {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// From now on every engine has this bug in what this thread lets it do.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    pub(crate) fn planted(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(not(feature = "planted-bugs"))]
mod choice {
    use super::Bug;

    pub(crate) const fn planted(_: Bug) -> bool {
        false
    }
}

#[cfg(feature = "planted-bugs")]
pub use choice::plant;
pub(crate) use choice::planted;

/// What [`Bug::MessageDeletedEarly`] makes of an error.
pub(crate) fn after_error(after: Duration) -> Driven {
    if planted(Bug::MessageDeletedEarly) { Driven::Done } else { Driven::Again { after } }
}

impl Driver<'_> {
    /// [`Bug::EffectBeforeCommit`]
    pub(crate) async fn perform_early(
        &mut self,
        run: &Run,
        proposal: &mut Proposal,
    ) -> Result<(), DriveError> {
        let execution = proposal.execution_or(&run.execution).clone();
        let mut run = run.clone();
        run.execution = execution;
        let (effects, began) = (std::mem::take(&mut proposal.effects), self.ports().clock.monotonic());
        self.perform(&run, effects, began).await
    }
}

impl Engine {
    /// [`Bug::FinishNotConditional`]
    pub(crate) async fn finish_anyway(&self, run: &Run, end: &End) -> Result<(), JournalError> {
        let (journal, arn) = (&self.inner.ports.journal, &run.meta.execution_arn);
        let epoch = journal.meta(arn).await.ok().flatten().map_or(run.meta.epoch, |meta| meta.epoch);
        match journal.finish(arn, run.meta.run, epoch, end.clone()).await {
            Ok(()) | Err(FinishError::MovedOn(_)) => Ok(()),
            Err(FinishError::Unknown(error)) => Err(error),
        }
    }
}
