//! Data flow: what states read, write and compare. Data keeps its shape, `{n, items, text, …}`, unless errors are wanted.

use serde_json::{Map, Value, json};

use super::{Block, Draft, Language};

impl Draft<'_> {
    /// An execution's input.
    pub(super) fn input(&mut self) -> Value {
        let items: Vec<_> = (0..self.choices.below(5)).collect();
        let text = "a text that may be long ".repeat(*self.choices.one_of(&[1, 0, 12, 30]));
        json!({"n": self.choices.below(4), "items": items, "text": text})
    }

    /// Whether something goes wrong here.
    pub(super) fn errs(&mut self, once_in: usize) -> bool {
        self.wanted.errors && self.choices.once_in(once_in)
    }

    /// What a task, a Pass or a Wait is given.
    pub(super) fn payload(&mut self, language: Language) -> Value {
        let variable = self.variable && self.choices.once_in(2);
        match language {
            _ if self.errs(20) && language == Language::JsonPath => json!({"gone.$": "$.nowhere"}),
            Language::JsonPath if variable => json!({"v.$": "$v", "all.$": "$"}),
            Language::JsonPath => self.choices.one_of(&[
                json!({"n.$": "$.n"}),
                json!({"n.$": "States.MathAdd($.n, 1)", "deep": {"text.$": "States.Format('{} {}', $.n, $.text)"}}),
                json!({"id.$": "$$.Execution.Id", "at.$": "$$.State.EnteredTime", "items.$": "$.items[0:2]"}),
                json!({"uuid.$": "States.UUID()", "random.$": "States.MathRandom(0, 100)", "text.$": "$.text"}),
            ]).clone(),
            Language::Jsonata if self.errs(20) => json!({"gone": "{% $states.input.nowhere %}"}),
            Language::Jsonata if variable => json!({"v": "{% $v %}", "all": "{% $states.input %}"}),
            Language::Jsonata => self.choices.one_of(&[
                json!({"n": "{% $states.input.n %}"}),
                json!("{% $merge([$states.input, {'n': $states.input.n + 1}]) %}"),
                json!({"id": "{% $states.context.Execution.Id %}", "sum": "{% $sum($states.input.items) %}"}),
                json!({"uuid": "{% $uuid() %}", "random": "{% $random() %}", "now": "{% $now() %}"}),
            ]).clone(),
        }
    }

    /// Where a state's result goes. `long`: it is made of other states' outputs, which are not kept.
    pub(super) fn result(&mut self, state: &mut Map<String, Value>, language: Language, long: bool) {
        let errs = self.errs(16);
        match language {
            Language::JsonPath => {
                let selectors = [
                    (json!({"many": true}), true),
                    (json!({"count.$": "States.ArrayLength($)"}), long),
                    (json!({"all.$": "$"}), !long),
                    (json!({"none.$": "$.no.such"}), errs),
                ];
                let fitting: Vec<_> = selectors.into_iter().filter(|(_, fits)| *fits).collect();
                if long || self.choices.once_in(4) {
                    state.insert("ResultSelector".into(), self.choices.one_of(&fitting).0.clone());
                }
                match self.choices.below(4) {
                    2 => drop(state.insert("ResultPath".into(), Value::Null)),
                    3 if errs => {}
                    _ => drop(state.insert("ResultPath".into(), json!("$.r"))),
                }
            }
            Language::Jsonata => {
                let outputs = [
                    json!("{% $states.input %}"),
                    json!("{% $merge([$states.input, {'r': $count($states.result)}]) %}"),
                    json!("{% $merge([$states.input, {'r': $states.result}]) %}"),
                ];
                let output = self.choices.one_of(&outputs[..if long { 2 } else { 3 }]).clone();
                if !errs {
                    state.insert("Output".into(), output);
                }
            }
        }
    }

    /// `Assign`, where the block has the variable.
    pub(super) fn assign(&mut self, state: &mut Map<String, Value>, language: Language, block: &Block) {
        if block.assigns && self.choices.once_in(3) {
            let assign = match language {
                Language::JsonPath => json!({"v.$": "States.MathAdd($v, 1)"}),
                Language::Jsonata => json!({"v": "{% $v + 1 %}"}),
            };
            state.insert("Assign".into(), assign);
        }
    }

    /// What the processor of a Map gets for each item, in the shape of all data.
    pub(super) fn item(&mut self, language: Language) -> Value {
        match language {
            Language::JsonPath => json!({
                "n.$": "$$.Map.Item.Index", "item.$": "$$.Map.Item.Value", "items": [1, 2], "text.$": "$.text",
            }),
            Language::Jsonata => json!({
                "n": "{% $states.context.Map.Item.Index %}", "item": "{% $states.context.Map.Item.Value %}",
                "items": [1, 2], "text": "{% $states.input.text %}",
            }),
        }
    }

    /// A Choice rule without `Next`.
    pub(super) fn condition(&mut self, language: Language) -> Value {
        let number = self.choices.below(4);
        match language {
            Language::JsonPath => {
                let test = json!({"Variable": "$.n", "NumericLessThan": number});
                let there = json!({"Variable": "$.r", "IsPresent": true});
                self.choices
                    .one_of(&[
                        test.clone(),
                        json!({"Not": test.clone()}),
                        json!({"And": [there.clone(), test.clone()]}),
                        json!({"Or": [there, {"Variable": "$.text", "StringMatches": "a*"}, test]}),
                    ])
                    .clone()
            }
            Language::Jsonata => {
                let conditions = [
                    format!("{{% $states.input.n < {number} %}}"),
                    format!("{{% $count($states.input.items) = {number} %}}"),
                    "{% $exists($states.input.r) and $length($states.input.text) > 0 %}".to_owned(),
                ];
                json!({"Condition": self.choices.one_of(&conditions)})
            }
        }
    }
}
