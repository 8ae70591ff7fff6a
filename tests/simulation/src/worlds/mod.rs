//! The worlds: each has a name, machines, and a plan of how it goes wrong; a seed decides the rest.
//!
//! A failure is replayed by its world's name and its seed: `cargo xtask simulate --world NAME --seed SEED`.

mod deletion;
mod drawn;
mod handmade;
mod workers;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::Duration;

use stepwell_engine::Settings;
use stepwell_test_support::{Counts, Random, Rates};

use crate::{Broken, Sim};

/// Whose executions a world runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cast {
    /// Hand-made machines of every shape.
    HandMade,
    /// Machines with activities, and workers that come and go.
    Workers,
    /// A machine that is deleted.
    Doomed,
    /// Drawn machines, whose outputs no fault may change.
    Generated,
}

/// How a world goes wrong.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    cast: Cast,
    rates: Rates,
    /// In a thousand steps: a message is delivered though it is hidden.
    redeliver: u32,
    /// In a thousand steps: a process dies.
    crash_process: u32,
    /// Whether executions are stopped.
    stop: bool,
    /// In a thousand steps: an execution is redriven, if it can be.
    redrive: u32,
    /// In a thousand steps: a callback or a stop comes in the moment of a timer.
    race: u32,
    slice: Duration,
    /// How long a driver's lease holds without a sign of life.
    visibility: Duration,
    /// Express workflows, whose calls may be made again.
    express: bool,
    /// One machine, where one process owns the store.
    one_process: bool,
    /// How long a driver can wait for a call.
    wait_max: Option<Duration>,
    /// Drivers live, so that no call of theirs may be given up.
    healthy: bool,
}

/// A world.
pub struct World {
    /// What it is called.
    pub name: &'static str,
    /// How it goes wrong.
    pub plan: Plan,
    /// The seeds that are tried whenever the tests run.
    pub seeds: Range<u64>,
}

const HEALTHY: Plan = Plan {
    cast: Cast::HandMade,
    rates: SLOW,
    redeliver: 0,
    crash_process: 0,
    stop: false,
    redrive: 0,
    race: 0,
    slice: Duration::from_secs(5),
    visibility: Duration::from_secs(60),
    express: false,
    one_process: false,
    wait_max: None,
    healthy: true,
};

const SLOW: Rates = Rates { delay: 300, delay_max: Duration::from_millis(300), ..Rates::NONE };
/// Handlers and drivers that stand still for minutes, and go on when others have taken their place.
const ZOMBIES: Rates =
    Rates { delay: 60, delay_max: Duration::from_secs(240), crash: 10, freeze: 4, ..Rates::NONE };
/// A little of everything.
const ALL: Rates = Rates {
    crash: 10,
    refuse: 20,
    lose_reply: 20,
    duplicate: 50,
    early: 50,
    late: 20,
    task: 20,
    undeleted: 20,
    stop: 1,
    freeze: 1,
    jump: 1,
    ..SLOW
};

const SICK: Plan = Plan { healthy: false, ..HEALTHY };
const WORKERS: Plan = Plan { cast: Cast::Workers, ..SICK };
const DOOMED: Plan = Plan { cast: Cast::Doomed, redeliver: 5, crash_process: 3, ..SICK };
const DRAWN: Plan = Plan { cast: Cast::Generated, ..SICK };
/// Shorter than most calls take.
const LONG: Option<Duration> = Some(Duration::from_millis(20));

/// Every world.
pub const WORLDS: &[World] = &[
    World { name: "slow", plan: HEALTHY, seeds: 0..60 },
    World {
        name: "refusals",
        plan: Plan { rates: Rates { refuse: 50, lose_reply: 50, task: 20, ..SLOW }, ..SICK },
        seeds: 100..200,
    },
    // A message that is delivered again, or sent twice, fails no call while its driver lives.
    World {
        name: "duplicates",
        plan: Plan {
            rates: Rates { duplicate: 200, early: 100, undeleted: 30, ..SLOW },
            redeliver: 30,
            ..HEALTHY
        },
        seeds: 200..300,
    },
    World { name: "deaths", plan: Plan { rates: Rates { crash: 30, ..SLOW }, ..SICK }, seeds: 300..400 },
    World {
        name: "everything",
        plan: Plan { rates: ALL, redeliver: 10, crash_process: 3, stop: true, redrive: 4, race: 10, ..SICK },
        seeds: 400..800,
    },
    World {
        name: "zombies",
        plan: Plan { rates: Rates { crash: 20, ..ZOMBIES }, redeliver: 30, ..SICK },
        seeds: 600..700,
    },
    // Drivers are buried while they stand still, and go on just then.
    World {
        name: "short_leases",
        plan: Plan {
            rates: Rates {
                freeze: 40,
                duplicate: 50,
                delay: 200,
                delay_max: Duration::from_secs(8),
                ..Rates::NONE
            },
            redeliver: 150,
            visibility: Duration::from_secs(1),
            slice: Duration::from_secs(60),
            ..SICK
        },
        seeds: 6000..6200,
    },
    // One is buried while it leaves, and its burier dies.
    World {
        name: "short_slices",
        plan: Plan {
            rates: Rates {
                freeze: 60,
                crash: 40,
                delay: 200,
                delay_max: Duration::from_secs(8),
                ..Rates::NONE
            },
            redeliver: 200,
            visibility: Duration::from_secs(1),
            slice: Duration::from_millis(30),
            ..SICK
        },
        seeds: 6500..6600,
    },
    // Clocks go back between a timer's arrival and what is decided then.
    World {
        name: "clocks",
        plan: Plan {
            rates: Rates { jump: 300, delay: 900, early: 100, late: 50, duplicate: 50, ..SLOW },
            redeliver: 10,
            race: 20,
            ..SICK
        },
        seeds: 8000..8100,
    },
    // Several deliveries of one message at once, most of them with nothing to say.
    World {
        name: "crowds",
        plan: Plan {
            rates: Rates { duplicate: 300, crash: 5, undeleted: 50, ..SLOW },
            redeliver: 200,
            slice: Duration::from_millis(60),
            ..SICK
        },
        seeds: 700..800,
    },
    // An Express workflow's call whose outcome is unknown is made again, and nobody hears of it.
    World {
        name: "express",
        plan: Plan {
            rates: Rates { crash: 30, stop: 2, ..SLOW },
            crash_process: 3,
            express: true,
            ..HEALTHY
        },
        seeds: 800..900,
    },
    // One machine: no lease is waited for, and one driver of a Map Run leaves what it finds to another.
    World {
        name: "one_process",
        plan: Plan {
            rates: Rates { crash: 10, refuse: 20, lose_reply: 20, task: 10, ..SLOW },
            crash_process: 3,
            stop: true,
            race: 10,
            one_process: true,
            ..SICK
        },
        seeds: 900..1000,
    },
    // Executions that have ended go on, again and again.
    World { name: "redrives", plan: Plan { stop: true, redrive: 20, ..HEALTHY }, seeds: 900..960 },
    World {
        name: "redrives_and_everything",
        plan: Plan { rates: ALL, redeliver: 20, crash_process: 2, stop: true, redrive: 20, race: 10, ..SICK },
        seeds: 1000..1200,
    },
    // Of those who stand still, some go on in the epoch that follows theirs.
    World {
        name: "redrives_among_zombies",
        plan: Plan {
            rates: Rates { duplicate: 50, ..ZOMBIES },
            redeliver: 30,
            stop: true,
            redrive: 20,
            race: 10,
            ..SICK
        },
        seeds: 1200..1300,
    },
    // A stop that sees one epoch and writes into the next.
    World {
        name: "stops_and_redrives",
        plan: Plan {
            rates: Rates {
                delay: 300,
                delay_max: Duration::from_secs(20),
                crash: 15,
                stop: 2,
                ..Rates::NONE
            },
            stop: true,
            redrive: 80,
            ..SICK
        },
        seeds: 7000..7150,
    },
    // Functions that take too long for a driver are invoked asynchronously. Where their drivers live, none is given up but what is
    // never told.
    World {
        name: "accepted",
        plan: Plan { rates: Rates { duplicate: 200, ..SLOW }, redeliver: 30, wait_max: LONG, ..HEALTHY },
        seeds: 1400..1460,
    },
    World {
        name: "accepted_and_everything",
        plan: Plan {
            rates: ALL,
            redeliver: 10,
            crash_process: 3,
            stop: true,
            redrive: 4,
            race: 10,
            wait_max: LONG,
            ..SICK
        },
        seeds: 1500..1620,
    },
    World { name: "workers", plan: WORKERS, seeds: 0..40 },
    World {
        name: "workers_and_refusals",
        plan: Plan { rates: Rates { refuse: 50, lose_reply: 50, ..SLOW }, ..WORKERS },
        seeds: 100..160,
    },
    World {
        name: "workers_and_deaths",
        plan: Plan { rates: Rates { crash: 30, stop: 2, ..SLOW }, crash_process: 3, ..WORKERS },
        seeds: 200..300,
    },
    World {
        name: "workers_and_everything",
        plan: Plan { rates: ALL, redeliver: 10, crash_process: 3, stop: true, race: 10, ..WORKERS },
        seeds: 300..500,
    },
    World {
        name: "workers_and_zombies",
        plan: Plan { rates: Rates { crash: 20, ..ZOMBIES }, redeliver: 30, stop: true, race: 10, ..WORKERS },
        seeds: 500..580,
    },
    World { name: "deletion", plan: DOOMED, seeds: 0..40 },
    World { name: "deletion_and_everything", plan: Plan { rates: ALL, ..DOOMED }, seeds: 100..200 },
    World { name: "drawn", plan: Plan { race: 0, ..DRAWN }, seeds: 0..100 },
    World {
        name: "drawn_and_duplicates",
        plan: Plan {
            rates: Rates { duplicate: 200, early: 100, late: 50, undeleted: 30, ..SLOW },
            redeliver: 30,
            ..DRAWN
        },
        seeds: 100..200,
    },
    World {
        name: "drawn_and_everything",
        plan: Plan { rates: ALL, redeliver: 10, crash_process: 3, ..DRAWN },
        seeds: 1000..1400,
    },
    World {
        name: "drawn_and_zombies",
        plan: Plan { rates: Rates { crash: 20, duplicate: 50, ..ZOMBIES }, redeliver: 30, ..DRAWN },
        seeds: 2000..2200,
    },
    World {
        name: "drawn_and_accepted",
        plan: Plan { rates: ALL, redeliver: 10, crash_process: 3, wait_max: LONG, ..DRAWN },
        seeds: 3000..3150,
    },
    World {
        name: "drawn_in_one_process",
        plan: Plan {
            rates: Rates { crash: 10, refuse: 20, lose_reply: 20, task: 10, late: 20, ..SLOW },
            crash_process: 3,
            one_process: true,
            ..DRAWN
        },
        seeds: 4000..4150,
    },
    World {
        name: "drawn_and_stopped",
        plan: Plan {
            rates: ALL,
            redeliver: 10,
            crash_process: 3,
            stop: true,
            redrive: 10,
            race: 10,
            ..DRAWN
        },
        seeds: 5000..5150,
    },
];

/// The world of this name.
pub fn world(name: &str) -> Option<&'static World> {
    WORLDS.iter().find(|world| world.name == name)
}

/// What worlds have seen.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Worlds that were run.
    pub worlds: u64,
    /// Steps that were taken.
    pub steps: u64,
    /// Executions that were acknowledged.
    pub executions: u64,
    /// Pages that were committed.
    pub pages: u64,
    /// Calls that were made.
    pub calls: u64,
    /// Callbacks that were taken.
    pub callbacks: u64,
    /// Redrives that were acknowledged.
    pub redrives: u64,
    /// Activities' tasks that workers got.
    pub given: u64,
    /// Executions whose ends were compared with those of a world where nothing goes wrong.
    pub compared: u64,
    /// Executions whose ends differ by themselves, since branches fail in more than one way, or five minutes are over.
    pub raced: u64,
    /// What went wrong.
    pub faults: Counts,
}

impl Seen {
    pub(crate) fn of(sim: &Sim) -> Self {
        Seen {
            worlds: 1,
            steps: sim.steps(),
            executions: sim.started().len() as u64,
            pages: sim.world.journal.appends(),
            calls: sim.world.tasks.calls().values().map(|calls| u64::from(*calls)).sum(),
            callbacks: sim.callbacks().iter().filter(|(_, answer)| answer.is_ok()).count() as u64,
            redrives: sim.redriven().len() as u64,
            given: sim.given().len() as u64,
            compared: 0,
            raced: 0,
            faults: sim.world.faults.counts(),
        }
    }

    /// Adds what others have seen.
    pub fn add(&mut self, others: &Seen) {
        let Seen {
            worlds,
            steps,
            executions,
            pages,
            calls,
            callbacks,
            redrives,
            given,
            compared,
            raced,
            faults,
        } = others;
        self.worlds += worlds;
        self.steps += steps;
        self.executions += executions;
        self.pages += pages;
        self.calls += calls;
        self.callbacks += callbacks;
        self.redrives += redrives;
        self.given += given;
        self.compared += compared;
        self.raced += raced;
        self.faults.add(faults);
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} seeds, {} steps, ", self.worlds, self.steps)?;
        write!(f, "{} executions, {} pages, {} calls, ", self.executions, self.pages, self.calls)?;
        write!(f, "{} callbacks, {} redrives, ", self.callbacks, self.redrives)?;
        write!(f, "{} tasks given to workers; ", self.given)?;
        writeln!(f, "{} ends as without faults, {} that differ by themselves", self.compared, self.raced)?;
        writeln!(f, "{} faults:", self.faults.total())?;
        write!(f, "{}", self.faults)
    }
}

impl World {
    /// Runs the world with this seed.
    ///
    /// # Errors
    /// What does not hold; a panic, too.
    pub fn run(&self, seed: u64) -> Result<Seen, Broken> {
        quiet();
        let run = || match self.plan.cast {
            Cast::HandMade => handmade::simulate(seed, self.plan),
            Cast::Workers => workers::simulate(seed, self.plan),
            Cast::Doomed => deletion::simulate(seed, self.plan),
            Cast::Generated => drawn::simulate(seed, self.plan),
        };
        let panicked = |_| Err(Broken(format!("6: a panic: {}", PANIC.take())));
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(panicked)
    }

    /// [`World::run`], and prints what happens.
    ///
    /// # Errors
    /// What does not hold.
    pub fn trace(&self, seed: u64) -> Result<Seen, Broken> {
        TRACE.set(true);
        let seen = self.run(seed);
        TRACE.set(false);
        seen
    }

    /// What replays the run of this seed.
    pub fn replay(&self, seed: u64) -> String {
        format!("cargo xtask simulate --world {} --seed {seed}", self.name)
    }
}

thread_local! {
    static TRACE: Cell<bool> = const { Cell::new(false) };
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Panics are told where they are caught: those that a script asks for are many.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let of_test = std::thread::current().name().is_some_and(|name| name.starts_with("simulation"));
            PANIC.set(info.to_string());
            if !of_test {
                before(info);
            }
        }));
    });
}

/// The engine's settings in a world.
fn settings(plan: Plan) -> Settings {
    Settings {
        slice: plan.slice,
        former_deliveries_are_dead: plan.one_process,
        patience: Duration::from_secs(10),
        visibility: plan.visibility,
        wait_max: plan.wait_max,
        ..Settings::default()
    }
}

/// The world of a plan, with all that goes wrong in it.
fn sim(seed: u64, plan: Plan) -> Sim {
    let mut random = Random::new(seed ^ 0x5E7D);
    let mut sim = Sim::with_skew(seed, settings(plan), random.below(8_000) as i64 - 4_000);
    sim.world.faults.set(plan.rates);
    sim.redeliver = plan.redeliver;
    sim.one_process = plan.one_process;
    sim.told_twice = 300;
    sim.trace = TRACE.get();
    sim.may_go_untold = plan.rates.freeze > 0;
    sim
}
