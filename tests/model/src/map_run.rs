//! A Map Run (§5, last paragraph; ARCHITECTURE, "Map Runs"): its item, its executions, and the messages that tell of
//! their outcomes, of which each may come twice.
//!
//! A driver takes in what its message says by one conditional change, and then does what shows from the item alone. What
//! is checked is that each outcome is counted once, that the waiting execution hears of an end, that the Map Run then
//! ends as it was told, and that nothing runs on when nobody is left to stop it.
//!
//! The last of these does not hold where a message is delivered while its driver lives, and that driver then dies: it may
//! have started an execution behind the end, and the other delivery has deleted the message. That execution runs to its
//! own end and counts for nothing. It is accepted, as a zombie's late call is (§6).

use std::fmt;

use stateright::{Model, Property};

use crate::{Verdict, properties, search};

/// Items, one execution for each.
const ITEMS: usize = 3;
/// Executions that run at once.
const AT_ONCE: u8 = 2;
/// Drivers at work at once.
const DRIVERS: usize = 2;

const COUNTED_ONCE: &str = "an outcome is counted once";
const CLOSES: &str = "at rest a map run is over, and the execution that waited was told";
const AGREES: &str = "a map run ends as it was told";
const ALL_COUNTED: &str = "what is over knows the outcome of every execution behind its cursor";
const NOTHING_RUNS: &str = "at rest nothing runs of a map run that is over";

/// A rule that is dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each one's rule stands in VARIANTS")]
pub enum Bug {
    CountsEachMessage,
    CounterApart,
    CursorFirst,
    CursorBehindEnd,
    ClosedBeforeTold,
    ToldMeansAbandoned,
    LateIsNotStopped,
}

/// What is searched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Case {
    /// The rule that is dropped.
    pub bug: Option<Bug>,
    /// Whether the first execution fails, which is one too many.
    pub fails: bool,
    /// Whether the execution that waits may give up.
    pub gives_up: bool,
    /// Deaths of drivers.
    pub crashes: u8,
    /// Receipts of a message whose driver lives, and outcomes that are told again.
    pub repeats: u8,
}

/// What happens, and faults: crashes, repeats.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bug = self.bug.map_or_else(String::new, |bug| format!("{bug:?} / "));
        let fails = if self.fails { "+Fails" } else { "" };
        let gives_up = if self.gives_up { "+GivesUp" } else { "" };
        f.pad(&format!("{bug}MapRun{fails}{gives_up} [{} {}]", self.crashes, self.repeats))
    }
}

/// The Map Runs that are searched whole.
pub const MEANT: [Case; 6] = [
    Case { bug: None, fails: false, gives_up: false, crashes: 1, repeats: 1 },
    Case { bug: None, fails: true, gives_up: false, crashes: 1, repeats: 1 },
    Case { bug: None, fails: false, gives_up: true, crashes: 1, repeats: 1 },
    Case { bug: None, fails: true, gives_up: true, crashes: 1, repeats: 1 },
    Case { bug: None, fails: true, gives_up: false, crashes: 2, repeats: 0 },
    Case { bug: None, fails: false, gives_up: true, crashes: 2, repeats: 0 },
];

/// What is dropped and searched, the rule, the property that it violates.
pub const VARIANTS: [(Case, &str, &str); 7] = [
    (of(Bug::CountsEachMessage, false, 1), "an outcome is one conditional item by its index", COUNTED_ONCE),
    (of(Bug::CounterApart, false, 1), "the counters are added to in the outcome's transaction", COUNTED_ONCE),
    (of(Bug::CursorFirst, false, 0), "a cursor moves after its executions are started", CLOSES),
    (of(Bug::CursorBehindEnd, true, 0), "a cursor does not move once an end is decided", ALL_COUNTED),
    (of(Bug::ClosedBeforeTold, false, 0), "who waits is told before the map run is closed", CLOSES),
    (of(Bug::ToldMeansAbandoned, false, 0), "who was told does not wait, and did not give up", AGREES),
    (of(Bug::LateIsNotStopped, true, 0), "whoever started executions behind an end stops them", NOTHING_RUNS),
];

const fn of(bug: Bug, fails: bool, repeats: u8) -> Case {
    Case { bug: Some(bug), fails, gives_up: false, crashes: 1, repeats }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
enum Message {
    Begin,
    Outcome(usize),
    Stop,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Ending {
    Succeeded,
    Failed,
    Aborted,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Child {
    No,
    Running,
    Ended,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
struct Item {
    cursor: u8,
    rows: [bool; ITEMS],
    counted: u8,
    failed: bool,
    ending: Option<Ending>,
    closed: bool,
}

/// What a driver does next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
enum Doing {
    /// Taking in what its message says.
    Take,
    /// Adding to the counters, where that is apart.
    Count(usize),
    Look,
    Start(usize),
    /// Moving the cursor behind this execution, which is started.
    Move(usize),
    End(u8),
    Tell(u8),
    Close(u8),
    Leave,
}

const ENDINGS: [Ending; 3] = [Ending::Succeeded, Ending::Failed, Ending::Aborted];

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct World {
    item: Option<Item>,
    children: [Child; ITEMS],
    queue: Vec<Message>,
    drivers: [Option<(Message, Doing)>; DRIVERS],
    /// Whether the execution still waits, whether it gave up, and what it was told.
    waits: bool,
    gave_up: bool,
    telling: Option<Ending>,
    told: Option<Ending>,
    crashes: u8,
    repeats: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    Receive(usize, Message),
    Step(usize),
    Crash(usize),
    ChildEnds(usize),
    ChildTellsAgain(usize),
    ParentHears,
    ParentGivesUp,
}

#[derive(Clone)]
struct MapRun(Case);

/// Searches the model whole; with a rule dropped, until something does not hold.
pub fn check(case: Case, threads: usize) -> Verdict {
    search(MapRun(case), case.bug.is_some(), threads)
}

impl MapRun {
    fn send(world: &mut World, message: Message) {
        world.queue.push(message);
        world.queue.sort();
    }

    /// One step of a driver; what it does then.
    fn step(&self, world: &mut World, message: Message, doing: Doing) -> Doing {
        match doing {
            Doing::Take => self.take(world, message),
            Doing::Count(index) => self.count(world, index),
            Doing::Look => self.look(world),
            Doing::Start(index) => {
                if world.children[index] == Child::No {
                    world.children[index] = Child::Running;
                }
                if self.0.bug == Some(Bug::CursorFirst) { Doing::Look } else { Doing::Move(index) }
            }
            Doing::Move(index) => self.advance(world, index),
            Doing::End(ending) => {
                let Some(item) = &mut world.item else { return Doing::Leave };
                item.ending = item.ending.or(Some(ENDINGS[usize::from(ending)]));
                Doing::Look
            }
            Doing::Tell(ending) => {
                world.telling = world.telling.or(Some(ENDINGS[usize::from(ending)]));
                if self.0.bug == Some(Bug::ClosedBeforeTold) { Doing::Look } else { Doing::Close(ending) }
            }
            Doing::Close(ending) => {
                let Some(item) = &mut world.item else { return Doing::Leave };
                let wanted = ENDINGS[usize::from(ending)];
                if !item.closed && item.ending.is_none_or(|decided| decided == wanted) {
                    (item.ending, item.closed) = (Some(wanted), true);
                    if self.0.bug == Some(Bug::ClosedBeforeTold) {
                        return Doing::Tell(ending);
                    }
                }
                Doing::Look
            }
            Doing::Leave => Doing::Leave,
        }
    }

    fn take(&self, world: &mut World, message: Message) -> Doing {
        match (message, &mut world.item) {
            (Message::Begin, None) => world.item = Some(Item::default()),
            (Message::Outcome(index), Some(item)) => {
                let is_known = item.rows[index] && self.0.bug != Some(Bug::CountsEachMessage);
                if is_known || item.closed {
                    return Doing::Look;
                }
                item.rows[index] = true;
                if self.0.bug == Some(Bug::CounterApart) {
                    return Doing::Count(index);
                }
                return self.count(world, index);
            }
            (Message::Stop, Some(_)) => return Doing::End(2),
            _ => {}
        }
        Doing::Look
    }

    fn count(&self, world: &mut World, index: usize) -> Doing {
        if let Some(item) = &mut world.item {
            item.counted += 1;
            item.failed |= self.0.fails && index == 0;
        }
        Doing::Look
    }

    fn advance(&self, world: &mut World, index: usize) -> Doing {
        let Some(item) = &mut world.item else { return Doing::Leave };
        let is_open = item.ending.is_none() || self.0.bug == Some(Bug::CursorBehindEnd);
        if is_open && usize::from(item.cursor) == index {
            item.cursor += 1;
        }
        match self.0.bug {
            Some(Bug::CursorFirst) => Doing::Start(index),
            Some(Bug::LateIsNotStopped) if item.ending.is_some() => Doing::Leave,
            _ => Doing::Look,
        }
    }

    /// What there is to do shows from the Map Run alone.
    fn look(&self, world: &mut World) -> Doing {
        let Some(item) = world.item else { return Doing::Leave };
        let is_done = usize::from(item.cursor) == ITEMS && item.counted >= item.cursor;
        match item.ending {
            Some(Ending::Succeeded) => Doing::Leave,
            Some(ending) => self.wind_up(world, item, ending),
            None if item.failed => Doing::End(1),
            // It waits no more because it was told: the driver that told it died before this.
            None if !world.waits
                && !world.gave_up
                && is_done
                && self.0.bug != Some(Bug::ToldMeansAbandoned) =>
            {
                Doing::Close(0)
            }
            None if !world.waits => Doing::End(2),
            None if is_done && self.0.bug == Some(Bug::ClosedBeforeTold) => Doing::Close(0),
            None if is_done => Doing::Tell(0),
            None if usize::from(item.cursor) < ITEMS
                && item.cursor.saturating_sub(item.counted) < AT_ONCE =>
            {
                let next = usize::from(item.cursor);
                if self.0.bug == Some(Bug::CursorFirst) { Doing::Move(next) } else { Doing::Start(next) }
            }
            None => Doing::Leave,
        }
    }

    /// Stops what still runs, and closes the Map Run when every outcome is there.
    fn wind_up(&self, world: &mut World, item: Item, ending: Ending) -> Doing {
        if let Some(running) = world.children.iter().position(|child| *child == Child::Running) {
            world.children[running] = Child::Ended;
            Self::send(world, Message::Outcome(running));
            return Doing::Look;
        }
        let late = item.rows[usize::from(item.cursor)..].iter().filter(|row| **row).count() as u8;
        if item.closed || item.counted < item.cursor + late {
            return Doing::Leave;
        }
        match ending {
            Ending::Aborted => Doing::Close(2),
            _ if self.0.bug == Some(Bug::ClosedBeforeTold) => Doing::Close(1),
            _ => Doing::Tell(1),
        }
    }

    fn is_at_rest(world: &World) -> bool {
        world.queue.is_empty() && world.drivers.iter().all(Option::is_none) && world.telling.is_none()
    }
}

impl Model for MapRun {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            item: None,
            children: [Child::No; ITEMS],
            queue: vec![Message::Begin],
            drivers: [None; DRIVERS],
            waits: true,
            gave_up: false,
            telling: None,
            told: None,
            crashes: self.0.crashes,
            repeats: self.0.repeats,
        }]
    }

    fn actions(&self, world: &World, out: &mut Vec<Action>) {
        let idle = world.drivers.iter().position(Option::is_none);
        for (place, message) in world.queue.iter().enumerate() {
            let is_first = world.queue[..place].iter().all(|before| before != message);
            let copies = world.queue.iter().filter(|copy| *copy == message).count();
            let held = world.drivers.iter().flatten().filter(|(held, _)| held == message).count();
            if let Some(at) = idle.filter(|_| is_first && (held < copies || world.repeats > 0)) {
                out.push(Action::Receive(at, *message));
            }
        }
        for at in (0..DRIVERS).filter(|at| world.drivers[*at].is_some()) {
            out.push(Action::Step(at));
            if world.crashes > 0 {
                out.push(Action::Crash(at));
            }
        }
        for index in 0..ITEMS {
            match world.children[index] {
                Child::Running => out.push(Action::ChildEnds(index)),
                Child::Ended if world.repeats > 0 => out.push(Action::ChildTellsAgain(index)),
                _ => {}
            }
        }
        if world.telling.is_some() {
            out.push(Action::ParentHears);
        }
        if self.0.gives_up && world.waits {
            out.push(Action::ParentGivesUp);
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        match action {
            Action::Receive(at, message) => {
                let copies = world.queue.iter().filter(|copy| **copy == message).count();
                let held = world.drivers.iter().flatten().filter(|(held, _)| *held == message).count();
                world.repeats -= u8::from(held >= copies);
                world.drivers[at] = Some((message, Doing::Take));
            }
            Action::Step(at) => match world.drivers[at]? {
                (message, Doing::Leave) => {
                    world.drivers[at] = None;
                    let place = world.queue.iter().position(|queued| *queued == message);
                    place.map(|place| world.queue.remove(place));
                }
                (message, doing) => {
                    let then = self.step(&mut world, message, doing);
                    world.drivers[at] = Some((message, then));
                }
            },
            Action::Crash(at) => {
                world.crashes -= 1;
                world.drivers[at] = None;
            }
            Action::ChildEnds(index) => {
                world.children[index] = Child::Ended;
                Self::send(&mut world, Message::Outcome(index));
            }
            Action::ChildTellsAgain(index) => {
                world.repeats -= 1;
                Self::send(&mut world, Message::Outcome(index));
            }
            Action::ParentHears => {
                let ending = world.telling.take();
                if world.waits {
                    (world.told, world.waits) = (ending, false);
                }
            }
            Action::ParentGivesUp => {
                (world.waits, world.gave_up) = (false, true);
                Self::send(&mut world, Message::Stop);
            }
        }
        // Drivers are alike.
        world.drivers.sort();
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(COUNTED_ONCE, |_, world: &World| {
                let Some(item) = world.item else { return true };
                let rows = item.rows.iter().filter(|row| **row).count();
                let counting =
                    world.drivers.iter().flatten().filter(|driver| matches!(driver.1, Doing::Count(_)));
                usize::from(item.counted) + counting.count() == rows
            }),
            Property::always(CLOSES, |_, world: &World| {
                let runs = world.children.contains(&Child::Running);
                let is_over = world.item.is_some_and(|item| item.closed);
                !Self::is_at_rest(world) || runs || (is_over && !world.waits)
            }),
            Property::always(AGREES, |_, world: &World| {
                let Some(item) = world.item.filter(|item| item.closed) else { return true };
                world.told.is_none() || world.told == item.ending
            }),
            Property::always(ALL_COUNTED, |_, world: &World| {
                world.item.is_none_or(|item| !item.closed || item.counted >= item.cursor)
            }),
            Property::always(NOTHING_RUNS, |model: &MapRun, world: &World| {
                let is_over = world.item.is_some_and(|item| item.closed);
                let runs = is_over && Self::is_at_rest(world) && world.children.contains(&Child::Running);
                !runs || model.0.repeats > 0
            }),
            Property::sometimes(properties::ENDS, |_, world: &World| {
                Self::is_at_rest(world) && world.item.is_some_and(|item| item.closed)
            }),
        ]
    }
}
