//! `stepwell keys` from outside.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
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

/// The function of a deployment, behind an endpoint of Lambda and of CloudFormation on loopback.
fn lambda() -> (String, std::thread::JoinHandle<Vec<String>>) {
    const ANSWERS: [(&str, &str); 5] = [
        (
            "",
            "<Outputs><member><OutputKey>KeysFunctionArn</OutputKey><OutputValue>arn:aws:lambda:eu-west-1:1:function:s-keys\
              </OutputValue></member><member><OutputKey>KeysUrl</OutputKey><OutputValue>https://k/</OutputValue></member></Outputs>",
        ),
        (
            "",
            r#"{"AccessKey":{"AccessKeyId":"SWAKAAAAAAAAAAAAAAAA","SecretAccessKey":"s","Account":"1","CreateDate":"2026-11-20T06:00:00Z"}}"#,
        ),
        (
            "",
            r#"{"AccessKeys":[{"AccessKeyId":"SWAKAAAAAAAAAAAAAAAA","Account":"1","CreateDate":"2026-11-20T06:00:00Z","Description":"ci"}]}"#,
        ),
        ("", "{}"),
        (
            "X-Amz-Function-Error: Unhandled\r\n",
            r#"{"errorType":"NoSuchEntity","errorMessage":"there is no access key x"}"#,
        ),
    ];
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
    let serving = std::thread::spawn(move || {
        let mut asked = vec![];
        for (header, body) in ANSWERS {
            let (mut stream, _) = listener.accept().expect("somebody asks");
            let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
            let (mut head, mut length) = (String::new(), 0);
            while !head.ends_with("\r\n\r\n") {
                let at = head.len();
                reader.read_line(&mut head).expect("a head");
                if let Some(value) = head[at..].to_ascii_lowercase().strip_prefix("content-length: ") {
                    length = value.trim().parse().expect("a length");
                }
            }
            let mut sent = vec![0; length];
            reader.read_exact(&mut sent).expect("a body");
            let line = head.lines().next().unwrap_or_default();
            asked.push(format!("{line} {}", String::from_utf8_lossy(&sent)));
            let answer = format!(
                "HTTP/1.1 200 OK\r\n{header}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).expect("it is read");
        }
        asked
    });
    (endpoint, serving)
}

#[test]
fn a_deployments_keys_are_its_functions() {
    let (endpoint, serving) = lambda();
    let run = |arguments: &[&str]| {
        let program = Command::new(env!("CARGO_BIN_EXE_stepwell"))
            .arg("keys")
            .args(arguments)
            .env("AWS_ENDPOINT_URL", &endpoint)
            .envs([
                ("AWS_ACCESS_KEY_ID", "AKID"),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
                ("AWS_REGION", "us-east-1"),
            ])
            .output();
        program.expect("the program starts")
    };
    let created = stdout(&run(&["create", "--description", "ci", "--stack", "s"]));
    let expected =
        "AWS_ACCESS_KEY_ID=SWAKAAAAAAAAAAAAAAAA\nAWS_SECRET_ACCESS_KEY=s\nAWS_ENDPOINT_URL_SFN=https://k/\n";
    assert_eq!(created, expected);
    let function = ["--function", "s-keys"];
    let listed = stdout(&run(&[&["list"], &function[..]].concat()));
    assert_eq!(listed, "SWAKAAAAAAAAAAAAAAAA  1  2026-11-20T06:00:00Z  ci\n");
    assert_eq!(stdout(&run(&[&["delete", "SWAKAAAAAAAAAAAAAAAA"], &function[..]].concat())), "");
    let refused = run(&[&["delete", "x"], &function[..]].concat());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("there is no access key x"), "{refused:?}");
    let asked = serving.join().expect("all were asked");
    assert_eq!(
        asked,
        [
            "POST / HTTP/1.1 Action=DescribeStacks&Version=2010-05-15&StackName=s",
            r#"POST /2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A1%3Afunction%3As-keys/invocations HTTP/1.1 {"operation":"CreateAccessKey","description":"ci"}"#,
            r#"POST /2015-03-31/functions/s-keys/invocations HTTP/1.1 {"operation":"ListAccessKeys"}"#,
            r#"POST /2015-03-31/functions/s-keys/invocations HTTP/1.1 {"operation":"DeleteAccessKey","accessKeyId":"SWAKAAAAAAAAAAAAAAAA"}"#,
            r#"POST /2015-03-31/functions/s-keys/invocations HTTP/1.1 {"operation":"DeleteAccessKey","accessKeyId":"x"}"#,
        ]
    );
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
