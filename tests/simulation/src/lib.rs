//! The engine in simulated worlds: ports in memory, a clock that jumps, an executor and faults that one seed decides.
//!
//! [`Sim`] knows what a queue's consumer does around [`stepwell_engine::Engine::drive`], and what must hold after every step. [`worlds`]
//! are what is run in it, by name and seed, and how that goes wrong; some of their state machines are drawn ([`steady`]).

mod callers;
mod checker;
mod invariants;
mod sim;
pub mod steady;
pub mod worlds;

pub use callers::Work;
pub use checker::Broken;
pub use sim::Sim;
