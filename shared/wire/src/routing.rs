//! `routingConfiguration` of an alias.

use std::fmt::Write;
use std::sync::Arc;

use stepwell_engine::port::{Alias, Route};

use crate::answer::Answer;
use crate::request::{Members, Text};
use crate::target::version_arn;
use crate::{Api, Error, Qualifier, StateMachineArn};

/// Versions that an alias names at most (API: RoutingConfigurationList).
const ROUTES_MAX: usize = 2;

/// The `reason` of what is wrong here (API: ValidationExceptionReason).
const REASON: &str = "INVALID_ROUTING_CONFIGURATION";

/// An item as it was sent.
pub(crate) struct Item {
    arn: Arc<str>,
    weight: Option<i64>,
}

/// A routing configuration that may be.
pub(crate) struct Routing {
    /// The ARN of the machine whose versions these are.
    pub(crate) machine: StateMachineArn,
    pub(crate) routes: Vec<Route>,
}

/// Reads `routingConfiguration`.
///
/// # Errors
/// [`Error::Serialization`].
pub(crate) fn read(request: &mut Members<'_>) -> Result<Option<Vec<Item>>, Error> {
    let items = request.structures("routingConfiguration", |item| {
        let arn = item.required("stateMachineVersionArn", &Text::ARN)?;
        item.require("weight");
        Ok(Item { arn, weight: item.integer("weight", 0, 100)? })
    })?;
    if let Some(items) = &items {
        request.length("routingConfiguration", items, (1, ROUTES_MAX), Item::shown);
    }
    Ok(items)
}

impl Item {
    /// As AWS's messages show it.
    fn shown(&self) -> String {
        let weight = self.weight.map_or_else(|| "null".to_owned(), |weight| weight.to_string());
        format!("RoutingConfigurationListItem(stateMachineVersionArn={}, weight={weight})", self.arn)
    }
}

impl Routing {
    /// Checks what the API's model does not say.
    ///
    /// # Errors
    /// [`Error::InvalidArn`], [`Error::Validation`].
    pub(crate) fn of(api: &Api, items: &[Item]) -> Result<Self, Error> {
        let received = || join(items.iter().map(|item| &*item.arn));
        let refused = |what: String| Err(Error::validation_for(REASON, what));
        let arns: Vec<_> = items
            .iter()
            .map(|item| StateMachineArn::parse(&item.arn, api.settings()))
            .collect::<Result<_, _>>()?;
        let mut routes = vec![];
        for (arn, item) in arns.iter().zip(items) {
            let Qualifier::Version(version) = arn.qualifier() else {
                return refused(format!(
                    "Routing configuration must contain state machine version ARNs. Received: [{}]",
                    received()
                ));
            };
            let weight = item.weight.and_then(|weight| u8::try_from(weight).ok()).unwrap_or_default();
            routes.push(Route { version, weight });
        }
        let Some(machine) = arns.first().cloned() else {
            return refused("Routing configuration must not be empty".to_owned());
        };
        if arns.iter().any(|arn| arn.machine() != machine.machine()) {
            return refused(format!(
                "Routing configuration must contain versions of one state machine. Received: [{}]",
                received()
            ));
        }
        if (1..arns.len()).any(|at| arns[..at].contains(&arns[at])) {
            return refused(format!(
                "Routing configuration must contain distinct state machine version ARNs. Received: [{}]",
                received()
            ));
        }
        if routes.iter().map(|route| u32::from(route.weight)).sum::<u32>() != 100 {
            let weights = join(routes.iter().map(|route| route.weight));
            return refused(format!(
                "Sum of routing configuration weights must equal 100. Received: [{weights}]"
            ));
        }
        Ok(Routing { machine, routes })
    }
}

fn join<T: std::fmt::Display>(items: impl Iterator<Item = T>) -> String {
    let mut joined = String::new();
    for item in items {
        let separator = if joined.is_empty() { "" } else { ", " };
        let _ = write!(joined, "{separator}{item}");
    }
    joined
}

/// Whether two say the same, in whatever order.
pub(crate) fn same(one: &[Route], other: &[Route]) -> bool {
    one.len() == other.len() && one.iter().all(|route| other.contains(route))
}

/// Writes `routingConfiguration`.
pub(crate) fn write(answer: &mut Answer, machine_arn: &str, alias: &Alias) {
    answer.list("routingConfiguration", &alias.routing, |item, route| {
        item.text("stateMachineVersionArn", &version_arn(machine_arn, route.version))
            .number("weight", route.weight.into());
    });
}
