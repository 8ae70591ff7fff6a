//! Where what is generated is chosen from: a seed, or a list of numbers that a test tool can make smaller.

use crate::Random;

/// A source of choices.
///
/// Every choice is a number below a bound, and 0 is always the simplest one. So a list that is cut short, or whose
/// numbers are lowered, generates something simpler of the same kind: that is how proptest shrinks a whole definition
/// without knowing what one is.
#[derive(Debug)]
pub struct Choices {
    source: Source,
}

#[derive(Debug)]
enum Source {
    Seed(Box<Random>),
    List(std::vec::IntoIter<u16>),
}

impl Choices {
    /// Choices without end that `seed` decides.
    pub fn seeded(seed: u64) -> Self {
        Choices { source: Source::Seed(Box::new(Random::new(seed))) }
    }

    /// The choices of a list, and the simplest ones when it is used up.
    pub fn of(list: Vec<u16>) -> Self {
        Choices { source: Source::List(list.into_iter()) }
    }

    /// A number below `end`; 0 where that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        match &mut self.source {
            Source::Seed(random) => random.below(end),
            Source::List(list) => list.next().map_or(0, |number| usize::from(number) % end.max(1)),
        }
    }

    /// True once in `times`, and never where the choices are used up.
    pub fn once_in(&mut self, times: usize) -> bool {
        times > 0 && self.below(times) == times - 1
    }

    /// One of several, of which the first is the simplest.
    ///
    /// # Panics
    /// Where there is none.
    pub fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::Choices;

    #[test]
    fn a_list_that_is_used_up_gives_the_simplest() {
        let mut choices = Choices::of(vec![7, 3]);
        assert_eq!([choices.below(5), choices.below(5), choices.below(5)], [2, 3, 0]);
        assert!(!choices.once_in(2));
    }

    #[test]
    fn a_seed_is_the_same_again() {
        let drawn = |seed| {
            let mut choices = Choices::seeded(seed);
            (0..50).map(|_| choices.below(1_000)).collect::<Vec<_>>()
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }
}
