//! The corpus has exactly one request that is let in: without it the target `signature` would prove nothing.

use http::{HeaderMap, HeaderName, HeaderValue};
use stepwell_access::{AccessKey, Claim, Head, ROOT_BYTES, Root};
use stepwell_fuzz::{DIVIDER, corpus, target};

fn is_let_in(case: &[u8]) -> bool {
    let text = String::from_utf8_lossy(case);
    let [_, lines, body] = text.split(DIVIDER).collect::<Vec<_>>()[..] else { return false };
    let headers: HeaderMap = lines
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("it is a name");
            (name, HeaderValue::from_str(value).expect("it is a value"))
        })
        .collect();
    let head = Head { method: "POST", path: "/", has_query: false, headers: &headers };
    let now = jiff::Timestamp::from_second(1_795_154_400).expect("it is a time");
    let Ok(claim) = Claim::read(head, "us-east-1", now) else { return false };
    let (id, account) = (claim.key_id.to_owned(), "123456789012".to_owned());
    let key = AccessKey { id, account, created_at: 0, description: None };
    let root = Root::new(&[7; ROOT_BYTES]).expect("that is long enough");
    claim.verify(&root.secret(&key), body.as_bytes()).is_ok()
}

#[test]
fn the_corpus_has_the_request_that_is_let_in() {
    let target = target("signature").expect("it is one of them");
    assert_eq!(corpus::of(target).iter().filter(|case| is_let_in(case)).count(), 1);
}
