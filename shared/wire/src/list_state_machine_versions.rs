//! API: ListStateMachineVersions

use stepwell_expr::Value;

use crate::answer::Answer;
use crate::page_token::{Binding, page_items};
use crate::request::{Members, Text, Violations};
use crate::target::{check_unlabelled, version_arn};
use crate::{Api, Error, Qualifier, StateMachineArn};

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let mut request = Members::of(body, &mut violations);
    let arn = request.required("stateMachineArn", &Text::ARN)?;
    let token = request.text("nextToken", &Text::PAGE_TOKEN)?;
    let limit = page_items(&mut request)?;
    violations.check()?;
    let arn = StateMachineArn::parse(&arn, api.settings())?;
    check_unlabelled(&arn)?;
    let binding = Binding::of(&["ListStateMachineVersions", arn.text()]);
    let before = token.map(|token| binding.open(&token, api.now())).transpose()?;
    let before = before.map(|before| before.parse().map_err(|_| Error::InvalidToken)).transpose()?;

    // The API declares no error for a machine that is not there: it has no versions.
    let mut versions = match arn.qualifier() {
        Qualifier::None if arn.is_here() => {
            api.engine().ports().registry.versions(arn.machine(), before, limit + 1).await?
        }
        _ => vec![],
    };
    let next = binding.page(&mut versions, limit, api.now(), |last| last.number.to_string());

    let mut answer = Answer::with_capacity(200 * (versions.len() + 1));
    answer.list("stateMachineVersions", &versions, |item, version| {
        item.text("stateMachineVersionArn", &version_arn(arn.machine(), version.number))
            .time("creationDate", version.created_at);
    });
    answer.text_if("nextToken", next);
    Ok(answer)
}
