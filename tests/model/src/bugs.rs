//! The broken variants: each drops one rule, and each is caught.

use crate::properties::{
    CALLED_ONCE, CLAIM_HAS_MESSAGE, FACT_KEPT, FOUND_BY_ID, LINEAR, META_OF_EPOCH, NOOP_STAYS, NOT_STRANDED,
    NOT_UNKNOWN, REPEAT_HARMLESS,
};
use crate::shapes::Shape;
use crate::{Case, Faults};

/// A rule that is dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each one's rule stands in VARIANTS")]
pub enum Bug {
    UnconditionalAppend,
    EventualRead,
    TriggersNameNoAttempt,
    TimerBeforeCommit,
    EffectBeforeCommit,
    DeleteBeforeEffects,
    AppliedMeansDone,
    RedeliveryClaims,
    NoopDriverClaims,
    HandlerClaims,
    HandOverWithOpenCall,
    NoClaim,
    BuriedDriverCommits,
    BuriedDriverDeletes,
    OwnConflictIsForeign,
    BurialIgnoresLease,
    BurialOnlyWhenSomethingIsOpen,
    StartMessageAfterCommit,
    CallbackWithoutMessage,
    CallbackAcksOnSend,
    SliceEndsBeforeFirstPage,
    BurialFollowsContinue,
    BurialFollowsFact,
    RecordBeforeId,
    AcceptedKeepsClaimant,
    AcceptedWithoutTimer,
    UnknownEndIsTaken,
    OldEpochDrives,
    MetaEndOfAnyEpoch,
    NobodyPutsMetaRight,
}

/// A broken variant, and how it is caught.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// What is dropped.
    pub bug: Bug,
    /// Where the rule stands: a line of PROTOCOL.md, or a section of ARCHITECTURE.md.
    pub place: &'static str,
    /// The rule. Those that PROTOCOL.md has in bold are `is_bold`.
    pub rule: &'static str,
    /// Whether the rule is one of PROTOCOL.md's bold ones.
    pub is_bold: bool,
    /// The execution that shows it.
    pub shape: Shape,
    /// What goes wrong.
    pub faults: Faults,
    /// Whether somebody stops the execution.
    pub stop: bool,
    /// The property that does not hold.
    pub violates: &'static str,
}

impl Variant {
    /// What is searched for it.
    pub fn case(&self) -> Case {
        Case { bug: Some(self.bug), ..Case::of(self.shape, self.faults, self.stop) }
    }
}

const fn faults([crashes, lapses, lost_replies, slices]: [u8; 4]) -> Faults {
    Faults { crashes, lapses, lost_replies, slices, repeats: 0 }
}

const fn bold(
    bug: Bug,
    place: &'static str,
    rule: &'static str,
    (shape, with): (Shape, [u8; 4]),
    violates: &'static str,
) -> Variant {
    Variant { bug, place, rule, is_bold: true, shape, faults: faults(with), stop: false, violates }
}

const fn plain(
    bug: Bug,
    place: &'static str,
    rule: &'static str,
    by: (Shape, [u8; 4]),
    violates: &'static str,
) -> Variant {
    Variant { is_bold: false, ..bold(bug, place, rule, by, violates) }
}

const APPEND: &str = "a page is written if none is there";
const READ: &str = "every read that a decision rests on is strongly consistent and reaches the tail";
const NOOP: &str = "a no-op is for ever";
const EFFECTS: &str = "effects come after the commit that claims or records them";
const OUTLIVES: &str = "the message outlives every effect it owes";
const FIRST: &str = "only M's first driver claims under M";
const SLICE: &str = "a slice never ends with a call open";

/// Every rule, and the variant that does not have it.
pub const VARIANTS: &[Variant] = &[
    bold(Bug::UnconditionalAppend, "19", APPEND, (Shape::Parallel, [0, 0, 0, 0]), LINEAR),
    bold(Bug::EventualRead, "24", READ, (Shape::Retry, [1, 0, 0, 0]), NOT_STRANDED),
    bold(Bug::TriggersNameNoAttempt, "36", NOOP, (Shape::Callback, [0, 0, 0, 0]), NOOP_STAYS),
    bold(Bug::TimerBeforeCommit, "36", NOOP, (Shape::Callback, [0, 0, 0, 0]), NOOP_STAYS),
    bold(Bug::EffectBeforeCommit, "70", EFFECTS, (Shape::Sequence, [1, 1, 0, 0]), CALLED_ONCE),
    bold(Bug::DeleteBeforeEffects, "70", OUTLIVES, (Shape::Sequence, [1, 0, 0, 0]), CLAIM_HAS_MESSAGE),
    bold(Bug::AppliedMeansDone, "70, 27", OUTLIVES, (Shape::Retry, [2, 0, 0, 0]), NOT_STRANDED),
    bold(Bug::RedeliveryClaims, "71, 28", FIRST, (Shape::RetryAtOnce, [1, 1, 0, 0]), CLAIM_HAS_MESSAGE),
    bold(Bug::NoopDriverClaims, "71, 8", FIRST, (Shape::TokenThenCall, [2, 1, 0, 0]), CLAIM_HAS_MESSAGE),
    bold(Bug::HandlerClaims, "71, c3", FIRST, (Shape::TokenThenCall, [0, 0, 0, 0]), CLAIM_HAS_MESSAGE),
    bold(Bug::HandOverWithOpenCall, "73", SLICE, (Shape::Sequence, [0, 0, 0, 1]), CLAIM_HAS_MESSAGE),
    plain(Bug::NoClaim, "10", "a call is claimed by a page", (Shape::Sequence, [1, 1, 0, 0]), CALLED_ONCE),
    plain(
        Bug::BuriedDriverCommits,
        "7",
        "a buried driver commits nothing",
        (Shape::RetryAtOnce, [1, 1, 0, 0]),
        CLAIM_HAS_MESSAGE,
    ),
    plain(
        Bug::BuriedDriverDeletes,
        "7",
        "a buried driver leaves its message",
        (Shape::Retry, [1, 1, 0, 0]),
        NOT_STRANDED,
    ),
    plain(
        Bug::OwnConflictIsForeign,
        "12, 14",
        "a page of one's own is no conflict",
        (Shape::Sequence, [0, 0, 1, 0]),
        NOT_STRANDED,
    ),
    Variant {
        faults: Faults { repeats: 1, ..faults([0, 0, 0, 0]) },
        ..plain(
            Bug::BurialIgnoresLease,
            "23",
            "whoever is alive is not buried while its lease holds",
            (Shape::Sequence, [0, 0, 0, 0]),
            REPEAT_HARMLESS,
        )
    },
    plain(
        Bug::BurialOnlyWhenSomethingIsOpen,
        "24",
        "a driver is buried also where nothing is open",
        (Shape::TokenThenCall, [1, 1, 0, 0]),
        CLAIM_HAS_MESSAGE,
    ),
    plain(
        Bug::StartMessageAfterCommit,
        "s2",
        "the message Start is sent before META is put",
        (Shape::Sequence, [1, 0, 0, 0]),
        NOT_STRANDED,
    ),
    plain(
        Bug::CallbackWithoutMessage,
        "c2",
        "a trigger is sent before its fact",
        (Shape::Parallel, [1, 0, 0, 0]),
        NOT_STRANDED,
    ),
    plain(
        Bug::CallbackAcksOnSend,
        "c5",
        "nobody is answered on the strength of a message",
        (Shape::Callback, [0, 0, 0, 0]),
        FACT_KEPT,
    ),
    plain(
        Bug::SliceEndsBeforeFirstPage,
        "9; ARCHITECTURE, Decisions",
        "a slice ends behind a driver's first page",
        (Shape::TokenThenCall, [1, 1, 0, 1]),
        CLAIM_HAS_MESSAGE,
    ),
    plain(
        Bug::BurialFollowsContinue,
        "34; ARCHITECTURE, Decisions",
        "a burial is no driver's page for a Continue's `after`",
        (Shape::Sequence, [1, 1, 0, 1]),
        NOT_STRANDED,
    ),
    plain(
        Bug::BurialFollowsFact,
        "8; ARCHITECTURE, Decisions",
        "a burial is no driver's page that follows a fact",
        (Shape::TokenThenCall, [1, 1, 0, 0]),
        NOT_STRANDED,
    ),
    plain(
        Bug::RecordBeforeId,
        "ARCHITECTURE, Calls that outlive their driver",
        "an accepted call's id is kept before it is recorded",
        (Shape::Accepted, [0, 0, 0, 0]),
        FOUND_BY_ID,
    ),
    plain(
        Bug::AcceptedKeepsClaimant,
        "ARCHITECTURE, Calls that outlive their driver",
        "an accepted attempt has no claimant any more",
        (Shape::Accepted, [1, 0, 0, 0]),
        NOT_UNKNOWN,
    ),
    plain(
        Bug::AcceptedWithoutTimer,
        "ARCHITECTURE, Calls that outlive their driver",
        "an accepted attempt has a timer in its driver's place",
        (Shape::Accepted, [1, 0, 0, 0]),
        NOT_STRANDED,
    ),
    plain(
        Bug::UnknownEndIsTaken,
        "ARCHITECTURE, Calls that outlive their driver",
        "an end whose id nobody knows is told again",
        (Shape::Accepted, [0, 0, 0, 0]),
        FACT_KEPT,
    ),
    Variant {
        stop: true,
        ..plain(
            Bug::OldEpochDrives,
            "4, 7",
            "a message of an epoch that is over means nothing",
            (Shape::Redrive, [0, 0, 0, 0]),
            NOOP_STAYS,
        )
    },
    plain(
        Bug::MetaEndOfAnyEpoch,
        "18",
        "META's end is written to its own epoch",
        (Shape::Redrive, [0, 0, 0, 0]),
        META_OF_EPOCH,
    ),
    plain(
        Bug::NobodyPutsMetaRight,
        "20",
        "whoever meets META of an older epoch puts it right",
        (Shape::Redrive, [1, 0, 0, 0]),
        NOT_STRANDED,
    ),
];
