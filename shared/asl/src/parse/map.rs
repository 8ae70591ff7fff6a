//! Map states, inline and distributed.

use super::block::block;
use super::checker::{Checker, Fields};
use super::expression::{dynamic_integer, dynamic_percentage, path, template};
use super::fields::In::{Both, Jsonata, Path};
use super::fields::{self, unsupported};
use super::source::Node;
use super::{MachineType, io, retry};
use crate::{BlockId, Code, ItemBatcher, ItemReader, Items, Map, ProcessorMode, ResultWriter};

pub(crate) fn map(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Map {
    let (processor, mode) = processor(checker, fields);
    let item_selector_field =
        if fields.has("Parameters") && !fields.is_jsonata() { "Parameters" } else { "ItemSelector" };
    if fields.has("Parameters") && fields.has("ItemSelector") {
        checker.schema(
            fields.pointer,
            fields.span,
            "Only one of these fields is allowed: [Parameters, ItemSelector]",
        );
    }
    Map {
        io: io::map_io(checker, fields),
        items: items(checker, fields),
        item_selector: io::payload_template(checker, fields, item_selector_field),
        item_selector_field,
        item_reader: item_reader(checker, fields),
        item_batcher: item_batcher(checker, fields),
        result_writer: result_writer(checker, fields),
        max_concurrency: dynamic_integer(checker, fields, "MaxConcurrency", 0..=u64::MAX),
        tolerated_failure_count: dynamic_integer(checker, fields, "ToleratedFailureCount", 0..=u64::MAX),
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
            let message = "Only one of these fields is allowed: [ItemProcessor, Iterator]";
            checker.schema(fields.pointer, fields.span, message);
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
    let span = |name: &str| config.get(name).map_or(config.span, |node| &node.span);
    let express = match config.string(checker, "ExecutionType").map(|text| &**text) {
        None => None,
        Some("STANDARD") => Some(false),
        Some("EXPRESS") => Some(true),
        Some(_) => {
            let message = "ExecutionType must be one of: [STANDARD, EXPRESS]";
            checker.schema(&pointer.key("ExecutionType"), span("ExecutionType"), message);
            Some(false)
        }
    };
    match config.string(checker, "Mode").map(|text| &**text) {
        None | Some("INLINE") => ProcessorMode::Inline,
        Some("DISTRIBUTED") => {
            if checker.machine_type == MachineType::Express {
                checker.schema(
                    &pointer.key("Mode"),
                    span("Mode"),
                    "Express state machine does not support Distributed Map",
                );
            }
            if express.is_none() {
                checker.schema(&pointer, config.span, "These fields are required: [ExecutionType]");
            }
            ProcessorMode::Distributed { express: express == Some(true) }
        }
        Some(_) => {
            checker.schema(&pointer.key("Mode"), span("Mode"), "Mode must be one of: [INLINE, DISTRIBUTED]");
            ProcessorMode::Inline
        }
    }
}

fn items(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Items {
    if fields.is_jsonata() {
        return template(checker, fields, "Items").map_or(Items::Input, Items::Template);
    }
    path(checker, fields, "ItemsPath").map_or(Items::Input, Items::Path)
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
    Some(ItemReader {
        resource: inner.required_string(checker, "Resource").cloned().unwrap_or_else(|| "".into()),
        parameters: io::payload_template(checker, &inner, parameters),
        config: inner.get("ReaderConfig").map(Node::value),
    })
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
        max_items_per_batch: dynamic_integer(checker, &inner, "MaxItemsPerBatch", 1..=u64::MAX),
        max_input_bytes_per_batch: dynamic_integer(checker, &inner, "MaxInputBytesPerBatch", 1..=262_144),
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
    Some(ResultWriter {
        resource: inner.string(checker, "Resource").cloned(),
        parameters: io::payload_template(checker, &inner, parameters),
        config: inner.get("WriterConfig").map(Node::value),
    })
}

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
