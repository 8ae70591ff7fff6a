//! What a state machine definition *is*, once it is checked: every name resolves, every expression is compiled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwell_expr::jsonata::Expression;
use stepwell_expr::jsonpath::ReferencePath;
use stepwell_expr::{Number, PathExpression, QueryLanguage, Template, Value, uuid_of};

use crate::ErrorName;

/// The name of a state: unique in its state machine, at most 80 characters.
pub type StateName = Arc<str>;

/// A state machine, ready to run (ASL: State Machine).
#[derive(Debug)]
pub struct Definition {
    pub(crate) text: Arc<str>,
    pub(crate) comment: Option<String>,
    pub(crate) query_language: QueryLanguage,
    pub(crate) timeout_seconds: Option<u64>,
    pub(crate) root: BlockId,
    pub(crate) blocks: Arc<Vec<Block>>,
    pub(crate) states: Arc<BTreeMap<StateName, State>>,
}

/// A `States` block: the state machine's own, a branch of a Parallel, or the `ItemProcessor` of a Map.
#[derive(Debug)]
pub struct Block {
    /// Where it starts.
    pub start_at: StateName,
    /// Its states in the order of the definition.
    pub states: Vec<StateName>,
}

/// Names a [`Block`] of one [`Definition`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId(pub(crate) u32);

impl Definition {
    /// The definition's JSON text, as it was given (YAML is turned into JSON).
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The machine's `Comment`.
    pub fn comment(&self) -> Option<&str> {
        self.comment.as_deref()
    }

    /// The machine's `QueryLanguage`.
    pub fn query_language(&self) -> QueryLanguage {
        self.query_language
    }

    /// The machine's `TimeoutSeconds`.
    pub fn timeout_seconds(&self) -> Option<u64> {
        self.timeout_seconds
    }

    /// The top-level block.
    pub fn root(&self) -> BlockId {
        self.root
    }

    /// A block.
    pub fn block(&self, id: BlockId) -> &Block {
        &self.blocks[id.0 as usize]
    }

    /// The state `name`, in whatever block it stands.
    pub fn state(&self, name: &str) -> Option<&State> {
        self.states.get(name)
    }

    /// All states, by name.
    pub fn states(&self) -> impl Iterator<Item = &State> {
        // A processor shares the states of its whole machine.
        let within = (self.root != BlockId(0)).then(|| self.blocks_within());
        let is_here =
            move |state: &&State| within.as_ref().is_none_or(|within| within.contains(&state.block));
        self.states.values().filter(is_here)
    }

    /// The top-level block and all within it.
    fn blocks_within(&self) -> BTreeSet<BlockId> {
        let (mut within, mut todo) = (BTreeSet::new(), vec![self.root]);
        while let Some(block) = todo.pop() {
            within.insert(block);
            for state in self.block(block).states.iter().filter_map(|name| self.state(name)) {
                match &state.kind {
                    StateKind::Map(map) => todo.push(map.processor),
                    StateKind::Parallel(parallel) => todo.extend(&parallel.branches),
                    _ => {}
                }
            }
        }
        within
    }

    /// The distributed Map state whose label ([`State::label`]) this is.
    pub fn labelled(&self, label: &str) -> Option<&State> {
        self.states().find(|state| state.label().is_some_and(|known| *known == *label))
    }

    /// What the Map state `map` runs for each item, as a state machine of its own, which shares everything with this one.
    /// Its text is that of the processor.
    pub fn processor(&self, map: &State) -> Option<Definition> {
        let StateKind::Map(kind) = &map.kind else { return None };
        Some(Definition {
            text: self.processor_text(map)?,
            comment: None,
            query_language: self.query_language,
            timeout_seconds: None,
            root: kind.processor,
            blocks: self.blocks.clone(),
            states: self.states.clone(),
        })
    }

    fn processor_text(&self, map: &State) -> Option<Arc<str>> {
        let machine = stepwell_expr::json::parse(&self.text).ok()?;
        let state = state_in(&machine, &map.name)?;
        let processor = state.get("ItemProcessor").or_else(|| state.get("Iterator"))?;
        Some(processor.to_json().into())
    }
}

/// The state `name` in `block` or in one within it.
fn state_in<'v>(block: &'v Value, name: &str) -> Option<&'v Value> {
    let states = block.get("States")?.as_object()?;
    let inner = |state: &'v Value| {
        let branches = state.get("Branches").and_then(Value::as_array).into_iter().flatten();
        let processor = ["ItemProcessor", "Iterator"].into_iter().filter_map(|field| state.get(field));
        branches.chain(processor).find_map(|block| state_in(block, name))
    };
    states.get(name).or_else(|| states.values().find_map(inner))
}

/// A state (ASL: States).
#[derive(Debug)]
pub struct State {
    /// Its name.
    pub name: StateName,
    /// Its `Comment`.
    pub comment: Option<String>,
    /// The language of its expressions.
    pub language: QueryLanguage,
    /// The block that it stands in.
    pub block: BlockId,
    /// JSON pointer to it in the definition, such as `/States/Charge`.
    pub pointer: String,
    /// What it does.
    pub kind: StateKind,
}

impl State {
    /// Names a distributed Map state in the ARNs of its Map Runs and of their executions: its `Label`, or a text made from
    /// its name. `None` for every other state.
    pub fn label(&self) -> Option<Arc<str>> {
        let StateKind::Map(map) = &self.kind else { return None };
        let ProcessorMode::Distributed { .. } = map.mode else { return None };
        Some(map.label.as_deref().map_or_else(|| uuid_of(&self.name).into(), Arc::from))
    }
}

/// The eight types of state.
#[derive(Debug)]
pub enum StateKind {
    /// `Pass`
    Pass(Pass),
    /// `Task`
    Task(Box<Task>),
    /// `Choice`
    Choice(Choice),
    /// `Wait`
    Wait(Wait),
    /// `Succeed`
    Succeed(Succeed),
    /// `Fail`
    Fail(Fail),
    /// `Parallel`
    Parallel(Parallel),
    /// `Map`
    Map(Box<Map>),
}

/// `Next` or `End`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transition {
    /// To the state of this name, in the same block.
    Next(StateName),
    /// The block ends here.
    End,
}

/// How data flows into and out of a state.
#[derive(Debug)]
pub enum Io {
    /// `InputPath`, `Parameters`, `ResultSelector`, `ResultPath`, `OutputPath`.
    JsonPath(PathIo),
    /// `Arguments`, `Output`.
    Jsonata(JsonataIo),
}

/// The data flow fields of a JSONPath state. A field that the state's type doesn't have holds its default.
#[derive(Debug)]
pub struct PathIo {
    /// `InputPath`
    pub input_path: Selection,
    /// `Parameters` of Pass, Task and Parallel. (A Map's is its [`Map::item_selector`].)
    pub parameters: Option<Template>,
    /// `ResultSelector`
    pub result_selector: Option<Template>,
    /// `ResultPath`
    pub result_path: ResultPath,
    /// `OutputPath`
    pub output_path: Selection,
}

/// The data flow fields of a JSONata state.
#[derive(Debug)]
pub struct JsonataIo {
    /// `Arguments`
    pub arguments: Option<Template>,
    /// `Output`
    pub output: Option<Template>,
}

/// An `InputPath` or `OutputPath`.
#[derive(Debug)]
pub enum Selection {
    /// `$`, also the default: everything.
    All,
    /// `null`: `{}`.
    Nothing,
    /// What the path finds.
    Path(PathExpression),
}

/// A `ResultPath`.
#[derive(Debug)]
pub enum ResultPath {
    /// `$`, also the default: the result replaces the input.
    Replace,
    /// `null`: the result is dropped.
    Discard,
    /// The result is put into the input.
    Insert(ReferencePath),
}

/// A field whose value stands in the definition or comes from data.
#[derive(Debug)]
pub enum Dynamic<T> {
    /// A constant.
    Fixed(T),
    /// The `…Path` spelling of the field (JSONPath).
    Path(PathExpression),
    /// `{% … %}` (JSONata).
    Expression(Expression),
}

/// A Pass state (ASL: Pass State).
#[derive(Debug)]
pub struct Pass {
    /// Data flow.
    pub io: Io,
    /// `Result` (JSONPath).
    pub result: Option<Value>,
    /// `Assign`
    pub assign: Option<Template>,
    /// `Next` or `End`
    pub transition: Transition,
}

/// A Task state (ASL: Task State).
#[derive(Debug)]
pub struct Task {
    /// `Resource`, an ARN.
    pub resource: Arc<str>,
    /// Data flow.
    pub io: Io,
    /// `TimeoutSeconds` or `TimeoutSecondsPath`
    pub timeout_seconds: Option<Dynamic<u64>>,
    /// `HeartbeatSeconds` or `HeartbeatSecondsPath`
    pub heartbeat_seconds: Option<Dynamic<u64>>,
    /// `Credentials`: an object with `RoleArn`.
    pub credentials: Option<Template>,
    /// `Retry`
    pub retry: Vec<Retrier>,
    /// `Catch`
    pub catch: Vec<Catcher>,
    /// `Assign`
    pub assign: Option<Template>,
    /// `Next` or `End`
    pub transition: Transition,
}

/// A Choice state (ASL: Choice State).
#[derive(Debug)]
pub struct Choice {
    /// Data flow.
    pub io: Io,
    /// `Choices`
    pub rules: Vec<ChoiceRule>,
    /// `Default`
    pub default: Option<StateName>,
    /// The state's own `Assign`, for `Default`.
    pub assign: Option<Template>,
}

/// One of a Choice state's `Choices`.
#[derive(Debug)]
pub struct ChoiceRule {
    /// When it matches.
    pub condition: Condition,
    /// Where it leads.
    pub next: StateName,
    /// Its `Assign`
    pub assign: Option<Template>,
    /// Its `Output` (JSONata).
    pub output: Option<Template>,
}

/// When a [`ChoiceRule`] matches.
#[derive(Debug)]
pub enum Condition {
    /// All of them.
    And(Vec<Condition>),
    /// One of them.
    Or(Vec<Condition>),
    /// Not this one.
    Not(Box<Condition>),
    /// A test of one `Variable` (JSONPath).
    Test {
        /// `Variable`
        variable: PathExpression,
        /// The comparison.
        test: Test,
    },
    /// `Condition` (JSONata).
    Expression(Expression),
    /// `Condition` that is the literal `true` or `false` (JSONata).
    Literal(bool),
}

/// A comparison of a Choice Rule's variable.
#[derive(Debug)]
pub enum Test {
    /// `StringEquals` and the four others.
    String(Relation, Operand<Arc<str>>),
    /// `NumericEquals` and the four others.
    Numeric(Relation, Operand<Number>),
    /// `TimestampEquals` and the four others.
    Timestamp(Relation, Operand<Arc<str>>),
    /// `BooleanEquals`
    Boolean(Operand<bool>),
    /// `StringMatches`: a pattern in which `*` stands for any run of characters and `\\*` for a star.
    StringMatches(Arc<str>),
    /// `IsNull`, `IsPresent` …: whether the answer is the expected one.
    Is(TypeTest, bool),
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `…Equals`
    Equals,
    /// `…LessThan`
    LessThan,
    /// `…GreaterThan`
    GreaterThan,
    /// `…LessThanEquals`
    LessThanEquals,
    /// `…GreaterThanEquals`
    GreaterThanEquals,
}

/// The right side of a comparison.
#[derive(Debug)]
pub enum Operand<T> {
    /// A constant.
    Literal(T),
    /// The `…Path` spelling of the operator.
    Path(PathExpression),
}

/// The `Is…` operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeTest {
    /// `IsNull`
    Null,
    /// `IsPresent`
    Present,
    /// `IsNumeric`
    Numeric,
    /// `IsString`
    String,
    /// `IsBoolean`
    Boolean,
    /// `IsTimestamp`
    Timestamp,
}

/// A Wait state (ASL: Wait State).
#[derive(Debug)]
pub struct Wait {
    /// Data flow.
    pub io: Io,
    /// How long.
    pub until: WaitUntil,
    /// `Assign`
    pub assign: Option<Template>,
    /// `Next` or `End`
    pub transition: Transition,
}

/// How long a Wait state waits.
#[derive(Debug)]
pub enum WaitUntil {
    /// `Seconds` or `SecondsPath`
    Seconds(Dynamic<u64>),
    /// `Timestamp` or `TimestampPath`: ISO-8601 with `T` and an offset.
    Timestamp(Dynamic<Arc<str>>),
}

/// A Succeed state (ASL: Succeed State).
#[derive(Debug)]
pub struct Succeed {
    /// Data flow.
    pub io: Io,
}

/// A Fail state (ASL: Fail State).
#[derive(Debug)]
pub struct Fail {
    /// `Error` or `ErrorPath`
    pub error: Option<Dynamic<Arc<str>>>,
    /// `Cause` or `CausePath`
    pub cause: Option<Dynamic<Arc<str>>>,
}

/// A Parallel state (ASL: Parallel State).
#[derive(Debug)]
pub struct Parallel {
    /// Data flow.
    pub io: Io,
    /// `Branches`
    pub branches: Vec<BlockId>,
    /// `Retry`
    pub retry: Vec<Retrier>,
    /// `Catch`
    pub catch: Vec<Catcher>,
    /// `Assign`
    pub assign: Option<Template>,
    /// `Next` or `End`
    pub transition: Transition,
}

/// A Map state (ASL: Map State).
#[derive(Debug)]
pub struct Map {
    /// Data flow. A Map has no `parameters` and no `arguments` here.
    pub io: Io,
    /// Where its items come from.
    pub items: Items,
    /// `ItemSelector`, or `Parameters` in its old spelling.
    pub item_selector: Option<Template>,
    /// The name under which [`Map::item_selector`] was written: `ItemSelector` or `Parameters`.
    pub item_selector_field: &'static str,
    /// `ItemReader`
    pub item_reader: Option<ItemReader>,
    /// `ItemBatcher`
    pub item_batcher: Option<ItemBatcher>,
    /// `ResultWriter`
    pub result_writer: Option<ResultWriter>,
    /// `MaxConcurrency` or `MaxConcurrencyPath`; 0 is the ceiling.
    pub max_concurrency: Option<Dynamic<u64>>,
    /// `ToleratedFailureCount` or its `…Path`
    pub tolerated_failure_count: Option<Dynamic<u64>>,
    /// `ToleratedFailurePercentage` or its `…Path`
    pub tolerated_failure_percentage: Option<Dynamic<f64>>,
    /// `Label`
    pub label: Option<String>,
    /// The states run for each item.
    pub processor: BlockId,
    /// Whether iterations are in this execution's history or executions of their own.
    pub mode: ProcessorMode,
    /// `Retry`
    pub retry: Vec<Retrier>,
    /// `Catch`
    pub catch: Vec<Catcher>,
    /// `Assign`
    pub assign: Option<Template>,
    /// `Next` or `End`
    pub transition: Transition,
}

/// Where a Map state's items come from.
#[derive(Debug)]
pub enum Items {
    /// The state's input itself.
    Input,
    /// `ItemsPath`
    Path(PathExpression),
    /// `Items`: an array or object, perhaps with expressions in it, or one expression (JSONata).
    Template(Template),
}

/// `ProcessorConfig`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessorMode {
    /// `INLINE`
    Inline,
    /// `DISTRIBUTED`
    Distributed {
        /// Whether `ExecutionType` is `EXPRESS`.
        express: bool,
    },
}

/// `ItemReader` (Distributed Map).
#[derive(Debug)]
pub struct ItemReader {
    /// `Resource`
    pub resource: Arc<str>,
    /// `Parameters` or `Arguments`
    pub parameters: Option<Template>,
    /// `ReaderConfig`, as it stands (its `…Path` members are resolved when it runs).
    pub config: Option<Value>,
}

/// `ItemBatcher` (Distributed Map).
#[derive(Debug)]
pub struct ItemBatcher {
    /// `MaxItemsPerBatch` or its `…Path`
    pub max_items_per_batch: Option<Dynamic<u64>>,
    /// `MaxInputBytesPerBatch` or its `…Path`
    pub max_input_bytes_per_batch: Option<Dynamic<u64>>,
    /// `BatchInput`
    pub batch_input: Option<Template>,
}

/// `ResultWriter` (Distributed Map).
#[derive(Debug)]
pub struct ResultWriter {
    /// `Resource`
    pub resource: Option<Arc<str>>,
    /// `Parameters` or `Arguments`
    pub parameters: Option<Template>,
    /// `WriterConfig`, as it stands.
    pub config: Option<Value>,
}

/// A Retrier, its defaults filled in (ASL: Retrying after error).
#[derive(Debug, Clone, PartialEq)]
pub struct Retrier {
    /// `ErrorEquals`
    pub error_equals: Vec<ErrorName>,
    /// `IntervalSeconds`, default 1.
    pub interval_seconds: u64,
    /// `MaxAttempts`, default 3; 0 never retries.
    pub max_attempts: u64,
    /// `BackoffRate`, default 2.0.
    pub backoff_rate: f64,
    /// `MaxDelaySeconds`
    pub max_delay_seconds: Option<u64>,
    /// `JitterStrategy`
    pub jitter: JitterStrategy,
}

/// `JitterStrategy`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JitterStrategy {
    /// `NONE`, the default.
    #[default]
    None,
    /// `FULL`: each delay is drawn evenly from nought to what it would be.
    Full,
}

/// A Catcher (ASL: Fallback states).
#[derive(Debug)]
pub struct Catcher {
    /// `ErrorEquals`
    pub error_equals: Vec<ErrorName>,
    /// `Next`
    pub next: StateName,
    /// `ResultPath` (JSONPath).
    pub result_path: ResultPath,
    /// `Output` (JSONata).
    pub output: Option<Template>,
    /// `Assign`
    pub assign: Option<Template>,
}

#[cfg(test)]
mod tests {
    use crate::{Format, MachineType, parse};

    #[test]
    fn a_processor_is_a_machine_of_its_own() {
        let processor = |within: &str| {
            format!(
                r#"{{"ProcessorConfig":{{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"}},"StartAt":"{within}","States":{{"#
            )
        };
        let inner = format!(r#"{}"P":{{"Type":"Pass","End":true}}}}}}"#, processor("P"));
        let outer = format!(
            r#"{}"M":{{"Type":"Map","Label":"in","ItemProcessor":{inner},"End":true}}}}}}"#,
            processor("M")
        );
        let text = format!(
            r#"{{"StartAt":"Q","TimeoutSeconds":9,"States":{{"Q":{{"Type":"Parallel","End":true,"Branches":[
                {{"StartAt":"N","States":{{"N":{{"Type":"Map","ItemProcessor":{outer},"End":true}}}}}}]}}}}}}"#
        );
        let whole = parse(&text, Format::Json, MachineType::Standard).definition.expect("it is right");
        let map = whole.state("N").expect("it is there");
        let first = whole.processor(map).expect("it has one");
        assert_eq!((&**first.text(), &*first.block(first.root()).start_at), (&*outer, "M"));
        assert_eq!(first.timeout_seconds(), None);
        let second = first.processor(first.labelled("in").expect("the label of M")).expect("it has one");
        assert_eq!((&**second.text(), &*second.block(second.root()).start_at), (&*inner, "P"));

        let label = map.label().expect("made from its name");
        assert_eq!(whole.labelled(&label).expect("the same").name, map.name);
        assert!(whole.state("Q").expect("it is there").label().is_none());
        assert!(whole.labelled("other").is_none());
        let names = |definition: &super::Definition| -> String {
            definition.states().map(|state| &*state.name).collect()
        };
        assert_eq!([&whole, &first, &second].map(names), ["MNPQ", "MP", "P"]);
    }
}
