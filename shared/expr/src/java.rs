//! Where the service's own language shows through in its results: the order of a `java.util.HashMap`, the text of
//! `toString`, the numbers of `java.util.Random`.
//!
//! None of it is documented; each rule is read off what AWS answered.

use crate::json::{Notation, Number, Value, write_as};

/// `String.hashCode`: over UTF-16 code units.
pub(crate) fn hash_string(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// `String.compareTo`: by UTF-16 code units.
pub fn text_order(left: &str, right: &str) -> std::cmp::Ordering {
    const BLOCK: usize = 1 << 12;
    let blocks = left.as_bytes().chunks(BLOCK).zip(right.as_bytes().chunks(BLOCK));
    let mut same = blocks.take_while(|(left, right)| left == right).count() * BLOCK;
    same = same.min(left.len()).min(right.len());
    while !(left.is_char_boundary(same) && right.is_char_boundary(same)) {
        same -= 1;
    }
    left[same..].encode_utf16().cmp(right[same..].encode_utf16())
}

/// `hashCode` of what Jackson reads `value` into: boxed numbers, `ArrayList`, `LinkedHashMap`.
pub(crate) fn hash_value(value: &Value) -> i32 {
    match value {
        Value::Null => 0,
        Value::Bool(true) => 1231,
        Value::Bool(false) => 1237,
        Value::Number(number) => hash_number(number),
        Value::String(text) => hash_string(text),
        Value::Array(items) => {
            items.iter().fold(1_i32, |hash, item| hash.wrapping_mul(31).wrapping_add(hash_value(item)))
        }
        Value::Object(map) => map
            .iter()
            .fold(0_i32, |hash, (key, member)| hash.wrapping_add(hash_string(key) ^ hash_value(member))),
    }
}

fn hash_number(number: &Number) -> i32 {
    match number.as_i64() {
        Some(value) => i32::try_from(value).unwrap_or((value ^ ((value as u64) >> 32) as i64) as i32),
        None => {
            let bits = number.as_f64().to_bits();
            (bits ^ (bits >> 32)) as i32
        }
    }
}

/// The order in which a `HashMap` (or `HashSet`) that took entries one after another gives them back.
///
/// `hashes` are the keys' hash codes in the order of insertion, all keys distinct; the result are their positions.
/// Buckets that became trees, which takes eight collisions in a table of 64, keep their order of insertion here.
pub(crate) fn hash_order(hashes: &[i32]) -> Vec<usize> {
    let mut table = TABLE_MIN;
    while hashes.len() * 4 > table * 3 {
        table *= 2;
    }
    order_in(hashes, table)
}

/// Like [`hash_order`] for `new HashSet<>(collection)`, whose table is sized by the collection, duplicates included.
pub(crate) fn hash_order_sized(hashes: &[i32], collection: usize) -> Vec<usize> {
    let capacity = (collection as f32 / 0.75) as usize + 1;
    order_in(hashes, capacity.max(TABLE_MIN).next_power_of_two())
}

fn order_in(hashes: &[i32], table: usize) -> Vec<usize> {
    let bucket = |at: usize| {
        let hash = hashes[at] as u32;
        (hash ^ (hash >> 16)) as usize & (table - 1)
    };
    let mut order: Vec<usize> = (0..hashes.len()).collect();
    order.sort_by_key(|at| bucket(*at));
    order
}

const TABLE_MIN: usize = 16;

/// `String.valueOf` of what Jackson reads a value into: `{a=1, b=[x, null]}`.
struct Java;

impl Notation for Java {
    const COMMA: &str = ", ";
    const COLON: &str = "=";

    fn write_string(text: &str, out: &mut String) {
        out.push_str(text);
    }

    fn write_number(number: &Number, out: &mut String) {
        match number {
            Number::Text(text) if text.bytes().any(|b| matches!(b, b'.' | b'e' | b'E')) => {
                let value = number.as_f64();
                if value.is_finite() {
                    Number::Float(value).write(out);
                } else {
                    out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
                }
            }
            other => other.write(out),
        }
    }
}

/// Appends `value` as [`Java`] shows it, and stops soon after `out` has `bytes_max`. Returns whether all of it is there.
pub(crate) fn write_value_within(value: &Value, out: &mut String, bytes_max: usize) -> bool {
    write_as::<Java, true>(value, out, bytes_max)
}

/// `value` as [`Java`] shows it.
pub(crate) fn text(value: &Value) -> String {
    let mut out = String::new();
    write_value_within(value, &mut out, usize::MAX);
    out
}

/// `java.util.Random`.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: i64) -> Self {
        Random((seed as u64 ^ MULTIPLIER) & MASK)
    }

    fn next(&mut self, bits: u32) -> i32 {
        self.0 = self.0.wrapping_mul(MULTIPLIER).wrapping_add(0xB) & MASK;
        (self.0 >> (48 - bits)) as u32 as i32
    }

    /// A number in `[0, 1)`, as `nextDouble()` draws it.
    pub(crate) fn double(&mut self) -> f64 {
        let high = i64::from(self.next(26)) << 27;
        (high + i64::from(self.next(27))) as f64 / (1_u64 << 53) as f64
    }

    /// A number in `[first, end)`, as `ints(first, end)` draws it. `first` must be less than `end`.
    pub(crate) fn between(&mut self, first: i32, end: i32) -> i32 {
        match end.checked_sub(first) {
            Some(bound) => first + self.below(bound),
            None => loop {
                let drawn = self.next(32);
                if (first..end).contains(&drawn) {
                    return drawn;
                }
            },
        }
    }

    fn below(&mut self, bound: i32) -> i32 {
        let mut drawn = self.next(31);
        if bound & (bound - 1) == 0 {
            return ((i64::from(bound) * i64::from(drawn)) >> 31) as i32;
        }
        loop {
            let rest = drawn % bound;
            if drawn.wrapping_sub(rest).wrapping_add(bound - 1) >= 0 {
                return rest;
            }
            drawn = self.next(31);
        }
    }
}

const MULTIPLIER: u64 = 0x5_DEEC_E66D;
const MASK: u64 = (1 << 48) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_in_order_of_their_code_units() {
        let long = |end: &str| "é".repeat(5_000) + end;
        let texts = ["", "a", "ab", "b", "\u{10000}", "\u{e000}", "\u{ffff}"];
        for (left, right) in texts.iter().flat_map(|left| texts.iter().map(move |right| (left, right))) {
            let expected = left.encode_utf16().cmp(right.encode_utf16());
            assert_eq!(text_order(left, right), expected, "{left:?} {right:?}");
            assert_eq!(text_order(&long(left), &long(right)), expected, "{left:?} {right:?}");
        }
        assert_eq!(text_order(&long(""), &"é".repeat(4_000)), std::cmp::Ordering::Greater);
    }
    use crate::json::parse;

    #[test]
    fn hash_codes_are_javas() {
        for (text, hash) in [
            ("\"\"", 0),
            ("\"FunctionName\"", -47_052_125),
            ("\"polygenelubricants\"", i32::MIN),
            ("true", 1231),
            ("false", 1237),
            ("null", 0),
            ("7", 7),
            ("4294967296", 1),
            ("1.5", 1_073_217_536),
            ("[1,2]", 994),
            ("[2,1]", 1024),
            ("{\"a\":1}", 96),
        ] {
            assert_eq!(hash_value(&parse(text).unwrap()), hash, "{text}");
        }
    }

    #[test]
    fn keys_come_in_hash_map_order() {
        let order = |keys: &[&str]| -> Vec<String> {
            let hashes: Vec<i32> = keys.iter().map(|k| hash_string(k)).collect();
            hash_order(&hashes).into_iter().map(|at| keys[at].to_owned()).collect()
        };
        assert_eq!(order(&["encoded", "decoded"]), ["decoded", "encoded"]);
        assert_eq!(order(&["splitString", "formattedString"]), ["formattedString", "splitString"]);
        let many: Vec<String> = (0..13).map(|n| format!("k{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(order(&many).join(" "), "k0 k1 k2 k3 k4 k5 k11 k6 k10 k7 k8 k12 k9");
        assert_eq!(hash_order_sized(&[17, 1, 33, 2, 16], 5), [4, 0, 1, 2, 3]);
    }

    #[test]
    fn values_print_as_java_collections() {
        for (text, printed) in [
            (r#"{"Arg1": 1, "Arg2": []}"#, "{Arg1=1, Arg2=[]}"),
            (r#"[1.50, "x", null, {"a": {"b": true}}]"#, "[1.5, x, null, {a={b=true}}]"),
            ("1e400", "Infinity"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("1e10", "1.0E10"),
        ] {
            assert_eq!(super::text(&parse(text).unwrap()), printed, "{text}");
        }
    }

    #[test]
    fn random_draws_what_java_draws() {
        let mut random = Random::new(42);
        assert_eq!((random.between(0, 10), random.between(0, 10), random.between(0, 16)), (0, 3, 10));
        assert_eq!(Random::new(3).between(0, 999), 239);
        assert_eq!(Random::new(7).between(i32::MIN, i32::MAX), -1_156_638_823);
    }
}
