//! How much work a regular expression is.
//!
//! The engine's regular expressions take time linear in the text, and in their own size, which counted repetitions multiply:
//! `(a{1,1000}){1,1000}` is a million states.

/// States that all regular expressions of one expression may have together. Ordinary ones have some tens.
pub(super) const STATES_MAX: usize = 20_000;

/// About how many states `pattern` has when its repetitions are written out.
pub(super) fn states(pattern: &str) -> usize {
    let mut chars = pattern.chars().peekable();
    alternatives(&mut chars, 0)
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Groups within groups, beyond which nothing is looked at: the engine refuses such a pattern.
const DEPTH_MAX: usize = 200;

fn alternatives(chars: &mut Chars<'_>, depth: usize) -> usize {
    let mut whole = 0_usize;
    while let Some(char) = chars.next() {
        let atom = match char {
            ')' => break,
            '(' if depth >= DEPTH_MAX => STATES_MAX,
            '(' => alternatives(chars, depth + 1).saturating_add(1),
            '[' => class(chars),
            '\\' => match chars.next() {
                // Classes of Unicode have hundreds of ranges.
                Some('w' | 'W' | 'd' | 'D' | 's' | 'S' | 'p' | 'P' | 'b' | 'B') => 20,
                _ => 1,
            },
            _ => 1,
        };
        whole = whole.saturating_add(atom.saturating_mul(repetitions(chars)));
    }
    whole
}

fn class(chars: &mut Chars<'_>) -> usize {
    let mut size = 1;
    if chars.peek() == Some(&'^') {
        chars.next();
    }
    let mut first = true;
    while let Some(char) = chars.next() {
        match char {
            ']' if !first => break,
            '\\' => {
                chars.next();
                size += 20;
            }
            _ => size += 1,
        }
        first = false;
    }
    size / 4 + 1
}

/// How often the atom before is written out.
fn repetitions(chars: &mut Chars<'_>) -> usize {
    let mut times = 1_usize;
    while let Some('*' | '+' | '?' | '{') = chars.peek() {
        if chars.next() != Some('{') {
            continue;
        }
        let counts: String = chars.by_ref().take_while(|char| *char != '}').collect();
        let most = counts.split(',').filter_map(|count| count.trim().parse::<usize>().ok()).max();
        times = times.saturating_mul(most.unwrap_or(1).max(1));
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_multiply_what_they_repeat() {
        for (pattern, expected) in [
            ("", 0),
            ("abc", 3),
            ("a{3}", 3),
            ("a{2,5}b*", 6),
            ("(ab){10}", 30),
            ("(a{1,1000}){1,100}b", 100_101),
            ("[a-z]{8}", 16),
            (r"\d{4}-\d{2}", 121),
            (r"\{5\}", 3),
            ("a{99999999999999999999}", 1),
            ("((((", 4),
        ] {
            assert_eq!(states(pattern), expected, "{pattern}");
        }
        assert!(states(&"(".repeat(100_000)) >= STATES_MAX);
        assert_eq!(states(&format!("{}a{}", "(".repeat(150), "){1000}".repeat(150))), usize::MAX);
    }
}
