//! How much work the API takes in: as much as the store has room for.

use std::sync::Arc;

use stepwell_local::Backlog;
use stepwell_wire::{Capacity, Place, Work};

/// The store's backlog, as the API asks it.
pub(crate) struct Room(pub(crate) Arc<Backlog>);

impl Capacity for Room {
    fn admit(&self, work: Work, bytes: usize) -> Option<Place> {
        let taken = match work {
            Work::Started => self.0.start(bytes),
            Work::Awaited => self.0.run(bytes),
            Work::GoesOn => self.0.go_on(bytes),
        };
        taken.map(|taken| Box::new(taken) as Place)
    }
}
