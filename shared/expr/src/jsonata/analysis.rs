//! What an expression reads, seen in its tree: workflow variables, members of `$states`, and what AWS refuses.

use std::collections::{BTreeMap, BTreeSet};

use jsonata_core::ast::{AstNode, BinaryOp, PathStep, Stage};

use super::functions;

/// What an expression reads.
#[derive(Debug, Default)]
pub(super) struct Analysis {
    /// Workflow variables, in order of first appearance.
    pub(super) variables: Vec<String>,
    /// Which parts of each variable, `states` among them, are looked at.
    pub(super) needs: BTreeMap<String, Need>,
    /// References to a context item that is not there: field names, `$`, `$$`; each once, in written order.
    pub(super) refused: Vec<String>,
    refused_once: BTreeSet<String>,
    /// Whether something other than a variable is assigned to, which the engine's parser lets pass.
    pub(super) bad_assignment: bool,
    /// Functions that are called or named.
    pub(super) functions: BTreeSet<String>,
}

/// The part of a value that is looked at.
#[derive(Debug, Default)]
pub(super) struct Need {
    /// All of it.
    pub(super) whole: bool,
    /// Else, these members and these parts of them.
    pub(super) members: BTreeMap<String, Need>,
}

impl Need {
    /// Everything.
    pub(super) const WHOLE: Need = Need { whole: true, members: BTreeMap::new() };

    fn member(&mut self, name: &str) -> &mut Need {
        self.members.entry(name.to_owned()).or_default()
    }
}

impl Analysis {
    /// Looks through `tree`.
    pub(super) fn of(tree: &AstNode) -> Self {
        let mut analysis = Analysis::default();
        analysis.top_level(tree);
        let mut walk = Walk::new(&mut analysis);
        walk.node(tree);
        if walk.parents {
            analysis.needs.values_mut().for_each(|need| need.whole = true);
        }
        analysis
    }

    /// Whether `$states.<member>` is written.
    pub(super) fn states(&self, member: &str) -> bool {
        self.needs.get("states").is_some_and(|need| need.members.contains_key(member))
    }

    /// Finds what is read from the context item that AWS does not give: the first step of a path is, what comes
    /// after it (later steps, predicates, sort terms, groups) has the step before as its context.
    fn top_level(&mut self, node: &AstNode) {
        match node {
            AstNode::Name(name) => self.refuse(name),
            AstNode::Variable(name) if name.is_empty() => self.refuse("$"),
            AstNode::ParentVariable(_) => self.refuse("$$"),
            AstNode::Path { steps } => steps.first().into_iter().for_each(|step| self.top_level(&step.node)),
            AstNode::Binary { op: BinaryOp::ColonEqual, rhs, .. } => self.top_level(rhs),
            AstNode::Binary { op: BinaryOp::FocusBind | BinaryOp::IndexBind, lhs, .. } => self.top_level(lhs),
            AstNode::Binary { lhs, rhs, .. } => {
                self.top_level(lhs);
                self.top_level(rhs);
            }
            AstNode::Unary { operand, .. } => self.top_level(operand),
            AstNode::Function { name, args, is_builtin } => {
                if !is_builtin {
                    self.refuse(name);
                }
                args.iter().for_each(|arg| self.top_level(arg));
            }
            AstNode::Call { procedure, args } => {
                self.top_level(procedure);
                args.iter().for_each(|arg| self.top_level(arg));
            }
            AstNode::Lambda { body, .. } => self.top_level(body),
            AstNode::Array(items) | AstNode::ArrayGroup(items) | AstNode::Block(items) => {
                items.iter().for_each(|item| self.top_level(item));
            }
            AstNode::Object(pairs) => pairs.iter().for_each(|(key, value)| {
                self.top_level(key);
                self.top_level(value);
            }),
            AstNode::ObjectTransform { input, .. } | AstNode::Sort { input, .. } => self.top_level(input),
            AstNode::Conditional { condition, then_branch, else_branch } => {
                self.top_level(condition);
                self.top_level(then_branch);
                else_branch.iter().for_each(|branch| self.top_level(branch));
            }
            AstNode::FunctionApplication(inner) => self.top_level(inner),
            _ => {}
        }
    }

    fn refuse(&mut self, reference: &str) {
        if self.refused_once.insert(reference.to_owned()) {
            self.refused.push(reference.to_owned());
        }
    }

    fn need(&mut self, name: &str) -> &mut Need {
        self.needs.entry(name.to_owned()).or_default()
    }
}

/// The walk through every node, with the names that are bound inside the expression itself.
struct Walk<'a> {
    analysis: &'a mut Analysis,
    seen: BTreeSet<String>,
    /// The names that each scope binds.
    scopes: Vec<Vec<String>>,
    /// How many of the scopes bind a name.
    bound: BTreeMap<String, usize>,
    /// Whether `%` occurs, which leads out of any part.
    parents: bool,
}

impl<'a> Walk<'a> {
    fn new(analysis: &'a mut Analysis) -> Self {
        Walk {
            analysis,
            seen: BTreeSet::new(),
            scopes: vec![Vec::new()],
            bound: BTreeMap::new(),
            parents: false,
        }
    }

    fn bind(&mut self, name: &str) {
        let scope = self.scopes.last_mut().expect("the outermost scope is never left");
        scope.push(name.to_owned());
        *self.bound.entry(name.to_owned()).or_default() += 1;
    }

    fn scoped(&mut self, inner: impl FnOnce(&mut Self)) {
        self.scopes.push(Vec::new());
        inner(self);
        for name in self.scopes.pop().into_iter().flatten() {
            if let Some(scopes) = self.bound.get_mut(&name) {
                *scopes -= 1;
            }
        }
    }

    /// A variable, or a function by its name. What of a variable is needed is the caller's to say.
    fn read(&mut self, name: &str) {
        if name.is_empty() || self.bound.get(name).is_some_and(|scopes| *scopes > 0) {
            return;
        }
        if functions::is_function(name) {
            self.analysis.functions.insert(name.to_owned());
        } else if name != "states" && self.seen.insert(name.to_owned()) {
            self.analysis.variables.push(name.to_owned());
        }
    }

    fn nodes<'n>(&mut self, nodes: impl IntoIterator<Item = &'n AstNode>) {
        nodes.into_iter().for_each(|node| self.node(node));
    }

    fn node(&mut self, node: &AstNode) {
        match node {
            AstNode::Variable(name) => {
                self.read(name);
                self.analysis.need(name).whole = true;
            }
            AstNode::Parent(_) => self.parents = true,
            AstNode::Path { steps } => self.path(steps),
            AstNode::Binary { op: BinaryOp::ColonEqual, lhs, rhs } => self.assignment(lhs, rhs),
            AstNode::Binary { op: BinaryOp::FocusBind | BinaryOp::IndexBind, lhs, rhs } => {
                self.node(lhs);
                if let AstNode::Variable(name) = &**rhs {
                    self.bind(name);
                }
            }
            AstNode::Binary { lhs, rhs, .. } => self.nodes([&**lhs, &**rhs]),
            AstNode::Unary { operand, .. } => self.node(operand),
            AstNode::Function { name, args, is_builtin } => {
                if *is_builtin {
                    self.called(name);
                }
                self.nodes(args);
            }
            AstNode::Call { procedure, args } => {
                self.node(procedure);
                self.nodes(args);
            }
            AstNode::Lambda { params, body, .. } => self.scoped(|walk| {
                params.iter().for_each(|param| walk.bind(param));
                walk.node(body);
            }),
            AstNode::Array(items) | AstNode::ArrayGroup(items) => self.nodes(items),
            AstNode::Block(items) => self.scoped(|walk| walk.nodes(items)),
            AstNode::Object(pairs) => self.nodes(pairs.iter().flat_map(|(key, value)| [key, value])),
            AstNode::ObjectTransform { input, pattern } => {
                self.node(input);
                self.nodes(pattern.iter().flat_map(|(key, value)| [key, value]));
            }
            AstNode::Conditional { condition, then_branch, else_branch } => {
                self.nodes([&**condition, &**then_branch]);
                self.nodes(else_branch.as_deref());
            }
            AstNode::FunctionApplication(inner) => self.node(inner),
            AstNode::Sort { input, terms } => {
                self.node(input);
                self.nodes(terms.iter().map(|(term, _)| term));
            }
            AstNode::Transform { location, update, delete } => {
                self.nodes([&**location, &**update]);
                self.nodes(delete.as_deref());
            }
            AstNode::String(_)
            | AstNode::Name(_)
            | AstNode::Number(_)
            | AstNode::Boolean(_)
            | AstNode::Null
            | AstNode::Undefined
            | AstNode::Placeholder
            | AstNode::Regex { .. }
            | AstNode::ParentVariable(_)
            | AstNode::Wildcard
            | AstNode::Descendant => {}
        }
    }

    /// `$name(…)`: a function, or a variable that holds none, which AWS answers at run time.
    fn called(&mut self, name: &str) {
        if functions::is_function(name) {
            self.analysis.functions.insert(name.to_owned());
        } else {
            self.read(name);
            self.analysis.need(name).whole = true;
        }
    }

    /// A function may call itself by the name it is being given; any other right side sees the name's former value.
    fn assignment(&mut self, target: &AstNode, value: &AstNode) {
        let AstNode::Variable(name) = target else {
            self.analysis.bad_assignment = true;
            return self.nodes([target, value]);
        };
        let recursive = matches!(value, AstNode::Lambda { .. });
        if recursive {
            self.bind(name);
        }
        self.node(value);
        if !recursive {
            self.bind(name);
        }
    }

    fn path(&mut self, steps: &[PathStep]) {
        let Some(first) = steps.first() else { return };
        match &first.node {
            AstNode::Variable(name) if !name.is_empty() => {
                self.read(name);
                let mut need = self.analysis.need(name);
                let mut plain = is_plain(first);
                let mut rest = steps[1..].iter();
                while plain
                    && let Some(PathStep { node: AstNode::Name(member), .. }) = rest.as_slice().first()
                {
                    need = need.member(member);
                    plain = rest.next().is_some_and(is_plain);
                }
                need.whole = true;
            }
            other => self.node(other),
        }
        self.decorations(first);
        for step in &steps[1..] {
            self.node(&step.node);
            self.decorations(step);
        }
    }

    fn decorations(&mut self, step: &PathStep) {
        self.parents |= step.ancestor_label.is_some();
        step.focus.iter().chain(&step.index_var).for_each(|name| self.bind(name));
        for stage in &step.stages {
            match stage {
                Stage::Filter(predicate) => self.node(predicate),
                Stage::Index(name) => self.bind(name),
                Stage::KeepArray => {}
            }
        }
    }
}

/// A step that does nothing but look up.
pub(super) fn is_plain(step: &PathStep) -> bool {
    step.stages.is_empty()
        && step.focus.is_none()
        && step.index_var.is_none()
        && step.ancestor_label.is_none()
        && !step.is_tuple
        && !step.inner_tuple
}

#[cfg(test)]
mod tests {
    use super::super::syntax::{Parsed, parse};
    use super::*;

    fn analysis(text: &str) -> Analysis {
        match parse(text) {
            Ok(Parsed::Tree(tree)) => Analysis::of(&tree),
            _ => panic!("{text} does not parse"),
        }
    }

    /// Each was put to the service's validation: these it refuses, by this name.
    #[test]
    fn names_what_is_read_from_the_context_item() {
        for text in [
            "phone",
            "phone[0].number",
            "phone.number.street",
            "-phone",
            "phone ? 1 : 2",
            "$states.input.a ? phone : 2",
            "phone & 'x'",
            "phone in $states.input.b",
            "$sum(phone)",
            "phone(1)",
            "phone ~> $string()",
            "[1..phone]",
            "(phone)",
            "(phone).other",
            "[phone].other",
            "[phone, 1]",
            "{phone: 1}",
            "($x := phone; $x)",
            "$map($states.input.a, function($y){ phone })",
            "$count(phone[inner])",
            "phone.**.deeper",
        ] {
            assert_eq!(analysis(text).refused, ["phone"], "{text}");
        }
        for text in ["$", "$.phone", "$[0]", "$string($)", "$map($states.input.a, function($x){ $ })"] {
            assert_eq!(analysis(text).refused, ["$"], "{text}");
        }
        for text in ["$$", "$$.phone"] {
            assert_eq!(analysis(text).refused, ["$$"], "{text}");
        }
        assert_eq!(analysis("[bbb, aaa + bbb]").refused, ["bbb", "aaa"]);
    }

    /// These it accepts.
    #[test]
    fn accepts_names_that_have_a_context() {
        for text in [
            "$states.input.phone",
            "$states.input.a[0].phone",
            "$states.input.a.phone[0]",
            "$states.input.items[phone > 3]",
            "$states.input.a^(phone)",
            "$states.input.a{'k': phone}",
            "$states.input.a.(phone)",
            "$states.input.a.$phone",
            "$phone",
            "$states.input.a ~> $string()",
            "$states.input ~> |phone|{'b': 1}|",
            "**.phone",
            "{'k': 1}.phone",
            "$states.input.a[0][phone]",
            "$states.input.a[$ > 1]",
            "function($x){ $x.phone }",
            "$map($states.input.a, function($x){ $x.phone })",
            "'phone'",
            "1 + 1",
            "$now()",
        ] {
            assert_eq!(analysis(text).refused, [""; 0], "{text}");
        }
    }

    #[test]
    fn variables_are_those_bound_outside() {
        for (text, variables) in [
            ("$b + $a.c + $b", &["b", "a"][..]),
            ("($x := $x + 1; $x)", &["x"]),
            ("($x := 1; $x + $y)", &["y"]),
            ("$map($items, function($i, $n){ $i + $n + $bias })", &["items", "bias"]),
            ("($f := function($n){ $n ? $f($n - 1) : $z }; $f(3))", &["z"]),
            ("($a := 1; ($b := 2; $a + $b); $b)", &["b"]),
            ("$states.input.items@$i.parts#$n[$i.x = $n].{'k': $q}", &["q"]),
            ("$sum($states.input.a) + $count($map($v, $string))", &["v"]),
            ("$custom(1)", &["custom"]),
            ("$variable := 1", &[]),
        ] {
            assert_eq!(analysis(text).variables, variables, "{text}");
        }
    }

    #[test]
    fn needs_are_the_parts_that_paths_lead_to() {
        fn show(need: &Need) -> String {
            let members = need.members.iter().map(|(name, need)| format!("{name}{}", show(need)));
            let all = need.whole.then(|| "*".to_owned());
            format!("({})", all.into_iter().chain(members).collect::<Vec<_>>().join(" "))
        }
        for (text, expected) in [
            ("$states.input.a.b + $states.input.a.c", "(input(a(b(*) c(*))))"),
            ("$states.input.items[price > 3].name", "(input(items(*)))"),
            ("$states.input", "(input(*))"),
            ("$states", "(*)"),
            ("$states.*", "(*)"),
            ("$states.result.Payload.($.a)", "(result(Payload(*)))"),
            ("$states.input.a.b.{'x': %.c}", "(* input(a(b(*))))"),
            ("$states.input.items^(n).name", "(input(items(*)))"),
        ] {
            let analysis = analysis(text);
            assert_eq!(show(&analysis.needs["states"]), expected, "{text}");
        }
        assert!(analysis("[$states.errorOutput.Cause]").states("errorOutput"));
        assert!(!analysis("$states.input.errorOutput").states("errorOutput"));
    }
}
