//! Which variables each state reads.

use std::collections::{BTreeMap, BTreeSet};

use stepwell_expr::jsonata::Expression;
use stepwell_expr::{PathExpression, QueryLanguage, Template, Value};

use crate::{
    Catcher, Condition, Definition, Dynamic, Io, Items, Map, Operand, Selection, State, StateKind, StateName,
    Test, WaitUntil,
};

/// The variables that each state reads, without `$` and in order; states that read none are left out (API:
/// DescribeStateMachine, `variableReferences`).
pub fn variable_references(definition: &Definition) -> BTreeMap<StateName, Vec<String>> {
    let of = |state: &State| {
        let mut names = Names::default();
        names.state(state);
        (state.name.clone(), names.0.into_iter().collect::<Vec<_>>())
    };
    definition.states().map(of).filter(|(_, names)| !names.is_empty()).collect()
}

#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn state(&mut self, state: &State) {
        match &state.kind {
            StateKind::Pass(pass) => {
                self.io(&pass.io);
                self.template(&pass.assign);
            }
            StateKind::Task(task) => {
                self.io(&task.io);
                self.dynamic(&task.timeout_seconds);
                self.dynamic(&task.heartbeat_seconds);
                self.template(&task.credentials);
                self.catchers(&task.catch);
                self.template(&task.assign);
            }
            StateKind::Choice(choice) => {
                self.io(&choice.io);
                self.template(&choice.assign);
                for rule in &choice.rules {
                    self.condition(&rule.condition);
                    self.template(&rule.assign);
                    self.template(&rule.output);
                }
            }
            StateKind::Wait(wait) => {
                self.io(&wait.io);
                self.template(&wait.assign);
                match &wait.until {
                    WaitUntil::Seconds(seconds) => self.dynamic_value(seconds),
                    WaitUntil::Timestamp(timestamp) => self.dynamic_value(timestamp),
                }
            }
            StateKind::Succeed(succeed) => self.io(&succeed.io),
            StateKind::Fail(fail) => {
                self.dynamic(&fail.error);
                self.dynamic(&fail.cause);
            }
            StateKind::Parallel(parallel) => {
                self.io(&parallel.io);
                self.catchers(&parallel.catch);
                self.template(&parallel.assign);
            }
            StateKind::Map(map) => self.map(map, state.language),
        }
    }

    fn map(&mut self, map: &Map, language: QueryLanguage) {
        self.io(&map.io);
        match &map.items {
            Items::Input => {}
            Items::Path(path) => self.path(path),
            Items::Template(template) => self.0.extend(template.variables()),
        }
        self.template(&map.item_selector);
        if let Some(reader) = &map.item_reader {
            self.template(&reader.parameters);
            self.config(&reader.config, language);
        }
        if let Some(batcher) = &map.item_batcher {
            self.dynamic(&batcher.max_items_per_batch);
            self.dynamic(&batcher.max_input_bytes_per_batch);
            self.template(&batcher.batch_input);
        }
        if let Some(writer) = &map.result_writer {
            self.template(&writer.parameters);
            self.config(&writer.config, language);
        }
        self.dynamic(&map.max_concurrency);
        self.dynamic(&map.tolerated_failure_count);
        self.dynamic(&map.tolerated_failure_percentage);
        self.catchers(&map.catch);
        self.template(&map.assign);
    }

    fn io(&mut self, io: &Io) {
        match io {
            Io::JsonPath(io) => {
                self.selection(&io.input_path);
                self.template(&io.parameters);
                self.template(&io.result_selector);
                self.selection(&io.output_path);
            }
            Io::Jsonata(io) => {
                self.template(&io.arguments);
                self.template(&io.output);
            }
        }
    }

    fn selection(&mut self, selection: &Selection) {
        if let Selection::Path(path) = selection {
            self.path(path);
        }
    }

    fn template(&mut self, template: &Option<Template>) {
        if let Some(template) = template {
            self.0.extend(template.variables());
        }
    }

    fn dynamic<T>(&mut self, dynamic: &Option<Dynamic<T>>) {
        if let Some(dynamic) = dynamic {
            self.dynamic_value(dynamic);
        }
    }

    fn dynamic_value<T>(&mut self, dynamic: &Dynamic<T>) {
        match dynamic {
            Dynamic::Fixed(_) => {}
            Dynamic::Path(path) => self.path(path),
            Dynamic::Expression(expression) => self.0.extend(expression.variables()),
        }
    }

    fn catchers(&mut self, catchers: &[Catcher]) {
        for catcher in catchers {
            self.template(&catcher.output);
            self.template(&catcher.assign);
        }
    }

    fn condition(&mut self, condition: &Condition) {
        match condition {
            Condition::And(conditions) | Condition::Or(conditions) => {
                for condition in conditions {
                    self.condition(condition);
                }
            }
            Condition::Not(condition) => self.condition(condition),
            Condition::Test { variable, test } => {
                self.path(variable);
                match test {
                    Test::String(_, operand) | Test::Timestamp(_, operand) => self.operand(operand),
                    Test::Numeric(_, operand) => self.operand(operand),
                    Test::Boolean(operand) => self.operand(operand),
                    Test::StringMatches(_) | Test::Is(..) => {}
                }
            }
            Condition::Expression(expression) => self.0.extend(expression.variables()),
            Condition::Literal(_) => {}
        }
    }

    fn operand<T>(&mut self, operand: &Operand<T>) {
        if let Operand::Path(path) = operand {
            self.path(path);
        }
    }

    fn path(&mut self, path: &PathExpression) {
        self.0.extend(path.variables());
    }

    /// `ReaderConfig` and its like, whose expressions are resolved when they run.
    fn config(&mut self, config: &Option<Value>, language: QueryLanguage) {
        let members = config.as_ref().and_then(Value::as_object);
        for (name, value) in members.into_iter().flat_map(|members| members.iter()) {
            let Some(text) = value.as_str() else { continue };
            match language {
                QueryLanguage::JsonPath if name.ends_with("Path") => {
                    self.0.extend(PathExpression::compile(text).iter().flat_map(PathExpression::variables));
                }
                QueryLanguage::Jsonata => {
                    let source = text.strip_prefix("{%").and_then(|text| text.strip_suffix("%}"));
                    let expression = source.and_then(|source| Expression::compile(source).ok());
                    self.0.extend(expression.iter().flat_map(Expression::variables));
                }
                QueryLanguage::JsonPath => {}
            }
        }
    }
}
