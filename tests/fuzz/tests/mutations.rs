//! Mutations are the same for the same seed, and keep much of what they are made of.

use std::collections::BTreeSet;

use stepwell_fuzz::mutate::mutate;
use stepwell_fuzz::{Random, target};

#[test]
fn the_same_seed_makes_the_same_and_much_of_it_stays_json() {
    let target = target("definition").expect("it is one of them");
    let corpus: Vec<Vec<u8>> =
        [r#"{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}"#, r#"{"a":"{\"b\":[1,2]}"}"#]
            .map(|text| text.as_bytes().to_vec())
            .into();
    let made = |seed| mutate(target, &corpus[1], &corpus, &mut Random::new(seed));
    let all: Vec<_> = (0..1000).map(made).collect();
    assert_eq!(all, (0..1000).map(made).collect::<Vec<_>>());
    let is_json = |data: &&Vec<u8>| serde_json::from_slice::<serde_json::Value>(data).is_ok();
    assert!(all.iter().filter(is_json).count() > 200);
    assert!(all.iter().collect::<BTreeSet<_>>().len() > 700);
}
