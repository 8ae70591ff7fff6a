//! `States.UUID`.

use crate::{Entropy, Value};

/// A version 4 UUID.
pub(super) fn uuid(entropy: &Entropy) -> Value {
    entropy.uuid().into()
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use crate::Entropy;

    #[test]
    fn draws_from_the_environment() {
        check("States.UUID()", "{}", &format!("\"{}\"", Entropy::new(7, 0).uuid()));
    }
}
