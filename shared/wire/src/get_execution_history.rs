//! API: GetExecutionHistory

use stepwell_expr::Value;
use stepwell_interpreter::{EventId, Record, history};

use crate::answer::Answer;
use crate::history::write_event;
use crate::page_token::{Binding, page_items};
use crate::request::{Members, Text, Violations};
use crate::{Api, Error, ExecutionArn};

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let mut request = Members::of(body, &mut violations);
    let arn = request.required("executionArn", &Text::ARN)?;
    let limit = page_items(&mut request)?;
    let is_reverse = request.flag("reverseOrder")?.unwrap_or(false);
    let token = request.text("nextToken", &Text::PAGE_TOKEN)?;
    let is_data_included = request.flag("includeExecutionData")?.unwrap_or(true);
    violations.check()?;
    let arn = ExecutionArn::parse(&arn, api.settings())?;
    let binding = binding(arn.text(), is_reverse, is_data_included);
    let next = token.map(|token| binding.open(&token, api.now())).transpose()?;
    let next = next.map(|cursor| cursor.parse().map_err(|_| Error::InvalidToken)).transpose()?;

    let missing = || Error::ExecutionDoesNotExist(arn.text().to_string());
    if !arn.is_here() {
        return Err(missing());
    }
    let (_, records) = api.engine().history(arn.text()).await?.ok_or_else(missing)?;
    let page = Page::of(&records, is_reverse, next, limit);
    let mut events = history(page.records(&records), EventId(page.first));
    if is_reverse {
        events.reverse();
    }
    let mut answer = Answer::with_capacity(256 * (events.len() + 1));
    answer.list("events", &events, |answer, event| write_event(answer, event, is_data_included));
    if let Some(next) = page.next {
        answer.text("nextToken", &binding.seal(&next.to_string(), api.now()));
    }
    Ok(answer)
}

fn binding(arn: &str, is_reverse: bool, is_data_included: bool) -> Binding {
    let flag = |flag| if flag { "true" } else { "false" };
    Binding::of(&["GetExecutionHistory", arn, flag(is_reverse), flag(is_data_included)])
}

/// A stretch of the history, by the ids of its events.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    first: u64,
    last: u64,
    next: Option<u64>,
}

impl Page {
    /// The page that begins with the event `start`, of at most `limit` events.
    fn of(records: &[Record], is_reverse: bool, start: Option<u64>, limit: usize) -> Self {
        let count = records.iter().filter(|record| matches!(record, Record::Event(_))).count() as u64;
        Page::within(count, is_reverse, start, limit as u64)
    }

    fn within(count: u64, is_reverse: bool, start: Option<u64>, limit: u64) -> Self {
        if is_reverse {
            let last = start.unwrap_or(count).min(count);
            let first = last.saturating_sub(limit) + 1;
            Page { first, last, next: (first > 1).then(|| first - 1) }
        } else {
            let first = start.unwrap_or(1).max(1);
            let last = first.saturating_add(limit - 1).min(count);
            Page { first, last, next: (last < count).then(|| last + 1) }
        }
    }

    fn records<'r>(&self, records: &'r [Record]) -> impl Iterator<Item = &'r Record> {
        let (first, last) = (self.first, self.last);
        (1..)
            .zip(records.iter().filter(|record| matches!(record, Record::Event(_))))
            .filter(move |(id, _)| (first..=last).contains(id))
            .map(|(_, record)| record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages() {
        let check = |count, reverse, start, limit, (first, last, next)| {
            assert_eq!(Page::within(count, reverse, start, limit), Page { first, last, next });
        };
        check(5, false, None, 2, (1, 2, Some(3)));
        check(5, false, Some(3), 2, (3, 4, Some(5)));
        check(5, false, Some(5), 2, (5, 5, None));
        check(5, false, None, 5, (1, 5, None));
        check(5, true, None, 2, (4, 5, Some(3)));
        check(5, true, Some(3), 2, (2, 3, Some(1)));
        check(5, true, Some(1), 2, (1, 1, None));
        check(0, false, None, 2, (1, 0, None));
        check(0, true, None, 2, (1, 0, None));
        check(2, false, Some(9), 2, (9, 2, None));
        check(2, false, Some(u64::MAX), 2, (u64::MAX, 2, None));
    }
}
