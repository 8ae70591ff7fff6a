//! The functions that AWS adds to JSONata, changes, or takes away.

use std::cell::RefCell;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use jsonata_core::evaluator::{Evaluator, EvaluatorError};
use jsonata_core::functions::{self as engine_functions, FunctionError};
use jsonata_core::value::JValue;

use super::convert::Exact;
use super::limits::{RANGE_ELEMENTS_MAX, VALUE_BYTES_MAX};
use super::parse::parse_json;
use super::{diagnose, guard};
use crate::Entropy;
use crate::intrinsic::hash::digest;
use crate::java::Random;

/// Whether `name` is a function in Step Functions: JSONata's without `$eval`, and AWS's own.
pub(super) fn is_function(name: &str) -> bool {
    NAMES.binary_search(&name).is_ok()
}

const NAMES: [&str; 69] = [
    "abs",
    "append",
    "assert",
    "average",
    "base64decode",
    "base64encode",
    "boolean",
    "ceil",
    "clone",
    "contains",
    "count",
    "decodeUrl",
    "decodeUrlComponent",
    "distinct",
    "each",
    "encodeUrl",
    "encodeUrlComponent",
    "error",
    "exists",
    "filter",
    "floor",
    "formatBase",
    "formatInteger",
    "formatNumber",
    "fromMillis",
    "hash",
    "join",
    "keys",
    "length",
    "lookup",
    "lowercase",
    "map",
    "match",
    "max",
    "merge",
    "millis",
    "min",
    "not",
    "now",
    "number",
    "pad",
    "parse",
    "parseInteger",
    "partition",
    "power",
    "random",
    "range",
    "reduce",
    "replace",
    "reverse",
    "round",
    "shuffle",
    "sift",
    "single",
    "sort",
    "split",
    "spread",
    "sqrt",
    "string",
    "substring",
    "substringAfter",
    "substringBefore",
    "sum",
    "toMillis",
    "trim",
    "type",
    "uppercase",
    "uuid",
    "zip",
];

/// Whether a function among those `named` draws random numbers.
pub(super) fn need_chance(named: &BTreeSet<String>) -> bool {
    ["random", "shuffle", "uuid"].iter().any(|name| named.contains(*name))
}

/// What the functions draw from besides their arguments.
pub(super) struct Sources {
    entropy: Entropy,
    exact: Rc<RefCell<Exact>>,
}

impl Sources {
    /// The same `seed` draws the same.
    pub(super) fn new(seed: u128, now_ms: i64, exact: Rc<RefCell<Exact>>) -> Rc<Self> {
        Rc::new(Sources { entropy: Entropy::new(seed, now_ms), exact })
    }
}

/// Puts the checks of [`guard`] among `evaluator`'s functions.
pub(super) fn register_guards(evaluator: &mut Evaluator) {
    let scales = Rc::new(guard::Scales::default());
    let weighing = |bears: fn(&guard::Scales, &JValue) -> bool| {
        let scales = Rc::clone(&scales);
        move |args: &[JValue]| match args.first() {
            Some(value) if bears(&scales, value) => Ok(value.clone()),
            Some(_) => Err(too_large()),
            None => Ok(JValue::Undefined),
        }
    };
    let call = |args: &[JValue]| match guard::call_fits(args) {
        true => Ok(JValue::Undefined),
        false => Err(too_large()),
    };
    let registered = evaluator
        .register_fn(guard::WEIGH, weighing(guard::Scales::bears))
        .and_then(|()| evaluator.register_fn(guard::WEIGH_STEP, weighing(guard::Scales::bears_step)))
        .and_then(|()| evaluator.register_fn(guard::WEIGH_TEXT, weighing(guard::Scales::bears_text)))
        .and_then(|()| evaluator.register_fn(guard::WEIGH_CALL, call))
        .and_then(|()| evaluator.register_fn(guard::DISTINCT, distinct))
        .and_then(|()| evaluator.register_fn(guard::CONCATENATE, concatenate))
        .and_then(|()| evaluator.register_fn(guard::JOIN, join))
        .and_then(|()| evaluator.register_fn(guard::STRING, string));
    registered.expect("no function of the engine has a blank in its name");
}

/// Puts the marks of [`diagnose`] among `evaluator`'s functions.
pub(super) fn register_marks(evaluator: &mut Evaluator, marks: diagnose::Marks) {
    let mark = move |args: &[JValue]| {
        diagnose::mark(&marks, args);
        Ok(JValue::Undefined)
    };
    evaluator.register_fn(diagnose::MARK, mark).expect("no function of the engine has a blank in its name");
}

/// How many arguments one of the functions of [`register`] takes.
pub(super) fn arity(name: &str) -> Option<usize> {
    OURS.iter().find_map(|(known, arity, _)| (*known == name).then_some(*arity))
}

type Outcome = Result<JValue, EvaluatorError>;
type Function = fn(&Sources, &[JValue]) -> Outcome;

/// Puts AWS's functions among `evaluator`'s, those that the expression names.
pub(super) fn register(evaluator: &mut Evaluator, named: &BTreeSet<String>, sources: Rc<Sources>) {
    for (name, _, function) in OURS {
        if named.contains(name) || (name == "millis" && named.contains("now")) {
            let sources = Rc::clone(&sources);
            evaluator
                .register_fn_override(name, move |args: &[JValue]| function(&sources, args))
                .expect("the engine lets these names be overridden");
        }
    }
}

const OURS: [(&str, usize, Function); 13] = [
    ("base64encode", 1, base64encode),
    ("encodeUrl", 1, encode_url),
    ("encodeUrlComponent", 1, encode_url_component),
    ("hash", 2, hash),
    ("millis", 0, millis),
    ("now", 0, now),
    ("pad", 3, pad),
    ("parse", 1, parse),
    ("partition", 2, partition),
    ("random", 1, random),
    ("range", 3, range),
    ("shuffle", 1, shuffle),
    ("uuid", 0, uuid),
];

fn thrown(message: impl Into<String>) -> EvaluatorError {
    EvaluatorError::EvaluationError(message.into())
}

/// jsonata-js's complaint about the argument `index`, from 1.
fn mismatch(function: &str, index: usize) -> EvaluatorError {
    thrown(format!("T0410: Argument {index} of function \"{function}\" does not match function signature"))
}

fn too_large() -> EvaluatorError {
    thrown("U1004: memory")
}

/// The argument at `index`, where undefined counts as missing; more than `most` arguments are a mistake.
fn argument<'a>(
    function: &str,
    args: &'a [JValue],
    index: usize,
    most: usize,
) -> Result<Option<&'a JValue>, EvaluatorError> {
    if args.len() > most {
        return Err(mismatch(function, most + 1));
    }
    Ok(args.get(index).filter(|value| !value.is_undefined()))
}

/// A number rounded towards zero, as AWS rounds.
fn whole(function: &str, index: usize, value: &JValue) -> Result<i64, EvaluatorError> {
    match value {
        JValue::Number(value) => Ok(*value as i64),
        _ => Err(mismatch(function, index + 1)),
    }
}

fn text<'a>(function: &str, index: usize, value: &'a JValue) -> Result<&'a str, EvaluatorError> {
    value.as_str().ok_or_else(|| mismatch(function, index + 1))
}

fn partition(_: &Sources, args: &[JValue]) -> Outcome {
    let size = match argument("partition", args, 1, 2)? {
        Some(size) => whole("partition", 1, size)?,
        None => i64::MAX,
    };
    let Some(items) = argument("partition", args, 0, 2)? else {
        return Ok(JValue::Undefined);
    };
    let single = [items.clone()];
    let items = match items {
        JValue::Array(items) => items.as_slice(),
        JValue::Null => {
            return Err(thrown("T0412: Argument 1 of function \"partition\" must be an array of undefined"));
        }
        _ => &single,
    };
    match usize::try_from(size) {
        Err(_) => Err(thrown("D3137: Second argument must be zero or greater")),
        Ok(0) => Ok(JValue::Undefined),
        Ok(_) if items.is_empty() => Ok(JValue::Undefined),
        Ok(size) => {
            Ok(JValue::array(items.chunks(size).map(|chunk| JValue::array(chunk.to_vec())).collect()))
        }
    }
}

fn range(_: &Sources, args: &[JValue]) -> Outcome {
    let bound = |index| {
        let value = argument("range", args, index, 3)?.ok_or_else(|| mismatch("range", index + 1))?;
        whole("range", index, value).map(i128::from)
    };
    let (start, end) = (bound(0)?, bound(1)?);
    let step = match argument("range", args, 2, 3)? {
        Some(step) => i128::from(whole("range", 2, step)?),
        None => 0,
    };
    if step == 0 || (end - start) * step.signum() < 0 {
        return Ok(JValue::Undefined);
    }
    let steps = (end - start) / step;
    if steps >= RANGE_ELEMENTS_MAX {
        return Err(too_large());
    }
    Ok(JValue::sequence((0..=steps).map(|n| JValue::Number((start + n * step) as f64)).collect()))
}

fn hash(_: &Sources, args: &[JValue]) -> Outcome {
    let algorithm = argument("hash", args, 1, 2)?.map(|name| text("hash", 1, name)).transpose()?;
    let data = argument("hash", args, 0, 2)?.map(|data| text("hash", 0, data)).transpose()?;
    let (Some(data), Some(algorithm)) = (data, algorithm) else {
        return Ok(JValue::Undefined);
    };
    let unknown = || thrown(format!("D3137: Unsupported hash algorithm: {algorithm}"));
    digest(data.as_bytes(), algorithm).map(JValue::string).ok_or_else(unknown)
}

fn random(sources: &Sources, args: &[JValue]) -> Outcome {
    let seed = argument("random", args, 0, 1)?.map(|seed| whole("random", 0, seed)).transpose()?;
    Ok(JValue::Number(match seed {
        Some(seed) => Random::new(seed).double(),
        None => sources.entropy.unit(),
    }))
}

fn uuid(sources: &Sources, args: &[JValue]) -> Outcome {
    argument("uuid", args, 0, 0)?;
    Ok(JValue::string(sources.entropy.uuid()))
}

fn parse(sources: &Sources, args: &[JValue]) -> Outcome {
    let Some(json) = argument("parse", args, 0, 1)? else {
        return Ok(JValue::Undefined);
    };
    let json = text("parse", 0, json)?;
    parse_json(json, &mut sources.exact.borrow_mut()).ok_or_else(|| thrown("D3137: Invalid JSON"))
}

fn millis(sources: &Sources, args: &[JValue]) -> Outcome {
    argument("millis", args, 0, 0)?;
    Ok(JValue::Number(sources.entropy.now_ms as f64))
}

/// `$now()`. With a picture it has become `$fromMillis($millis(), …)`.
fn now(sources: &Sources, _: &[JValue]) -> Outcome {
    Ok(JValue::string(iso(sources.entropy.now_ms)))
}

/// `2026-11-20T05:16:50.123Z`.
pub(super) fn iso(ms: i64) -> String {
    let (days, in_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    // Days from 0000-03-01 on, in eras of 400 years (146,097 days), years that begin in March.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (in_day / 3_600_000, in_day / 60_000 % 60, in_day / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", in_day % 1000)
}

fn shuffle(sources: &Sources, args: &[JValue]) -> Outcome {
    let Some(items) = argument("shuffle", args, 0, 1)? else {
        return Ok(JValue::Undefined);
    };
    let JValue::Array(items) = items else {
        return Ok(JValue::array(vec![items.clone()]));
    };
    let mut items = items.to_vec();
    for last in (1..items.len()).rev() {
        items.swap(last, (sources.entropy.unit() * (last + 1) as f64) as usize);
    }
    Ok(JValue::array(items))
}

fn pad(_: &Sources, args: &[JValue]) -> Outcome {
    let fill = argument("pad", args, 2, 3)?.map(|fill| text("pad", 2, fill)).transpose()?;
    let fill = fill.filter(|fill| !fill.is_empty()).unwrap_or(" ");
    let width = match argument("pad", args, 1, 3)? {
        Some(JValue::Number(width)) => *width,
        _ => return Err(mismatch("pad", 2)),
    };
    let Some(padded) = argument("pad", args, 0, 3)? else {
        return Ok(JValue::Undefined);
    };
    let padded = text("pad", 0, padded)?;
    let missing = width.abs() - padded.chars().count() as f64;
    if missing > VALUE_BYTES_MAX as f64 {
        return Err(too_large());
    }
    let padding = fill.chars().cycle().take(missing.max(0.0) as usize);
    Ok(JValue::string(if width > 0.0 {
        padded.chars().chain(padding).collect::<String>()
    } else {
        padding.chain(padded.chars()).collect()
    }))
}

/// `left & right`.
fn concatenate(args: &[JValue]) -> Outcome {
    let mut text = String::new();
    for side in args.iter().filter(|side| !side.is_undefined()) {
        let side = match side {
            JValue::String(side) => JValue::String(Rc::clone(side)),
            other => string(std::slice::from_ref(other))?,
        };
        text.push_str(side.as_str().unwrap_or_default());
    }
    if text.len() > VALUE_BYTES_MAX { Err(too_large()) } else { Ok(JValue::string(text)) }
}

/// `$string(value, prettify)`.
fn string(args: &[JValue]) -> Outcome {
    let prettify = match argument("string", args, 1, 2)? {
        None => None,
        Some(JValue::Bool(prettify)) => Some(*prettify),
        Some(_) => return Err(mismatch("string", 2)),
    };
    match args.first() {
        None | Some(JValue::Undefined) => Ok(JValue::Undefined),
        Some(value) if guard::Scales::default().bears(value) => {
            Ok(engine_functions::string::string(value, prettify)?)
        }
        Some(_) => Err(too_large()),
    }
}

/// `$distinct(items)`, for which the engine holds each item against all others.
fn distinct(args: &[JValue]) -> Outcome {
    let items = match argument("distinct", args, 0, 1)? {
        None => return Ok(JValue::Undefined),
        Some(JValue::Array(items)) if items.len() > 1 => items,
        Some(other) => return Ok(other.clone()),
    };
    // The last value kept of each hash, and for each value kept the one of its hash before.
    let mut last: HashMap<u64, usize> = HashMap::new();
    let (mut kept, mut before): (Vec<JValue>, Vec<Option<usize>>) = (vec![], vec![]);
    for item in items.iter() {
        let mut hasher = DefaultHasher::new();
        hash_into(item, &mut hasher, 0);
        let last = last.entry(hasher.finish());
        let former = match &last {
            Entry::Occupied(at) => Some(*at.get()),
            Entry::Vacant(_) => None,
        };
        let mut alike = std::iter::successors(former, |at| before[*at]).enumerate();
        let known = alike.find(|(count, at)| {
            *count >= ALIKE_MAX || engine_functions::array::values_equal(&kept[*at], item)
        });
        match known {
            Some((count, _)) if count >= ALIKE_MAX => return Err(too_large()),
            Some(_) => {}
            None => {
                last.insert_entry(kept.len());
                before.push(former);
                kept.push(item.clone());
            }
        }
    }
    let mut kept = JValue::array(kept);
    if items.sequence {
        kept.mark_sequence();
    }
    Ok(kept)
}

/// Different values of one hash that `$distinct` takes: such as differ only behind what [`hash_into`] looks at.
const ALIKE_MAX: usize = 5_000;

/// Equal values have equal hashes. What is far down or far back is not looked at.
fn hash_into(value: &JValue, hasher: &mut DefaultHasher, depth: usize) {
    match value {
        JValue::Number(number) => (if *number == 0.0 { 0.0 } else { *number }).to_bits().hash(hasher),
        JValue::String(text) => text.hash(hasher),
        JValue::Bool(value) => value.hash(hasher),
        _ if depth > 8 => {}
        JValue::Array(items) => {
            items.len().hash(hasher);
            items.iter().take(64).for_each(|item| hash_into(item, hasher, depth + 1));
        }
        JValue::Object(members) => {
            members.len().hash(hasher);
            // In any order.
            let of = |(key, value): (&String, &JValue)| {
                let mut hasher = DefaultHasher::new();
                key.hash(&mut hasher);
                hash_into(value, &mut hasher, depth + 1);
                hasher.finish()
            };
            members.iter().map(of).fold(0_u64, u64::wrapping_add).hash(hasher);
        }
        _ => {}
    }
}

/// `$join(texts, separator)`.
fn join(args: &[JValue]) -> Outcome {
    let separator = argument("join", args, 1, 2)?.map(|separator| text("join", 1, separator)).transpose()?;
    let single;
    let texts = match argument("join", args, 0, 2)? {
        None => return Ok(JValue::Undefined),
        Some(JValue::Array(texts)) => texts.as_slice(),
        Some(other) => {
            single = [other.clone()];
            &single
        }
    };
    if !texts.iter().all(JValue::is_string) {
        return Err(thrown("T0412: Argument 1 of function \"join\" must be an array of \"strings\""));
    }
    match guard::join_fits(texts, separator.unwrap_or_default()) {
        true => Ok(engine_functions::string::join(texts, separator)?),
        false => Err(too_large()),
    }
}

/// A function of one text whose result is at most a few times as long.
fn encoded(name: &str, args: &[JValue], encode: fn(&str) -> Result<JValue, FunctionError>) -> Outcome {
    let Some(plain) = argument(name, args, 0, 1)? else {
        return Ok(JValue::Undefined);
    };
    let encoded = encode(text(name, 0, plain)?)?;
    match encoded.as_str().is_some_and(|encoded| encoded.len() > VALUE_BYTES_MAX) {
        true => Err(too_large()),
        false => Ok(encoded),
    }
}

fn base64encode(_: &Sources, args: &[JValue]) -> Outcome {
    encoded("base64encode", args, engine_functions::encoding::base64encode)
}

fn encode_url(_: &Sources, args: &[JValue]) -> Outcome {
    encoded("encodeUrl", args, engine_functions::encoding::encode_url)
}

fn encode_url_component(_: &Sources, args: &[JValue]) -> Outcome {
    encoded("encodeUrlComponent", args, engine_functions::encoding::encode_url_component)
}
