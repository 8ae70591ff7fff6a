//! Mermaid's `stateDiagram-v2`.

use std::fmt::Write;

use super::{EdgeKind, Graph, Node, label, type_name};
use crate::{Definition, StateKind};

/// The definition as Mermaid text, with Parallel and Map states as composite states, conditions at the edges of
/// Choice states, and errors at those of Catchers.
pub fn mermaid(definition: &Definition) -> String {
    let mut drawing = Drawing { out: "stateDiagram-v2\n".to_owned(), classes: Vec::new(), next: 0 };
    drawing.graph(&Graph::of(definition, definition.root()), 1);
    for (name, style) in STYLES {
        drawing.line(1, &format!("classDef {name} {style}"));
    }
    for (id, class) in std::mem::take(&mut drawing.classes) {
        drawing.line(1, &format!("class {id} {class}"));
    }
    drawing.out
}

struct Drawing {
    out: String,
    /// Which class each node has. Classes of composite states cannot be set, so those are left out.
    classes: Vec<(String, String)>,
    next: usize,
}

impl Drawing {
    fn line(&mut self, depth: usize, text: &str) {
        let indent = depth.min(40) * 4;
        let _ = writeln!(self.out, "{:indent$}{text}", "");
    }

    fn graph(&mut self, graph: &Graph<'_>, depth: usize) {
        let first = self.next;
        self.next += graph.nodes.len();
        let id = |node: usize| format!("s{}", first + node);
        for (at, node) in graph.nodes.iter().enumerate() {
            self.node(node, &id(at), depth);
        }
        if !graph.nodes.is_empty() {
            self.line(depth, &format!("[*] --> {}", id(graph.start)));
        }
        for edge in &graph.edges {
            let label = escaped(&label::cut(&edge.label, 60));
            let label = match edge.kind {
                EdgeKind::Next => String::new(),
                EdgeKind::Choice => format!(" : {label}"),
                EdgeKind::Catch => format!(" : catch {label}"),
            };
            self.line(depth, &format!("{} --> {}{label}", id(edge.from), id(edge.to)));
        }
        for (at, node) in graph.nodes.iter().enumerate() {
            if node.ends || matches!(node.state.kind, StateKind::Fail(_)) {
                self.line(depth, &format!("{} --> [*]", id(at)));
            }
        }
    }

    fn node(&mut self, node: &Node<'_>, id: &str, depth: usize) {
        let name = escaped(&node.state.name);
        if node.inner.is_empty() {
            self.line(depth, &format!("state \"{name}\" as {id}"));
            self.classes.push((id.to_owned(), type_name(node.state).to_lowercase()));
            return;
        }
        self.line(depth, &format!("state \"{name} ({})\" as {id} {{", type_name(node.state)));
        for (at, inner) in node.inner.iter().enumerate() {
            if at > 0 {
                self.line(depth + 1, "--");
            }
            self.graph(inner, depth + 1);
        }
        self.line(depth, "}");
    }
}

/// Text that Mermaid shows as it is.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '#' | ';' | ':' | '{' | '}' | '<' | '>' | '%' | '&' | '`' | '\\' => {
                let _ = write!(out, "#{};", u32::from(c));
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

const STYLES: [(&str, &str); 6] = [
    ("task", "fill:#e7f1fd,stroke:#2f6fc4"),
    ("pass", "fill:#f3f4f6,stroke:#6b7280"),
    ("choice", "fill:#fff4d6,stroke:#b7791f"),
    ("wait", "fill:#f1ebfd,stroke:#7c4dcc"),
    ("succeed", "fill:#e3f6e8,stroke:#2f8a4c"),
    ("fail", "fill:#fde8e8,stroke:#c23b3b"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Format, MachineType, parse};

    fn check(definition: &str, expected: &str) {
        let definition = parse(definition, Format::Json, MachineType::Standard).definition.expect("valid");
        let text = mermaid(&definition);
        let drawn = text.split("    classDef").next().unwrap_or_default();
        assert_eq!(drawn, expected.trim_start_matches('\n'));
    }

    #[test]
    fn nests_blocks_and_labels_edges() {
        check(
            r#"{"StartAt":"A: \"x\"","States":{"A: \"x\"":{"Type":"Choice","Choices":[{"Not":{"Variable":"$.n","NumericLessThan":1.50},"Next":"M"}],"Default":"F"},
                "M":{"Type":"Map","ItemProcessor":{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}},"Catch":[{"ErrorEquals":["E","G"],"Next":"F"}],"End":true},
                "F":{"Type":"Fail"}}}"#,
            r#"
stateDiagram-v2
    state "A#58; #34;x#34;" as s0
    state "M (Map)" as s1 {
        state "P" as s3
        [*] --> s3
        s3 --> [*]
    }
    state "F" as s2
    [*] --> s0
    s0 --> s1 : not ($.n #60; 1.50)
    s0 --> s2 : Default
    s1 --> s2 : catch E, G
    s1 --> [*]
    s2 --> [*]
"#,
        );
    }
}
