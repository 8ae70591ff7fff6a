//! What an event's time is spent on.

use std::time::Duration;

use stepwell_engine::Deadline;
use stepwell_engine::port::Clock;
use stepwell_interpreter::Timestamp;

/// How long before Lambda cuts the function off everything is over, at the most.
const MARGIN: Duration = Duration::from_secs(6);

/// The time of one event, by the monotonic clock. Its parts follow each other: work is begun; what was begun is waited for, as
/// long as a call may take; a little is left for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time {
    /// What the engine is told.
    pub(super) deadline: Deadline,
    /// From then on what is not done is given up, so that everything else can be answered.
    pub(super) ends: Duration,
}

impl Time {
    /// The time until `cut_off`, in which a call may take as long as `call_max`, but no more than three quarters of it.
    pub(super) fn until(cut_off: Timestamp, call_max: Duration, clock: &dyn Clock) -> Self {
        let left = cut_off.0.saturating_sub(clock.now().0);
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        let margin = (left / 5).min(MARGIN);
        let usable = left - margin;
        let now = clock.monotonic();
        let hands_over = now + usable - call_max.min(usable * 3 / 4);
        Time { deadline: Deadline { hands_over, gives_up: now + usable }, ends: now + usable + margin / 2 }
    }

    /// The same for somebody who waits no longer than `most` from now.
    pub(super) fn for_caller(self, most: Duration, clock: &dyn Clock) -> Self {
        let hands_over = self.deadline.hands_over.min(clock.monotonic() + most);
        Time { deadline: Deadline { hands_over, ..self.deadline }, ..self }
    }
}

#[cfg(test)]
mod tests {
    use stepwell_test_support::SimClock;

    use super::*;

    #[test]
    fn a_call_has_its_time_before_everything_is_over() {
        let clock = SimClock::new(1);
        let check = |seconds: i64, call_max: u64, expected: [f64; 3]| {
            let cut_off = Timestamp(clock.now().0 + seconds * 1000);
            let time = Time::until(cut_off, Duration::from_secs(call_max), &clock);
            let now = clock.monotonic();
            let moments = [time.deadline.hands_over, time.deadline.gives_up, time.ends];
            let moments = moments.map(|moment| (moment - now).as_secs_f64());
            assert_eq!(moments, expected, "{seconds} s, calls of {call_max} s");
        };
        check(900, 600, [294.0, 894.0, 897.0]);
        check(900, 800, [223.5, 894.0, 897.0]);
        check(30, 600, [6.0, 24.0, 27.0]);
        check(30, 5, [19.0, 24.0, 27.0]);
        check(0, 600, [0.0, 0.0, 0.0]);
        check(-5, 600, [0.0, 0.0, 0.0]);
    }
}
