//! What shows of Java in AWS's answers.

use std::sync::Arc;

/// Puts entries in the order in which a `java.util.HashMap` that they were put into would give them out.
pub(crate) fn hash_map_order<T>(entries: &mut [(Arc<str>, T)]) {
    let mut buckets = 16;
    while entries.len() * 4 > buckets * 3 {
        buckets *= 2;
    }
    entries.sort_by_key(|(key, _)| {
        let hash =
            key.encode_utf16().fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()));
        (hash ^ (hash >> 16)) as usize & (buckets - 1)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_grow_and_keep_their_order() {
        let order = |names: &[&str]| {
            let mut entries: Vec<(Arc<str>, ())> = names.iter().map(|name| (Arc::from(*name), ())).collect();
            hash_map_order(&mut entries);
            entries.iter().map(|(name, ())| name.to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(order(&["id", "data"]), "data id");
        assert_eq!(order(&["a", "b", "q", "A"]), "a q A b");
        let letters: Vec<String> = ('a'..='m').map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        assert_eq!(order(&letters), "a b c d e f g h i j k l m");
    }
}
