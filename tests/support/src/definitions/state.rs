//! States of each type, with what they may have.

use serde_json::{Map, Value, json};

use super::{ACTIVITY, Block, Draft, ERRORS, FUNCTION, Language, Wanted};

/// States of a definition, after which only simple ones come.
const STATES_MAX: usize = 30;

type State = Map<String, Value>;

impl Draft<'_> {
    /// Writes one more state before those of the block, or several that belong together.
    pub(super) fn element(&mut self, block: &mut Block) {
        let nests = block.depth < self.wanted.depth_max && self.names < STATES_MAX;
        match self.choices.below(if nests { 12 } else { 9 }) {
            0 => self.pass(block),
            1..=4 => self.task(block),
            5 => self.wait(block),
            6 if block.next().is_some() => self.choice(block),
            7 if block.next().is_some() => self.counted_loop(block),
            6..=8 => self.end(block),
            9 => self.parallel(block),
            _ => self.map(block),
        }
    }

    /// A state of this type, which leads to the next one, and the language that it speaks.
    fn begin(&mut self, kind: &str, block: &Block) -> (State, Language) {
        let mut state = Map::new();
        state.insert("Type".into(), json!(kind));
        let mut language = self.top;
        if language == Language::JsonPath && self.choices.once_in(6) {
            state.insert("QueryLanguage".into(), json!("JSONata"));
            language = Language::Jsonata;
        }
        let _ = match block.next() {
            Some(next) => state.insert("Next".into(), json!(next)),
            None => state.insert("End".into(), json!(true)),
        };
        (state, language)
    }

    fn put(&mut self, block: &mut Block, state: State) {
        let name = self.name();
        block.states.push((name, Value::Object(state)));
    }

    fn pass(&mut self, block: &mut Block) {
        let (mut state, language) = self.begin("Pass", block);
        match language {
            Language::JsonPath => match self.choices.below(4) {
                1 => drop(state.insert("Result".into(), json!({"a": [1, {"b": null}]}))),
                2 => drop(state.insert("Parameters".into(), self.payload(language))),
                _ => {}
            },
            Language::Jsonata => {
                let payload = self.payload(language);
                let keep = json!("{% $merge([$states.input, {'n': $states.input.n + 1}]) %}");
                let output = if self.errs(8) { payload } else { keep };
                if self.choices.once_in(2) {
                    state.insert("Output".into(), output);
                }
            }
        }
        if state.contains_key("Result") || state.contains_key("Parameters") {
            state.insert("ResultPath".into(), json!("$.r"));
        }
        self.assign(&mut state, language, block);
        self.put(block, state);
    }

    fn wait(&mut self, block: &mut Block) {
        let (mut state, language) = self.begin("Wait", block);
        let (name, value) = match (self.choices.below(4), language) {
            (1, Language::JsonPath) => ("SecondsPath", json!("$.n")),
            (1, Language::Jsonata) => ("Seconds", json!("{% $states.input.n %}")),
            (2, Language::JsonPath) => ("TimestampPath", json!("$$.State.EnteredTime")),
            (2, Language::Jsonata) => ("Timestamp", json!("{% $states.context.State.EnteredTime %}")),
            _ => ("Seconds", json!(self.seconds())),
        };
        state.insert(name.into(), value);
        self.assign(&mut state, language, block);
        self.put(block, state);
    }

    /// An end before the block's last state, which a Choice leads past; or the block's last state.
    fn end(&mut self, block: &mut Block) {
        let fails = self.errs(2);
        let state = match fails {
            true => {
                json!({"Type": "Fail", "Error": self.choices.one_of(&ERRORS), "Cause": "as it was written"})
            }
            false => json!({"Type": "Succeed"}),
        };
        let past = block.next().map(str::to_owned);
        let name = self.name();
        block.states.push((name.clone(), state));
        if let Some(past) = past {
            self.choose(block, &[name], &past);
        }
    }

    fn choice(&mut self, block: &mut Block) {
        let targets: Vec<_> = (0..=self.choices.below(3)).map(|_| self.later(block)).collect();
        let default = block.next().unwrap_or_default().to_owned();
        self.choose(block, &targets, &default);
    }

    /// A Choice that leads to `targets` or `default`.
    fn choose(&mut self, block: &mut Block, targets: &[String], default: &str) {
        let (mut state, language) = self.begin("Choice", block);
        let rules: Vec<_> = targets
            .iter()
            .map(|target| {
                let mut rule = self.condition(language);
                rule["Next"] = json!(target);
                rule
            })
            .collect();
        state.remove("Next");
        state.insert("Choices".into(), json!(rules));
        state.insert("Default".into(), json!(default));
        self.put(block, state);
    }

    /// One of the states that are written already.
    fn later(&mut self, block: &Block) -> String {
        let at = self.choices.below(block.states.len());
        block.states[block.states.len() - 1 - at].0.clone()
    }

    /// A state that is repeated once or twice, by a counter that a Pass begins and a Choice counts.
    fn counted_loop(&mut self, block: &mut Block) {
        self.counters += 1;
        let (counter, times) = (format!("c{}", self.counters), 1 + self.choices.below(2));
        let more = match self.top {
            Language::JsonPath => json!({
                "Variable": format!("${counter}"), "NumericLessThan": times,
                "Assign": {format!("{counter}.$"): format!("States.MathAdd(${counter}, 1)")},
            }),
            Language::Jsonata => json!({
                "Condition": format!("{{% ${counter} < {times} %}}"),
                "Assign": {counter.clone(): format!("{{% ${counter} + 1 %}}")},
            }),
        };
        let check = json!({"Type": "Choice", "Choices": [more], "Default": block.next()});
        let at = block.states.len();
        block.states.push((self.name(), check));
        match self.choices.below(3) {
            0 => self.task(block),
            1 => self.wait(block),
            _ => self.pass(block),
        }
        let body = block.next().unwrap_or_default().to_owned();
        block.states[at].1["Choices"][0]["Next"] = json!(body);
        let begin = json!({"Type": "Pass", "Assign": {counter: 0}, "Next": body});
        block.states.push((self.name(), begin));
    }

    fn task(&mut self, block: &mut Block) {
        let (mut state, language) = self.begin("Task", block);
        let (resource, waits) = self.resource();
        state.insert("Resource".into(), json!(resource));
        if let Some(arguments) = self.arguments(resource, language) {
            let name = if language == Language::Jsonata { "Arguments" } else { "Parameters" };
            state.insert(name.into(), arguments);
        }
        if self.wanted.timeouts && self.choices.once_in(3) {
            let heartbeat = 1 + self.seconds();
            if waits && self.choices.once_in(2) {
                state.insert("HeartbeatSeconds".into(), json!(heartbeat));
            }
            state.insert("TimeoutSeconds".into(), json!(heartbeat + 1 + self.seconds()));
        }
        self.result(&mut state, language, false);
        self.failures(&mut state, language, block);
        self.assign(&mut state, language, block);
        self.put(block, state);
    }

    /// A Resource, and whether its task goes on when its call was answered.
    fn resource(&mut self) -> (&'static str, bool) {
        let Wanted { callbacks, jobs, activities, .. } = self.wanted;
        let all = [
            (FUNCTION, true, false),
            ("arn:aws:states:::lambda:invoke", true, false),
            ("arn:aws:states:::dynamodb:getItem", true, false),
            ("arn:aws:states:::sqs:sendMessage.waitForTaskToken", callbacks, true),
            ("arn:aws:states:::lambda:invoke.waitForTaskToken", callbacks, true),
            ("arn:aws:states:::states:startExecution.sync", jobs, true),
            ("arn:aws:states:::states:startExecution.sync:2", jobs, true),
            (ACTIVITY, activities, true),
        ];
        let wanted: Vec<_> = all.into_iter().filter(|(_, wanted, _)| *wanted).collect();
        // Half of all tasks call the function.
        if self.choices.once_in(2) {
            let (resource, _, waits) = *self.choices.one_of(&wanted);
            return (resource, waits);
        }
        (FUNCTION, false)
    }

    fn arguments(&mut self, resource: &str, language: Language) -> Option<Value> {
        let token = match language {
            Language::JsonPath => json!({"token.$": "$$.Task.Token"}),
            Language::Jsonata => json!({"token": "{% $states.context.Task.Token %}"}),
        };
        let action = resource.rsplit(':').find(|part| *part != "2").unwrap_or_default();
        Some(match action {
            "getItem" => json!({"TableName": "t", "Key": {"id": {"S": "a"}}}),
            "sendMessage.waitForTaskToken" => json!({"QueueUrl": "https://q", "MessageBody": token}),
            "invoke.waitForTaskToken" => json!({"FunctionName": "f", "Payload": token}),
            "invoke" => json!({"FunctionName": "f", "Payload": self.payload(language)}),
            "startExecution.sync" => json!({
                "StateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:Child",
                "Input": self.payload(language),
            }),
            _ if self.choices.once_in(2) => self.payload(language),
            _ => return None,
        })
    }

    fn failures(&mut self, state: &mut State, language: Language, block: &Block) {
        if self.choices.once_in(3) {
            let retriers: Vec<_> = (0..=self.choices.below(2)).map(|at| self.retrier(at)).collect();
            state.insert("Retry".into(), json!(retriers));
        }
        if block.next().is_some() && self.choices.once_in(3) {
            let mut catcher = json!({"ErrorEquals": self.error_equals(), "Next": self.later(block)});
            let (name, to) = match language {
                Language::JsonPath => ("ResultPath", json!("$.e")),
                Language::Jsonata => {
                    ("Output", json!("{% $merge([$states.input, {'e': $states.errorOutput}]) %}"))
                }
            };
            catcher[name] = to;
            let all = json!({"ErrorEquals": ["States.ALL"], name: catcher[name], "Next": self.later(block)});
            let catchers = if self.choices.once_in(2) { vec![catcher, all] } else { vec![catcher] };
            state.insert("Catch".into(), json!(catchers));
        }
    }

    fn error_equals(&mut self) -> Value {
        let names = ["Busy", "Lost", "Lambda.Unknown", "States.Timeout", "States.TaskFailed"];
        (0..=self.choices.below(2)).map(|_| json!(self.choices.one_of(&names))).collect()
    }

    fn retrier(&mut self, at: usize) -> Value {
        let errors = if at == 1 { json!(["States.ALL"]) } else { self.error_equals() };
        let mut retrier = json!({"ErrorEquals": errors, "MaxAttempts": 1 + self.choices.below(2)});
        retrier["IntervalSeconds"] = json!(1 + self.seconds());
        match self.choices.below(4) {
            1 => retrier["BackoffRate"] = json!(1.5),
            2 => retrier["JitterStrategy"] = json!("FULL"),
            3 => retrier["MaxDelaySeconds"] = json!(1 + self.choices.below(9)),
            _ => {}
        }
        retrier
    }

    fn parallel(&mut self, block: &mut Block) {
        let (mut state, language) = self.begin("Parallel", block);
        let branches: Vec<_> =
            (0..=self.choices.below(3)).map(|_| Value::Object(self.block(block.depth + 1, false))).collect();
        state.insert("Branches".into(), json!(branches));
        self.fork(block, state, language);
    }

    fn map(&mut self, block: &mut Block) {
        let (mut state, language) = self.begin("Map", block);
        let processor = match self.wanted.map_runs && self.choices.once_in(3) {
            true => self.distributed(&mut state, language, block.depth),
            false => self.block(block.depth + 1, false),
        };
        state.insert("ItemProcessor".into(), Value::Object(processor));
        let (name, items) = match language {
            Language::JsonPath => ("ItemsPath", json!("$.items")),
            Language::Jsonata => ("Items", json!("{% $states.input.items %}")),
        };
        state.insert(name.into(), items);
        state.insert("ItemSelector".into(), self.item(language));
        if self.choices.once_in(2) {
            state.insert("MaxConcurrency".into(), json!(self.choices.below(3)));
        }
        self.fork(block, state, language);
    }

    fn fork(&mut self, block: &mut Block, mut state: State, language: Language) {
        self.result(&mut state, language, true);
        self.failures(&mut state, language, block);
        self.assign(&mut state, language, block);
        self.put(block, state);
    }

    /// A processor whose executions are of their own: they see no variable, and Express ones have less.
    fn distributed(&mut self, state: &mut State, language: Language, depth: usize) -> State {
        let (wanted, is_express) = (self.wanted, self.choices.once_in(4));
        if is_express {
            self.wanted = Wanted {
                states_max: wanted.states_max,
                depth_max: wanted.depth_max,
                errors: wanted.errors,
                timeouts: wanted.timeouts,
                seconds_max: wanted.seconds_max.min(Wanted::EXPRESS.seconds_max),
                ..Wanted::EXPRESS
            };
        }
        let mut processor = self.block(depth + 1, true);
        self.wanted = wanted;
        let kind = if is_express { "EXPRESS" } else { "STANDARD" };
        processor.insert("ProcessorConfig".into(), json!({"Mode": "DISTRIBUTED", "ExecutionType": kind}));
        match self.choices.below(4) {
            1 => drop(state.insert("ToleratedFailureCount".into(), json!(1))),
            2 => drop(state.insert("ToleratedFailurePercentage".into(), json!(50))),
            3 => self.batch(state, &mut processor, language),
            _ => {}
        }
        processor
    }

    /// Items come in batches, and the processor begins with what is the same for all of them.
    fn batch(&mut self, state: &mut State, processor: &mut State, language: Language) {
        let text = match language {
            Language::JsonPath => ("text.$", "$.text"),
            Language::Jsonata => ("text", "{% $states.input.text %}"),
        };
        let input = json!({"n": 1, "items": [1, 2], text.0: text.1});
        state.insert("ItemBatcher".into(), json!({"MaxItemsPerBatch": 2, "BatchInput": input}));
        let unwrap = match self.top {
            Language::JsonPath => ("InputPath", "$.BatchInput"),
            Language::Jsonata => ("Output", "{% $states.input.BatchInput %}"),
        };
        let name = self.name();
        let first = json!({"Type": "Pass", unwrap.0: unwrap.1, "Next": processor["StartAt"]});
        processor["States"][&name] = first;
        processor["StartAt"] = json!(name);
    }
}
