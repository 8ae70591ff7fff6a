//! The arrows between the crates (ARCHITECTURE.md, "Who may use whom"), held against `cargo metadata`; and what functions carry.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::shell::{cargo, output};

/// Which crates of ours each crate may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("stepwell-expr", &[]),
    ("stepwell-asl", &["stepwell-expr"]),
    ("stepwell-interpreter", &["stepwell-asl", "stepwell-expr"]),
    ("stepwell-models", &[]),
    ("stepwell-engine", &["stepwell-interpreter", "stepwell-asl", "stepwell-expr"]),
    (
        "stepwell-integrations",
        &["stepwell-engine", "stepwell-models", "stepwell-interpreter", "stepwell-asl", "stepwell-expr"],
    ),
    (
        "stepwell-wire",
        &["stepwell-engine", "stepwell-models", "stepwell-interpreter", "stepwell-asl", "stepwell-expr"],
    ),
    (
        "stepwell-access",
        &["stepwell-wire", "stepwell-engine", "stepwell-interpreter", "stepwell-asl", "stepwell-expr"],
    ),
    (
        "stepwell-aws",
        &[
            "stepwell-access",
            "stepwell-wire",
            "stepwell-integrations",
            "stepwell-engine",
            "stepwell-interpreter",
            "stepwell-asl",
            "stepwell-expr",
        ],
    ),
    (
        "stepwell-local",
        &[
            "stepwell-wire",
            "stepwell-integrations",
            "stepwell-engine",
            "stepwell-interpreter",
            "stepwell-asl",
            "stepwell-expr",
        ],
    ),
];

/// What the packages of Lambda functions are named, and what they may depend on.
const FUNCTION: &str = "stepwell-function-";
const FUNCTIONS: &[&str] = &[
    "stepwell-aws",
    "stepwell-wire",
    "stepwell-integrations",
    "stepwell-engine",
    "stepwell-interpreter",
    "stepwell-asl",
    "stepwell-expr",
];

/// The crates that are pure, and what may be nowhere beneath them.
const PURE: &[&str] = &["stepwell-expr", "stepwell-asl", "stepwell-interpreter", "stepwell-models"];
const IMPURE: &[&str] =
    &["tokio", "async-std", "smol", "getrandom", "rand", "hyper", "aws-config", "rusqlite"];

/// A crate that brings an impure one along for functions that ours takes the place of (`$random`, `$now` …).
const OVERRIDDEN: &[&str] = &["jsonata-core"];

/// What tests of any member may use.
const TEST_SUPPORT: &[&str] = &["stepwell-test-lambda", "stepwell-test-support"];

/// Members that stand outside the arrows: they may use what they need, and nothing may use them.
const OUTSIDE: &[&str] = &[
    "stepwell",
    "stepwell-conformance",
    "stepwell-limits",
    "stepwell-simulation",
    "stepwell-model",
    "stepwell-bench",
    "stepwell-cost",
    "stepwell-fuzz",
    "stepwell-test-lambda",
    "stepwell-test-support",
    "xtask",
];

pub(crate) fn check() -> Result<()> {
    let platform = ["--filter-platform", "x86_64-unknown-linux-gnu"];
    let text = output(cargo().args(["metadata", "--format-version", "1"]).args(platform))?;
    let metadata: Value = serde_json::from_str(&text).context("cargo metadata")?;
    let mut faults = edges(&metadata);
    faults.extend(impurities(&metadata));
    let packages = list(&metadata, "packages").iter().filter_map(|package| package["name"].as_str());
    for function in packages.filter(|name| name.starts_with(FUNCTION)) {
        let tree = ["tree", "--package", function, "--edges", "normal", "--prefix", "none"];
        faults.extend(burdens(function, &output(cargo().args(tree))?));
    }
    if !faults.is_empty() {
        bail!("the architecture is broken:\n  {}", faults.join("\n  "));
    }
    println!("architecture: every edge is one that is drawn");
    Ok(())
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// What `name` may depend on, where it is one that arrows are drawn for.
fn drawn(name: &str) -> Option<&'static [&'static str]> {
    if name.starts_with(FUNCTION) {
        return Some(FUNCTIONS);
    }
    ARROWS.iter().find(|(from, _)| *from == name).map(|(_, to)| *to)
}

/// Edges between members that are not drawn. Tests may use the test support, and nothing else beyond the arrows.
fn edges(metadata: &Value) -> Vec<String> {
    let members: BTreeSet<_> = list(metadata, "workspace_members").iter().filter_map(Value::as_str).collect();
    let packages =
        list(metadata, "packages").iter().filter(|p| p["id"].as_str().is_some_and(|id| members.contains(id)));
    let names: BTreeSet<_> = packages.clone().filter_map(|p| p["name"].as_str()).collect();
    let mut faults = vec![];
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let drawn = drawn(name);
        if drawn.is_none() && !OUTSIDE.contains(&name) {
            faults.push(format!("{name} has no place in the architecture"));
        }
        for dependency in list(package, "dependencies") {
            let to = dependency["name"].as_str().unwrap_or_default();
            let is_test = dependency["kind"].as_str() == Some("dev");
            let allowed = match drawn {
                Some(drawn) => drawn.contains(&to) || (is_test && TEST_SUPPORT.contains(&to)),
                None => !["stepwell", "xtask"].contains(&to) && !to.starts_with(FUNCTION),
            };
            if names.contains(to) && !allowed {
                faults.push(format!("{name} -> {to} is not drawn"));
            }
        }
    }
    faults
}

/// What a function carries that it must not: AWS's SDKs, whose clients are four times those of ours. `tree` is what `cargo tree` prints,
/// since the metadata of a workspace tells what any member adds to what they share.
fn burdens(function: &str, tree: &str) -> Vec<String> {
    let names: BTreeSet<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    let heavy = names.into_iter().filter(|name| name.starts_with("aws-"));
    heavy.map(|name| format!("{function} carries {name}")).collect()
}

/// What a pure crate must not have beneath it, by its normal dependencies.
fn impurities(metadata: &Value) -> Vec<String> {
    let names: BTreeMap<_, _> = list(metadata, "packages")
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?, package["name"].as_str()?)))
        .collect();
    let beneath: BTreeMap<_, Vec<_>> = list(&metadata["resolve"], "nodes")
        .iter()
        .filter_map(|node| {
            let normal = list(node, "deps")
                .iter()
                .filter(|dep| {
                    list(dep, "dep_kinds")
                        .iter()
                        .any(|kind| kind["kind"].is_null() && kind["target"].is_null())
                })
                .filter_map(|dep| dep["pkg"].as_str());
            Some((node["id"].as_str()?, normal.collect()))
        })
        .collect();
    let mut faults = vec![];
    for (id, name) in names.iter().filter(|(_, name)| PURE.contains(name)) {
        let (mut seen, mut todo) = (BTreeSet::new(), vec![*id]);
        while let Some(at) = todo.pop() {
            let overridden = names.get(at).is_some_and(|name| OVERRIDDEN.contains(name));
            if seen.insert(at) && !overridden {
                todo.extend(beneath.get(at).into_iter().flatten().copied());
            }
        }
        for found in seen.iter().filter_map(|id| names.get(id)).filter(|found| IMPURE.contains(found)) {
            faults.push(format!("{name} is pure, but {found} is beneath it"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_workspace_keeps_to_the_arrows() {
        super::check().unwrap();
    }

    #[test]
    fn an_edge_that_is_not_drawn_is_found() {
        let metadata = serde_json::json!({
            "workspace_members": ["a", "b"],
            "packages": [
                {"id": "a", "name": "stepwell-expr", "dependencies": [{"name": "stepwell-engine", "kind": null}]},
                {"id": "b", "name": "stepwell-engine", "dependencies": []},
            ],
        });
        assert_eq!(super::edges(&metadata), ["stepwell-expr -> stepwell-engine is not drawn"]);
    }

    #[test]
    fn the_functions_have_the_ports_of_aws_only() {
        let used = |to| serde_json::json!([{"name": to, "kind": null}]);
        let metadata = serde_json::json!({
            "workspace_members": ["f", "a", "l"],
            "packages": [
                {"id": "f", "name": "stepwell-function-start", "dependencies": used("stepwell-local")},
                {"id": "a", "name": "stepwell-aws", "dependencies": used("stepwell-local")},
                {"id": "l", "name": "stepwell-local", "dependencies": []},
            ],
        });
        let faults = [
            "stepwell-function-start -> stepwell-local is not drawn",
            "stepwell-aws -> stepwell-local is not drawn",
        ];
        assert_eq!(super::edges(&metadata), faults);
    }

    #[test]
    fn an_sdk_in_a_function_is_found() {
        let tree = "stepwell-function-step v0.1.0 (/w)\nstepwell-aws v0.1.0 (/w)\naws-config v1.8.0\nring v0.17.0 (*)\n";
        assert_eq!(
            super::burdens("stepwell-function-step", tree),
            ["stepwell-function-step carries aws-config"]
        );
    }

    #[test]
    fn a_runtime_beneath_a_pure_crate_is_found() {
        let kind = serde_json::json!([{"kind": null, "target": null}]);
        let metadata = serde_json::json!({
            "packages": [{"id": "a", "name": "stepwell-expr"}, {"id": "b", "name": "x"}, {"id": "c", "name": "tokio"}],
            "resolve": {"nodes": [
                {"id": "a", "deps": [{"pkg": "b", "dep_kinds": kind}]},
                {"id": "b", "deps": [{"pkg": "c", "dep_kinds": kind}]},
                {"id": "c", "deps": []},
            ]},
        });
        assert_eq!(super::impurities(&metadata), ["stepwell-expr is pure, but tokio is beneath it"]);
    }
}
