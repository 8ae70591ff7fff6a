//! Task states.

use super::checker::{Checker, Fields};
use super::expression::{PathKind, dynamic_integer, template};
use super::fields::{self, SECONDS_MAX};
use super::{io, resource, retry};
use crate::Task;

pub(crate) fn task(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Task {
    let resource = fields.required_string(checker, "Resource").cloned();
    if let Some(resource) = &resource {
        resource::check(checker, fields, resource);
    }
    Task {
        resource: resource.unwrap_or_else(|| "".into()),
        io: io::io(checker, fields),
        timeout_seconds: dynamic_integer(
            checker,
            fields,
            "TimeoutSeconds",
            1..=SECONDS_MAX,
            PathKind::Reference,
        ),
        heartbeat_seconds: dynamic_integer(
            checker,
            fields,
            "HeartbeatSeconds",
            1..=SECONDS_MAX,
            PathKind::Reference,
        ),
        credentials: credentials(checker, fields),
        retry: retry::retriers(checker, fields),
        catch: retry::catchers(checker, fields),
        assign: io::assign(checker, fields),
        transition: fields::transition(checker, fields),
    }
}

fn credentials(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Option<stepwell_expr::Template> {
    let node = fields.get("Credentials")?;
    let pointer = fields.pointer.key("Credentials");
    let inner = fields.inner(checker, node, &pointer)?;
    if !inner.has("RoleArn") && (fields.is_jsonata() || !inner.has("RoleArn.$")) {
        checker.schema(&pointer, &node.span, "The field 'RoleArn' is required but was missing");
        return None;
    }
    template(checker, fields, "Credentials")
}
