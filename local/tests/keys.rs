//! `stepwell keys` from outside.

use std::path::Path;
use std::process::{Command, Output};

fn keys(folder: &Path, arguments: &[&str]) -> Output {
    let program = Command::new(env!("CARGO_BIN_EXE_stepwell"))
        .arg("keys")
        .args(arguments)
        .args(["--data-dir", "data"])
        .current_dir(folder)
        .output();
    program.expect("the program starts")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

#[test]
fn keys_are_created_listed_and_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    assert_eq!(stdout(&keys(folder, &["list"])), "");
    let created = stdout(&keys(folder, &["create", "--description", "ci"]));
    let value = |name: &str| {
        let line = created.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("{name} in {created}")).to_owned()
    };
    let (id, secret) = (value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY"));
    assert_eq!((id.len(), secret.len(), &id[..4]), (20, 40, "SWAK"));

    let other = stdout(&keys(folder, &["create", "--account", "000000000002", "--json"]));
    let other: serde_json::Value = serde_json::from_str(&other).expect("JSON");
    assert_eq!(other["AccessKey"]["Account"], "000000000002");

    let listed = stdout(&keys(folder, &["list"]));
    assert!(listed.contains(&format!("{id}  123456789012  ")) && listed.contains("  ci\n"), "{listed}");
    assert!(!listed.contains(&secret), "{listed}");
    assert_eq!(listed.lines().count(), 2);

    stdout(&keys(folder, &["delete", &id]));
    assert_eq!(stdout(&keys(folder, &["list"])).lines().count(), 1);
    for (arguments, expected) in [
        (vec!["delete", &*id], "there is no access key"),
        (vec!["create", "--account", "12"], "it has to be 12 digits"),
    ] {
        let refused = keys(folder, &arguments);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains(expected), "{refused:?}");
    }
}
