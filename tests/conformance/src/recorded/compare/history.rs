//! Histories: events in the order recorded, or in another that tells the same.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{Compared, Comparer, differ};

/// Events below one another that are looked at in the search for an event's counterpart.
const DEPTH_MAX: usize = 60;

type Children<'a> = HashMap<i64, Vec<&'a Value>>;

impl Comparer {
    /// Compares two histories: event by event, else as trees by `previousEventId`.
    pub(super) fn events(&mut self, expected: &[Value], actual: &[Value], path: &str) -> Compared {
        let has_unplaced = expected.iter().any(is_unplaced);
        let actual = if has_unplaced { unplace(actual) } else { actual.to_vec() };
        let Err(first) = self.attempt(|this| this.in_order(expected, &actual, path)) else { return Ok(()) };
        if has_unplaced || expected.len() != actual.len() {
            return Err(first);
        }
        if self.attempt(|this| this.trees(expected, &actual, path)).is_err() {
            return Err(first);
        }
        self.note(path, format_args!("events in another order ({})", first.path));
        Ok(())
    }

    fn in_order(&mut self, expected: &[Value], actual: &[Value], path: &str) -> Compared {
        let mut at = 0;
        while at < expected.len().min(actual.len()) {
            if !is_unplaced(&expected[at]) {
                self.value(&expected[at], &actual[at], &format!("{path}[{at}]"), false)?;
                at += 1;
                continue;
            }
            let count = expected[at..].iter().take_while(|event| is_unplaced(event)).count();
            let end = at + count;
            let came = &actual[at..end.min(actual.len())];
            self.in_any_order(&expected[at..end], came, &format!("{path}[{at}:{end}]"))?;
            at = end;
        }
        if expected.len() != actual.len() {
            let why = format!("{} events instead of {}", actual.len(), expected.len());
            let types = |events: &[Value]| events.iter().map(|event| event["type"].clone()).collect();
            return differ(path, why, &types(expected), &types(actual));
        }
        Ok(())
    }

    /// Compares events that may have come in any order, without their places.
    fn in_any_order(&mut self, expected: &[Value], actual: &[Value], path: &str) -> Compared {
        let mut left: Vec<_> = actual.iter().collect();
        for (at, event) in expected.iter().enumerate() {
            let hit = left.iter().position(|came| self.is_same_event(event, came, path));
            let Some(hit) = hit else {
                let left = left.iter().take(3).map(|event| bare(event)).collect();
                return differ(&format!("{path} #{at}"), "no such event", event, &left);
            };
            left.remove(hit);
        }
        match left.first() {
            Some(event) => differ(path, "unexpected events", &Value::Null, event),
            None => Ok(()),
        }
    }

    fn is_same_event(&mut self, expected: &Value, actual: &Value, path: &str) -> bool {
        expected.get("type") == actual.get("type")
            && self.attempt(|this| this.value(&bare(expected), &bare(actual), path, false)).is_ok()
    }

    /// Compares two trees of events from the root on.
    fn trees(&mut self, expected: &[Value], actual: &[Value], path: &str) -> Compared {
        let (e_children, a_children) = (children(expected), children(actual));
        let mut todo = vec![(0, 0)];
        let mut seen = 0;
        while let Some((e, a)) = todo.pop() {
            let (es, mut left) = (below(&e_children, e), below(&a_children, a));
            if es.len() != left.len() {
                return differ(path, "tree", &Value::Null, &Value::Null);
            }
            for event in es {
                let hit = left
                    .iter()
                    .position(|came| self.is_same_tree(event, came, (&e_children, &a_children), path, 0));
                let Some(hit) = hit else { return differ(path, "tree", event, &Value::Null) };
                todo.push((id(event), id(left.remove(hit))));
                seen += 1;
            }
            if seen > expected.len() {
                return differ(path, "tree", &Value::Null, &Value::Null);
            }
        }
        Ok(())
    }

    fn is_same_tree(
        &mut self,
        expected: &Value,
        actual: &Value,
        children: (&Children<'_>, &Children<'_>),
        path: &str,
        depth: usize,
    ) -> bool {
        if !self.is_same_event(expected, actual, path) {
            return false;
        }
        let (es, mut left) = (below(children.0, id(expected)), below(children.1, id(actual)));
        if es.len() != left.len() {
            return false;
        }
        if depth > DEPTH_MAX {
            return true;
        }
        for event in es {
            let hit = left.iter().position(|came| self.is_same_tree(event, came, children, path, depth + 1));
            let Some(hit) = hit else { return false };
            left.remove(hit);
        }
        true
    }
}

fn children(events: &[Value]) -> Children<'_> {
    let mut children = Children::new();
    for event in events {
        // One that does not say where it hangs, in whole numbers, hangs nowhere.
        let previous = event.get("previousEventId").map_or(Some(0), number);
        if let Some(previous) = previous {
            children.entry(previous).or_default().push(event);
        }
    }
    children
}

fn below<'a>(children: &Children<'a>, id: i64) -> Vec<&'a Value> {
    children.get(&id).cloned().unwrap_or_default()
}

fn id(event: &Value) -> i64 {
    event.get("id").and_then(number).unwrap_or(-1)
}

fn number(value: &Value) -> Option<i64> {
    let number = value.as_f64()?;
    (number.fract() == 0.0).then_some(number as i64)
}

/// An event without its place.
fn bare(event: &Value) -> Value {
    let is_place = |name: &str| ["id", "previousEventId"].contains(&name);
    let members = event.as_object().into_iter().flatten();
    Value::Object(members.filter(|(name, _)| !is_place(name)).map(|(n, v)| (n.clone(), v.clone())).collect())
}

/// Whether a recorded event of a Parallel state has lost its place.
fn is_unplaced(event: &Value) -> bool {
    event.get("id").is_some_and(|id| *id == json!([0]))
}

/// Does to a history what was done to the recordings whose branches ran in no fixed order: the branches' events lose
/// their places. Where ParallelStateSucceeded is followed by ParallelStateExited, the recordings have lost the former.
fn unplace(events: &[Value]) -> Vec<Value> {
    let mut events = events.to_vec();
    let (mut start, mut branches, mut inside) = (None, vec![], false);
    let mut at = 0;
    while at < events.len() {
        match events[at]["type"].as_str().unwrap_or_default() {
            "ParallelStateSucceeded"
            | "ParallelStateAborted"
            | "ParallelStateExited"
            | "ParallelStateFailed" => {
                if let Some(start) = start {
                    // The list becomes shorter under a walk that goes on by number, as it did when recorded.
                    let end = at.max(start);
                    events.splice(start..end, branches.iter().cloned());
                }
                inside = false;
            }
            "ParallelStateStarted" => {
                (inside, start) = (true, Some(at + 1));
                branches.clear();
            }
            _ if inside => {
                if let Value::Object(members) = &mut events[at] {
                    place_nowhere(members);
                }
                branches.push(events[at].clone());
            }
            _ => {}
        }
        at += 1;
    }
    events
}

fn place_nowhere(event: &mut Map<String, Value>) {
    event.insert("id".to_owned(), json!([0]));
    event.insert("previousEventId".to_owned(), json!(0));
}
