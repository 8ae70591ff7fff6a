//! Map states, inline and distributed.

use std::ops::RangeInclusive;

use super::block::block;
use super::checker::{Checker, Fields};
use super::expression::{PathKind, dynamic_integer, dynamic_percentage, path, template};
use super::fields::In::{Both, Jsonata, Path};
use super::fields::{self, unsupported};
use super::source::Node;
use super::{MachineType, io, resource, retry};
use crate::{BlockId, Code, ItemBatcher, ItemReader, Items, Map, ProcessorMode, ResultWriter};

pub(crate) fn map(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Map {
    let (processor, mode) = processor(checker, fields);
    let item_selector_field =
        if fields.has("Parameters") && !fields.is_jsonata() { "Parameters" } else { "ItemSelector" };
    fields::at_most_one(checker, fields, &["Parameters", "ItemSelector"]);
    Map {
        io: io::map_io(checker, fields),
        items: items(checker, fields),
        item_selector: io::payload_template(checker, fields, item_selector_field),
        item_selector_field,
        item_reader: item_reader(checker, fields),
        item_batcher: item_batcher(checker, fields),
        result_writer: result_writer(checker, fields),
        max_concurrency: dynamic_integer(
            checker,
            fields,
            "MaxConcurrency",
            NATURAL,
            PathKind::ReferenceToData,
        ),
        tolerated_failure_count: dynamic_integer(
            checker,
            fields,
            "ToleratedFailureCount",
            NATURAL,
            PathKind::ReferenceToData,
        ),
        tolerated_failure_percentage: dynamic_percentage(checker, fields, "ToleratedFailurePercentage"),
        label: label(checker, fields),
        processor,
        mode,
        retry: retry::retriers(checker, fields),
        catch: retry::catchers(checker, fields),
        assign: io::assign(checker, fields),
        transition: fields::transition(checker, fields),
    }
}

fn processor(checker: &mut Checker<'_>, fields: &Fields<'_>) -> (BlockId, ProcessorMode) {
    let nothing = (BlockId(0), ProcessorMode::Inline);
    let (name, node) = match (fields.get("ItemProcessor"), fields.get("Iterator")) {
        (Some(_), Some(_)) => {
            fields::at_most_one(checker, fields, &["ItemProcessor", "Iterator"]);
            return nothing;
        }
        (Some(node), None) => ("ItemProcessor", node),
        (None, Some(node)) => ("Iterator", node),
        (None, None) => {
            checker.schema(fields.pointer, fields.span, "These fields are required: [ItemProcessor]");
            return nothing;
        }
    };
    let pointer = fields.pointer.key(name);
    let Some(inner) = fields.inner(checker, node, &pointer) else { return nothing };
    unsupported(checker, &inner, &["StartAt", "States", "Comment", "ProcessorConfig"]);
    let mode = mode(checker, &inner);
    (block(checker, &inner), mode)
}

fn mode(checker: &mut Checker<'_>, processor: &Fields<'_>) -> ProcessorMode {
    let Some(node) = processor.get("ProcessorConfig") else { return ProcessorMode::Inline };
    let pointer = processor.pointer.key("ProcessorConfig");
    let Some(config) = processor.inner(checker, node, &pointer) else { return ProcessorMode::Inline };
    unsupported(checker, &config, &["Mode", "ExecutionType", "Comment"]);
    let mode = fields::one_of(checker, &config, "Mode", &["INLINE", "DISTRIBUTED"]);
    let execution_type = fields::one_of(checker, &config, "ExecutionType", &["STANDARD", "EXPRESS"]);
    if mode != Some("DISTRIBUTED") {
        return ProcessorMode::Inline;
    }
    if checker.machine_type == MachineType::Express {
        let span = config.get("Mode").map_or(config.span, |node| &node.span);
        let message = "Express state machine does not support Distributed Map";
        checker.schema(&pointer.key("Mode"), span, message);
    }
    config.required(checker, "ExecutionType");
    ProcessorMode::Distributed { express: execution_type == Some("EXPRESS") }
}

fn items(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Items {
    if fields.is_jsonata() {
        return template(checker, fields, "Items").map_or(Items::Input, Items::Template);
    }
    path(checker, fields, "ItemsPath", PathKind::Any).map_or(Items::Input, Items::Path)
}

fn item_reader(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Option<ItemReader> {
    let node = fields.get("ItemReader")?;
    let pointer = fields.pointer.key("ItemReader");
    let inner = fields.inner(checker, node, &pointer)?;
    let allowed = [
        ("Resource", Both),
        ("Parameters", Path),
        ("Arguments", Jsonata),
        ("ReaderConfig", Both),
        ("Comment", Both),
    ];
    fields::check(checker, &inner, &allowed);
    let parameters = if fields.is_jsonata() { "Arguments" } else { "Parameters" };
    inner.required(checker, "Resource");
    resource_among(checker, &inner, &["s3:getObject", "s3:listObjectsV2"]);
    reader_config(checker, &inner);
    Some(ItemReader {
        resource: inner.string(checker, "Resource").cloned().unwrap_or_else(|| "".into()),
        parameters: io::payload_template(checker, &inner, parameters),
        config: inner.get("ReaderConfig").map(Node::value),
    })
}

/// Reports a `Resource` that is none of the integrations `actions`.
fn resource_among(checker: &mut Checker<'_>, fields: &Fields<'_>, actions: &[&str]) {
    let Some(node) = fields.get("Resource") else { return };
    let Some(resource) = node.as_str() else { return };
    let action = resource.strip_prefix("arn:").and_then(|rest| rest.split_once(":states:::"));
    if !action.is_some_and(|(_, action)| actions.contains(&action)) {
        let message = resource::unknown(resource);
        checker.schema(&fields.pointer.key("Resource"), &node.span, message);
    }
}

/// Most items that a Map run reads (ASL: ItemReader).
const MAX_ITEMS: RangeInclusive<u64> = 0..=100_000_000;

/// Reports what is wrong with `ReaderConfig` whatever the data.
fn reader_config(checker: &mut Checker<'_>, reader: &Fields<'_>) {
    let Some(node) = reader.get("ReaderConfig") else { return };
    let pointer = reader.pointer.key("ReaderConfig");
    let Some(config) = reader.inner(checker, node, &pointer) else { return };
    fields::foreign(checker, &config, &[("MaxItemsPath", Path)]);
    fields::one_of(checker, &config, "InputType", &["CSV", "JSON", "JSONL", "MANIFEST", "PARQUET"]);
    dynamic_integer(checker, &config, "MaxItems", MAX_ITEMS, PathKind::ReferenceToData);
}

fn item_batcher(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Option<ItemBatcher> {
    let node = fields.get("ItemBatcher")?;
    let pointer = fields.pointer.key("ItemBatcher");
    let inner = fields.inner(checker, node, &pointer)?;
    let allowed = [
        ("MaxItemsPerBatch", Both),
        ("MaxItemsPerBatchPath", Path),
        ("MaxInputBytesPerBatch", Both),
        ("MaxInputBytesPerBatchPath", Path),
        ("BatchInput", Both),
        ("Comment", Both),
    ];
    fields::check(checker, &inner, &allowed);
    Some(ItemBatcher {
        max_items_per_batch: dynamic_integer(
            checker,
            &inner,
            "MaxItemsPerBatch",
            NATURAL,
            PathKind::ReferenceToData,
        ),
        max_input_bytes_per_batch: dynamic_integer(
            checker,
            &inner,
            "MaxInputBytesPerBatch",
            0..=262_144,
            PathKind::ReferenceToData,
        ),
        batch_input: io::payload_template(checker, &inner, "BatchInput"),
    })
}

fn result_writer(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Option<ResultWriter> {
    let node = fields.get("ResultWriter")?;
    let pointer = fields.pointer.key("ResultWriter");
    let inner = fields.inner(checker, node, &pointer)?;
    let allowed = [
        ("Resource", Both),
        ("Parameters", Path),
        ("Arguments", Jsonata),
        ("WriterConfig", Both),
        ("Comment", Both),
    ];
    fields::check(checker, &inner, &allowed);
    let parameters = if fields.is_jsonata() { "Arguments" } else { "Parameters" };
    resource_among(checker, &inner, &["s3:putObject"]);
    Some(ResultWriter {
        resource: inner.string(checker, "Resource").cloned(),
        parameters: io::payload_template(checker, &inner, parameters),
        config: inner.get("WriterConfig").map(Node::value),
    })
}

/// Numbers of items and of failures; the service has no upper bound for them.
const NATURAL: RangeInclusive<u64> = 0..=i64::MAX as u64;

/// Longest `Label`, in characters (Developer Guide: Map state in Distributed mode).
const LABEL_CHARACTERS_MAX: usize = 40;

fn label(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Option<String> {
    let node = fields.get("Label")?;
    let label = fields.string(checker, "Label")?;
    let location = fields.pointer.key("Label").location();
    let mistake = if label.is_empty() {
        Some("Label cannot be empty".to_owned())
    } else if label.chars().count() > LABEL_CHARACTERS_MAX {
        Some(format!("Label cannot exceed {LABEL_CHARACTERS_MAX} characters"))
    } else {
        label
            .chars()
            .find(|c| is_forbidden_in_label(*c))
            .map(|c| format!("Label contains invalid character: {}", quoted(c)))
    };
    if let Some(mistake) = mistake {
        checker.error(Code::INVALID_LABEL_NAME, location, &node.span, mistake);
    } else if !checker.labels.insert(label.to_string()) {
        checker.error(
            Code::DUPLICATE_LABEL_NAME,
            location,
            &node.span,
            format!("Duplicate Label name: {label}"),
        );
    }
    Some(label.to_string())
}

fn is_forbidden_in_label(c: char) -> bool {
    c.is_control() || " ?*<>{}[]:;,\\|^~$#%&`\"".contains(c)
}

/// A character in quotes, spelled out where it cannot be seen.
fn quoted(c: char) -> String {
    match c {
        '\\' => r"'\\'".to_owned(),
        '\t' => r"'\t'".to_owned(),
        '\n' => r"'\n'".to_owned(),
        '\r' => r"'\r'".to_owned(),
        c if c.is_control() => format!(r"'\x{:02x}'", u32::from(c)),
        c => format!("'{c}'"),
    }
}
