//! What must hold in every state (§9), and what must be seen at all.

use stateright::Property;

use crate::Protocol;
use crate::actions::waits_for_outside;
use crate::shapes::Shape;
use crate::state::{Phase, Task, World};

/// §9, 1.
pub const CALLED_ONCE: &str = "an attempt is called at most once";
/// §9, 2.
pub const LINEAR: &str = "pages never change";
/// §9, 3.
pub const ONE_END: &str = "one terminal record per epoch, and META's end once";
/// §9, 4.
pub const FACT_KEPT: &str = "an acknowledged callback, or an end that was taken, is in the journal";
/// §9, 5.
pub const NOT_STRANDED: &str =
    "at rest an acknowledged execution has ended or waits for an outside token only";
/// §9, 6.
pub const NOOP_STAYS: &str = "a no-op stays one";
/// §9, 7.
pub const CLAIM_HAS_MESSAGE: &str = "an open claim's message exists";
/// §9, 9.
pub const REPEAT_HARMLESS: &str = "a repeated message in a healthy run fails no call";
/// ARCHITECTURE, "Redrive".
pub const META_OF_EPOCH: &str = "META's end is of the epoch that has ended";
/// ARCHITECTURE, "Calls that outlive their driver".
pub const FOUND_BY_ID: &str = "an accepted call is found by its id";
/// ARCHITECTURE, "Calls that outlive their driver".
pub const NOT_UNKNOWN: &str = "what the journal calls accepted is not buried";
/// So that a model in which nothing happens is not taken for a good one.
pub const ENDS: &str = "a run ends";
/// §6: accepted.
pub const LATE_CALL: &str = "a zombie's call may begin when its attempt is closed";

pub(crate) fn all() -> Vec<Property<Protocol>> {
    vec![
        Property::always(CALLED_ONCE, |_, world: &World| {
            world.calls.iter().flatten().all(|calls| *calls <= 1)
        }),
        Property::always(LINEAR, |_, world: &World| !world.seen.overwrote),
        Property::always(ONE_END, |_, world: &World| world.execution.terminal <= 1 && world.ends <= 1),
        Property::always(FACT_KEPT, |_, world: &World| {
            let acknowledged = world.acknowledged_callback;
            acknowledged == 0 || world.execution.callback_of == acknowledged
        }),
        Property::always(NOT_STRANDED, |protocol: &Protocol, world: &World| {
            !world.is_start_acknowledged
                || is_moving(world)
                || has_ended(world)
                || waits_for_outside(protocol, &world.execution)
        }),
        Property::always(NOOP_STAYS, |_, world: &World| !world.seen.revived),
        Property::always(CLAIM_HAS_MESSAGE, |_, world: &World| claims_have_messages(world)),
        Property::always(REPEAT_HARMLESS, |_, world: &World| !world.seen.failed_alive),
        Property::always(META_OF_EPOCH, |_, world: &World| {
            let is_of_this = world.meta_epoch == world.execution.epoch;
            !world.meta_final || !is_of_this || world.execution.terminal > 0
        }),
        Property::always(FOUND_BY_ID, |protocol: &Protocol, world: &World| {
            let Task::Waiting(attempt) = world.execution.tasks[0] else { return true };
            protocol.shape != Shape::Accepted || world.kept[attempt as usize]
        }),
        Property::always(NOT_UNKNOWN, |_, world: &World| !world.seen.failed_accepted),
        Property::sometimes(ENDS, |_, world: &World| has_ended(world) && world.queue.is_empty()),
        Property::sometimes(LATE_CALL, |_, world: &World| world.seen.late_call),
    ]
}

/// Whether something is under way that may still do anything.
fn is_moving(world: &World) -> bool {
    let handlers = [world.start.0, world.callback.0, world.stop, world.redrive];
    !world.queue.is_empty()
        || world.drivers.iter().any(Option::is_some)
        || world.start.0 == Phase::Idle
        || handlers.iter().any(|phase| phase.is_under_way())
}

fn has_ended(world: &World) -> bool {
    world.execution.terminal == 1 && world.meta_final && world.meta_epoch == world.execution.epoch
}

fn claims_have_messages(world: &World) -> bool {
    world.execution.tasks.iter().all(|task| match task {
        Task::Open(_, (message, _)) if world.execution.terminal == 0 => {
            world.queue.iter().any(|queued| queued.id == *message)
        }
        _ => true,
    })
}
