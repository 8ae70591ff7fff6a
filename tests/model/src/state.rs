//! What there is at a moment: the journal's fold, META, the queue, who works, and what was told to whom.

use crate::{DRIVERS, Faults};

/// A message, by its MessageId.
pub(crate) type MessageId = u8;
/// One receipt of a message.
pub(crate) type Delivery = u8;
/// Who claims: a message and a delivery of it (§1).
pub(crate) type Claimant = (MessageId, Delivery);

/// What a message says (§3). Numbers are attempts, except where another name says so.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) enum Trigger {
    /// With the run that the start chose.
    Start(u8),
    /// TaskResult, by a callback or by the service that accepted a call.
    Callback(u8),
    /// TimerFired: a task's timeout, or the end of the time within which an accepted call's end is told.
    Timeout(u8),
    /// TimerFired: a back-off, of this task, before this attempt.
    Backoff(usize, u8),
    /// With `after`.
    Continue(u8),
    Stop,
    Redrive,
}

/// How far a task is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) enum Task {
    Idle,
    /// Ready for this attempt: nobody has claimed it.
    Ready(u8),
    /// Claimed: the call is made by this driver, and by nobody else ever.
    Open(u8, Claimant),
    /// A token task whose call has returned, or a call that was accepted and goes on by itself.
    Waiting(u8),
    Backoff(u8),
    Done,
    Failed,
}

/// What a page owes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) enum Effect {
    Call(usize, u8),
    Timer(Trigger),
    Continue,
    /// META's end, of this epoch.
    Finish(u8),
    /// The id that the service gave an accepted call is kept: only where that comes behind its record.
    Keep(u8),
}

/// The fold of the journal.
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) struct Execution {
    pub(crate) seq: u8,
    pub(crate) epoch: u8,
    pub(crate) started: bool,
    pub(crate) tasks: [Task; 2],
    /// The message whose page set each task's timer.
    pub(crate) timer_by: [MessageId; 2],
    /// Terminal records of this epoch.
    pub(crate) terminal: u8,
    /// Facts that no driver's page has followed yet.
    pub(crate) undriven: Vec<Trigger>,
    /// Per message: the delivery that committed its first page, and whether it is buried.
    pub(crate) first: Vec<(MessageId, Delivery, bool)>,
    pub(crate) last_driver_seq: u8,
    /// The attempt that a callback ended.
    pub(crate) callback_of: u8,
    /// The attempt of which a record says that its call was accepted.
    pub(crate) accepted: u8,
}

/// A message in the queue.
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) struct Queued {
    pub(crate) id: MessageId,
    pub(crate) trigger: Trigger,
    pub(crate) epoch: u8,
    /// Its newest receipt.
    pub(crate) last: Delivery,
}

/// A driver at work.
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) struct Driver {
    pub(crate) message: MessageId,
    pub(crate) delivery: Delivery,
    pub(crate) trigger: Trigger,
    pub(crate) epoch: u8,
    /// The fold as it knows it.
    pub(crate) local: Execution,
    /// What its last page still owes.
    pub(crate) effects: Vec<Effect>,
    /// A page that is to be committed when its effects are performed: that order is wrong.
    pub(crate) planned: Option<(Execution, Vec<Effect>)>,
    /// The page whose reply was lost, and what it owes.
    pub(crate) in_doubt: Option<(u8, Vec<Effect>)>,
    /// The calls that it waits for.
    pub(crate) calls: Vec<(usize, u8)>,
    /// The call that its service has just accepted, and whose id is not kept yet.
    pub(crate) accepting: Option<(usize, u8)>,
    /// Results in hand; `true`: the call was accepted and goes on by itself.
    pub(crate) results: Vec<(usize, u8, bool)>,
    /// Whether it has committed a page.
    pub(crate) has_written: bool,
    /// Whether it has seen to what its message owes (lines 18 to 20, 27).
    pub(crate) redone: bool,
    pub(crate) slice_over: bool,
    /// Whether it has sent a Continue.
    pub(crate) handed: bool,
}

impl Driver {
    pub(crate) fn me(&self) -> Claimant {
        (self.message, self.delivery)
    }

    /// Whether another delivery of its message has buried it.
    pub(crate) fn is_buried(&self) -> bool {
        self.local.first.contains(&(self.message, self.delivery, true))
    }
}

/// How far a handler is that answers somebody (§5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) enum Phase {
    Idle,
    Sent,
    Committed,
    Acknowledged,
    Refused,
    /// It never comes.
    Gone,
}

impl Phase {
    pub(crate) fn is_under_way(self) -> bool {
        matches!(self, Phase::Sent | Phase::Committed)
    }
}

/// Everything.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct World {
    pub(crate) execution: Execution,
    /// The journal's fold before its last page, for reads that are not consistent.
    pub(crate) before: Option<Box<Execution>>,
    /// Who wrote each page; nobody: a request.
    pub(crate) writers: Vec<Option<Claimant>>,
    /// The run that META is of; 0: there is none.
    pub(crate) meta: u8,
    pub(crate) meta_epoch: u8,
    pub(crate) meta_final: bool,
    /// How often META's end was written in its epoch.
    pub(crate) ends: u8,
    pub(crate) queue: Vec<Queued>,
    pub(crate) next_message: MessageId,
    pub(crate) next_delivery: Delivery,
    pub(crate) drivers: [Option<Box<Driver>>; DRIVERS],
    /// How often each attempt of each task was called.
    pub(crate) calls: [[u8; 4]; 2],
    /// Attempts whose call the service has accepted, and those whose id is kept.
    pub(crate) service: [bool; 4],
    pub(crate) kept: [bool; 4],
    /// Phase, and the number of the start.
    pub(crate) start: (Phase, u8),
    pub(crate) is_start_acknowledged: bool,
    /// Phase, attempt, how often it was tried.
    pub(crate) callback: (Phase, u8, u8),
    pub(crate) acknowledged_callback: u8,
    pub(crate) stop: Phase,
    pub(crate) redrive: Phase,
    pub(crate) faults: Faults,
    pub(crate) seen: Seen,
}

/// What must not happen, and one thing that may.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Seen {
    /// A call began when its attempt was closed. That is accepted (§6).
    pub(crate) late_call: bool,
    /// A page took the place of another.
    pub(crate) overwrote: bool,
    /// A message meant nothing at the journal's tail, and later did.
    pub(crate) revived: bool,
    /// A burial failed the call of a driver that was alive and whose lease held.
    pub(crate) failed_alive: bool,
    /// A burial failed a call that the journal says was accepted.
    pub(crate) failed_accepted: bool,
}

impl World {
    pub(crate) fn first(faults: Faults, stop: bool, redrive: bool) -> Self {
        let handler = |comes| if comes { Phase::Idle } else { Phase::Gone };
        World {
            execution: Execution {
                seq: 0,
                epoch: 0,
                started: false,
                tasks: [Task::Idle; 2],
                timer_by: [0; 2],
                terminal: 0,
                undriven: vec![],
                first: vec![],
                last_driver_seq: 0,
                callback_of: 0,
                accepted: 0,
            },
            before: None,
            writers: vec![],
            meta: 0,
            meta_epoch: 0,
            meta_final: false,
            ends: 0,
            queue: vec![],
            next_message: 1,
            next_delivery: 0,
            drivers: std::array::from_fn(|_| None),
            calls: [[0; 4]; 2],
            service: [false; 4],
            kept: [false; 4],
            start: (Phase::Idle, 1),
            is_start_acknowledged: false,
            callback: (Phase::Idle, 0, 0),
            acknowledged_callback: 0,
            stop: handler(stop),
            redrive: handler(redrive),
            faults,
            seen: Seen::default(),
        }
    }

    pub(crate) fn send(&mut self, trigger: Trigger, epoch: u8) {
        self.queue.push(Queued { id: self.next_message, trigger, epoch, last: 0 });
        self.next_message += 1;
    }

    /// Whether this driver is at work.
    pub(crate) fn is_alive(&self, of: Claimant) -> bool {
        self.drivers.iter().flatten().any(|driver| driver.me() == of)
    }

    /// META of an older epoch is put right (line 20, c4).
    pub(crate) fn put_meta_right(&mut self, epoch: u8) {
        if self.meta_epoch < epoch {
            self.meta_epoch = epoch;
            self.meta_final = false;
            self.ends = 0;
        }
    }
}
