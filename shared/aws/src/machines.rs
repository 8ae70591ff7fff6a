//! State machines, versions and aliases as items: an attribute for each field.
//!
//! A machine as it is now stands in one partition with all others (`MACHINES`), in the order of their ARNs. All that belongs to it
//! stands under its own ARN: revisions, which outlive it, and versions, aliases and a count of both, which do not.

use std::sync::Arc;

use bytes::Bytes;
use stepwell_asl::MachineType;
use stepwell_engine::port::{Alias, MachineStatus, Publication, Route, StateMachine, Version};
use stepwell_interpreter::Timestamp;

use crate::blobs::{Bodies, Kind};
use crate::error::StoreError;
use crate::item::{AttributeValue, Fields, Item, number, text};
use crate::table::SORT;

/// The partition of all machines.
pub(crate) const MACHINES: &str = "MACHINES";

/// What the sort keys of a machine's aliases begin with.
pub(crate) const ALIAS: &str = "ALIAS#";

/// The sort key of the count of a machine's versions and aliases.
pub(crate) const COUNTS: &str = "COUNTS";

/// What the sort keys begin with that say which version a revision has.
pub(crate) const PUBLISHED: &str = "PUBLISHED#";

/// What the sort keys of a machine's revisions begin with.
pub(crate) const REVISION: &str = "REVISION#";

/// What the sort keys of a machine's versions begin with.
pub(crate) const VERSION: &str = "VERSION#";

/// `status_name` of a machine that takes changes.
pub(crate) const ACTIVE: &str = "ACTIVE";

/// `status_name` of one that does not.
pub(crate) const DELETING: &str = "DELETING";

/// Where definitions are kept that are too large for their items.
const DEFINITIONS: &str = "definitions";

pub(crate) fn alias_sort(name: &str) -> String {
    format!("{ALIAS}{name}")
}

pub(crate) fn version_sort(number: u64) -> String {
    format!("{VERSION}{number:020}")
}

/// A machine's attributes, but for its key.
pub(crate) async fn machine_fields(bodies: &Bodies, machine: &StateMachine) -> Result<Item, StoreError> {
    let definition = Bytes::copy_from_slice(machine.definition.as_bytes());
    let body = bodies.store(Kind::Page, DEFINITIONS, definition).await?;
    let mut fields = Item::new();
    let mut put = |name: &str, value| fields.insert(name.into(), value);
    put("machine_name", text(&*machine.name));
    put("kind", text(kind(machine.machine_type)));
    put("body", body);
    put("role_arn", text(&*machine.role_arn));
    put("revision", text(&*machine.revision));
    put("is_updated", AttributeValue::Bool(machine.is_updated));
    put("created_at", number(machine.created_at.0));
    put("updated_at", number(machine.updated_at.0));
    put("status_name", text(status_name(machine.status)));
    put("tags", tags_attribute(&machine.tags));
    put("edition", number(machine.edition));
    for (name, value) in optional(machine) {
        if let Some(value) = value {
            put(name, text(&**value));
        }
    }
    Ok(fields)
}

/// The attributes that not every machine has.
pub(crate) fn optional(machine: &StateMachine) -> [(&'static str, &Option<Arc<str>>); 3] {
    [("logging", &machine.logging), ("tracing", &machine.tracing), ("encryption", &machine.encryption)]
}

fn status_name(status: MachineStatus) -> &'static str {
    match status {
        MachineStatus::Active => ACTIVE,
        MachineStatus::Deleting => DELETING,
    }
}

fn kind(machine_type: MachineType) -> &'static str {
    match machine_type {
        MachineType::Standard => "STANDARD",
        MachineType::Express => "EXPRESS",
    }
}

fn read_kind(kind: &str) -> Result<MachineType, StoreError> {
    match kind {
        "STANDARD" => Ok(MachineType::Standard),
        "EXPRESS" => Ok(MachineType::Express),
        other => Err(StoreError::damaged("kind", other)),
    }
}

/// Reads a machine of this ARN.
pub(crate) async fn read_machine(
    bodies: &Bodies,
    arn: &str,
    item: &Item,
) -> Result<Arc<StateMachine>, StoreError> {
    let definition = bodies.fetch(DEFINITIONS, item.attribute("body")?).await?;
    let definition = std::str::from_utf8(&definition).map_err(|error| StoreError::damaged("body", error))?;
    Ok(Arc::new(StateMachine {
        arn: arn.into(),
        name: item.text("machine_name")?.into(),
        machine_type: read_kind(item.text("kind")?)?,
        definition: definition.into(),
        role_arn: item.text("role_arn")?.into(),
        revision: item.text("revision")?.into(),
        is_updated: *item.attribute("is_updated")? == AttributeValue::Bool(true),
        created_at: Timestamp(item.number("created_at")?),
        updated_at: Timestamp(item.number("updated_at")?),
        status: if is_deleting(item) { MachineStatus::Deleting } else { MachineStatus::Active },
        logging: maybe(item, "logging")?,
        tracing: maybe(item, "tracing")?,
        encryption: maybe(item, "encryption")?,
        tags: read_tags(item)?,
        edition: item.number("edition")?,
    }))
}

pub(crate) fn is_deleting(item: &Item) -> bool {
    item.text("status_name").is_ok_and(|status| status == DELETING)
}

/// A text that may not be there.
pub(crate) fn maybe(item: &Item, name: &'static str) -> Result<Option<Arc<str>>, StoreError> {
    if item.contains_key(name) { item.text(name).map(|text| Some(text.into())) } else { Ok(None) }
}

/// Tags, in their order.
pub(crate) fn tags_attribute(tags: &[(String, String)]) -> AttributeValue {
    AttributeValue::L(
        tags.iter()
            .map(|(key, value)| AttributeValue::L(vec![text(key.as_str()), text(value.as_str())]))
            .collect(),
    )
}

/// Reads what [`tags_attribute`] made.
pub(crate) fn read_tags(item: &Item) -> Result<Vec<(String, String)>, StoreError> {
    let damaged = || StoreError::damaged("tags", "not pairs of texts");
    let read = |pair: &AttributeValue| match pair {
        AttributeValue::L(pair) => match pair.as_slice() {
            [AttributeValue::S(key), AttributeValue::S(value)] => Ok((key.to_string(), value.to_string())),
            _ => Err(damaged()),
        },
        _ => Err(damaged()),
    };
    item.list("tags")?.iter().map(read).collect()
}

/// A version's attributes, but for its key.
pub(crate) fn version_fields(publication: &Publication) -> Item {
    let mut fields = Item::from([
        ("revision".into(), text(&*publication.revision)),
        ("created_at".into(), number(publication.at.0)),
        // How many aliases name it.
        ("uses".into(), number(0)),
    ]);
    if let Some(description) = &publication.description {
        fields.insert("summary".into(), text(&**description));
    }
    fields
}

pub(crate) fn read_version(item: &Item) -> Result<Arc<Version>, StoreError> {
    let sort = item.text(SORT)?;
    let number = sort.strip_prefix(VERSION).and_then(|number| number.parse().ok());
    Ok(Arc::new(Version {
        number: number.ok_or_else(|| StoreError::damaged(sort, "no number"))?,
        revision: item.text("revision")?.into(),
        description: maybe(item, "summary")?,
        created_at: Timestamp(item.number("created_at")?),
    }))
}

/// An alias's attributes, but for its key.
pub(crate) fn alias_fields(alias: &Alias) -> Item {
    let route = |route: &Route| AttributeValue::L(vec![number(route.version), number(route.weight)]);
    let mut fields = Item::from([
        ("routing".into(), AttributeValue::L(alias.routing.iter().map(route).collect())),
        ("created_at".into(), number(alias.created_at.0)),
        ("updated_at".into(), number(alias.updated_at.0)),
        ("edition".into(), number(alias.edition)),
    ]);
    if let Some(description) = &alias.description {
        fields.insert("summary".into(), text(&**description));
    }
    fields
}

pub(crate) fn read_alias(item: &Item) -> Result<Arc<Alias>, StoreError> {
    let sort = item.text(SORT)?;
    let damaged = || StoreError::damaged("routing", "not pairs of numbers");
    let read = |route: &AttributeValue| match route {
        AttributeValue::L(route) => match route.as_slice() {
            [AttributeValue::N(version), AttributeValue::N(weight)] => {
                let version = version.parse().map_err(|_| damaged())?;
                Ok(Route { version, weight: weight.parse().map_err(|_| damaged())? })
            }
            _ => Err(damaged()),
        },
        _ => Err(damaged()),
    };
    let routing = item.list("routing")?;
    Ok(Arc::new(Alias {
        name: sort.strip_prefix(ALIAS).ok_or_else(|| StoreError::damaged(sort, "no alias"))?.into(),
        description: maybe(item, "summary")?,
        routing: routing.iter().map(read).collect::<Result<_, _>>()?,
        created_at: Timestamp(item.number("created_at")?),
        updated_at: Timestamp(item.number("updated_at")?),
        edition: item.number("edition")?,
    }))
}
