//! What was used: meters, as the price file names them, and requests by their operations.

use std::collections::BTreeMap;

/// Counts. Those of a time are the difference between two of its sums.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    /// By meter.
    pub meters: BTreeMap<&'static str, f64>,
    /// By service and operation, such as `dynamodb.PutItem`: calls of the user's functions and what is not charged, too.
    pub requests: BTreeMap<String, u64>,
}

impl Usage {
    /// Adds to a meter.
    pub fn add(&mut self, meter: &'static str, units: f64) {
        *self.meters.entry(meter).or_default() += units;
    }

    /// Counts a request.
    pub fn request(&mut self, service: &str, operation: &str) {
        *self.requests.entry(format!("{service}.{operation}")).or_default() += 1;
    }

    /// A meter.
    pub fn meter(&self, meter: &str) -> f64 {
        self.meters.get(meter).copied().unwrap_or(0.0)
    }

    /// How many requests there were.
    pub fn requested(&self, operation: &str) -> u64 {
        self.requests.get(operation).copied().unwrap_or(0)
    }

    /// What came since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Usage) -> Usage {
        let meters = self.meters.iter().map(|(meter, units)| (*meter, units - earlier.meter(meter)));
        let requests = self.requests.iter().map(|(name, n)| (name.clone(), n - earlier.requested(name)));
        Usage {
            meters: meters.filter(|(_, units)| *units != 0.0).collect(),
            requests: requests.filter(|(_, n)| *n > 0).collect(),
        }
    }
}

/// How many chunks of `size` bytes hold `bytes`; an empty one is one.
pub fn chunks(bytes: usize, size: usize) -> f64 {
    bytes.div_ceil(size).max(1) as f64
}
