//! API: ListStateMachines

use stepwell_expr::Value;

use crate::answer::Answer;
use crate::create_state_machine::type_name;
use crate::page_token::{Binding, page_items};
use crate::request::{Members, Text, Violations};
use crate::{Api, Error};

pub(crate) async fn answer(api: &Api, body: &Value) -> Result<Answer, Error> {
    let mut violations = Violations::default();
    let mut request = Members::of(body, &mut violations);
    let limit = page_items(&mut request)?;
    let token = request.text("nextToken", &Text::PAGE_TOKEN)?;
    violations.check()?;
    let ours = api.settings().arn("stateMachine:");
    let binding = Binding::of(&["ListStateMachines", &ours]);
    let after = binding.after(token.as_deref(), &ours, api.now())?;
    let mut machines = api.engine().ports().registry.list(Some(&after), limit + 1).await?;
    machines.retain(|machine| machine.arn.starts_with(&*ours));
    let next = binding.page(&mut machines, limit, api.now(), |last| last.arn.to_string());

    let mut answer = Answer::with_capacity(256 * (machines.len() + 1));
    answer.list("stateMachines", &machines, |item, machine| {
        item.text("stateMachineArn", &machine.arn)
            .text("name", &machine.name)
            .text("type", type_name(machine.machine_type))
            .time("creationDate", machine.created_at);
    });
    answer.text_if("nextToken", next);
    Ok(answer)
}
