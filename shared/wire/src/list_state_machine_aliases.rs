//! API: ListStateMachineAliases

use stepwell_expr::Value;

use crate::answer::Answer;
use crate::page_token::{Binding, page_items};
use crate::request::{Members, Text, Violations};
use crate::target::{alias_arn, alive, check_unlabelled};
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
    let missing = || Error::StateMachineDoesNotExist(arn.text().to_string());
    let version = match arn.qualifier() {
        Qualifier::None => None,
        Qualifier::Version(number) => Some(number),
        Qualifier::Alias(_) | Qualifier::Label(_) => return Err(missing()),
    };
    let machine = api.own_machine(&arn).await?.ok_or_else(missing)?;
    alive(&machine)?;
    let registry = &api.engine().ports().registry;
    if let Some(number) = version
        && registry.version(&machine.arn, number).await?.is_none()
    {
        return Err(Error::ReferenceNotFound { resource: arn.text().to_string() });
    }
    let binding = Binding::of(&["ListStateMachineAliases", arn.text()]);
    let after = token.map(|token| binding.open(&token, api.now())).transpose()?;
    let mut aliases = registry.aliases(&machine.arn, version, after.as_deref(), limit + 1).await?;
    let next = binding.page(&mut aliases, limit, api.now(), |last| last.name.to_string());

    let mut answer = Answer::with_capacity(200 * (aliases.len() + 1));
    answer.list("stateMachineAliases", &aliases, |item, alias| {
        item.text("stateMachineAliasArn", &alias_arn(&machine.arn, &alias.name))
            .time("creationDate", alias.created_at);
    });
    answer.text_if("nextToken", next);
    Ok(answer)
}
