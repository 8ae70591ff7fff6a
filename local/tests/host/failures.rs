//! What a failure says.

use super::*;

#[tokio::test]
async fn a_python_exception_is_told_as_aws_tells_it() {
    if !have(PYTHON) {
        return;
    }
    let code = "class CustomException(Exception):\n    pass\n\ndef handler(event, context):\n    raise CustomException('no')\n";
    let function = python("exception", code);
    let file = folder_of(&function).canonicalize().unwrap().join("app.py");
    let outcome = invoke(&host(function), json!({})).await;
    assert!(matches!(outcome, Outcome::FunctionError(_)), "{outcome:?}");
    let text = std::str::from_utf8(outcome.payload()).unwrap();
    assert!(
        text.starts_with(r#"{"errorMessage": "no", "errorType": "CustomException", "requestId": ""#),
        "{text}"
    );
    let trace =
        format!("  File \"{}\", line 5, in handler\n    raise CustomException('no')\n", file.display());
    assert_eq!(told(&outcome)["stackTrace"], json!([trace]));
}

#[tokio::test]
async fn a_function_that_cannot_be_loaded_says_why() {
    let cases = [
        (
            PYTHON,
            "app.py",
            "import no_such_module",
            "app.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'app': No module named 'no_such_module'",
        ),
        (
            PYTHON,
            "app.py",
            "",
            "other.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'other': No module named 'other'",
        ),
        (
            PYTHON,
            "app.py",
            "x = 1",
            "app.handler",
            "Runtime.HandlerNotFound",
            "Handler 'handler' missing on module 'app'",
        ),
        (
            PYTHON,
            "app.py",
            "x = 1",
            "app",
            "Runtime.MalformedHandlerName",
            "Bad handler 'app': not enough values to unpack (expected 2, got 1)",
        ),
        (
            PYTHON,
            "app.py",
            "x = = 1",
            "app.handler",
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module 'app': invalid syntax (app.py, line 1)",
        ),
        (PYTHON, "app.py", "1 / 0", "app.handler", "ZeroDivisionError", "division by zero"),
        (
            PYTHON,
            "app.py",
            "import os; os._exit(1)",
            "app.handler",
            "Runtime.ExitError",
            "Error: Runtime exited with error: exit status 1",
        ),
        (
            NODE,
            "app.js",
            "require('no_such_module')",
            "app.handler",
            "Runtime.ImportModuleError",
            "Cannot find module 'no_such_module'",
        ),
        (
            NODE,
            "app.js",
            "",
            "other.handler",
            "Runtime.ImportModuleError",
            "Error: Cannot find module 'other'",
        ),
        (
            NODE,
            "app.js",
            "",
            "app.handler",
            "Runtime.HandlerNotFound",
            "app.handler is undefined or not exported",
        ),
        (NODE, "app.js", "", "app", "Runtime.MalformedHandlerName", "Bad handler app"),
        (NODE, "app.js", "const const", "app.handler", "Runtime.UserCodeSyntaxError", "SyntaxError: "),
        (NODE, "app.mjs", "throw new RangeError('far')", "app.handler", "RangeError", "far"),
    ];
    let (python, node) = (have(PYTHON), have(NODE));
    let cases: Vec<_> = cases.into_iter().filter(|case| if case.0 == NODE { node } else { python }).collect();
    let functions = cases.iter().enumerate().map(|(n, (runtime, file, code, handler, ..))| {
        let code = folder(&format!("init-{n}"), file, code);
        FunctionConfig::new(&format!("Test{n}"), Runtime::new(runtime), handler, code)
    });
    let functions = host_of(functions.collect());
    let calls: Vec<_> = cases
        .into_iter()
        .enumerate()
        .map(|(n, (.., error_type, message))| {
            let functions = functions.clone();
            tokio::spawn(async move {
                let outcome = invoke_named(&functions, &format!("Test{n}"), json!({})).await;
                assert!(matches!(outcome, Outcome::InitError(_)), "{n}: {outcome:?}");
                let told = told(&outcome);
                assert_eq!(told["errorType"], error_type, "{n}: {told}");
                assert!(told["errorMessage"].as_str().unwrap().contains(message), "{n}: {told}");
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let somewhere = folder("nothing", "file", "");
    for (runtime, code, want) in [
        ("java21", somewhere.clone(), "does not host `java21`"),
        ("provided.al2023", somewhere.clone(), "no executable `bootstrap` in `"),
        (PYTHON, somewhere.join("none"), "No such file or directory"),
        (PYTHON, somewhere.join("file"), "is not a folder"),
    ] {
        let outcome =
            invoke(&host(FunctionConfig::new("Test", Runtime::new(runtime), "a.b", code)), json!({})).await;
        let told = told(&outcome);
        assert!(matches!(outcome, Outcome::InitError(_)));
        assert_eq!(told["errorType"], "Runtime.InvalidEntrypoint");
        assert!(told["errorMessage"].as_str().unwrap().contains(want), "{told}");
    }
    let functions = host(FunctionConfig::new("Test", Runtime::new(PYTHON), "a.b", somewhere));
    let unknown = functions.invoke("Other", Bytes::new(), InvokeOptions::default()).await;
    assert!(matches!(unknown, Err(InvokeError::FunctionNotFound { name }) if name == "Other"));
    let options = InvokeOptions { client_context: Some("{\n}".to_owned()), ..InvokeOptions::default() };
    let unsayable = functions.invoke("Test", Bytes::new(), options).await;
    assert!(matches!(unsayable, Err(InvokeError::Header { .. })));
}

#[tokio::test]
async fn what_json_cannot_say_is_an_error() {
    if !have(PYTHON) {
        return;
    }
    let functions = host(python("marshal", "def handler(event, context):\n    return {1, 2}\n"));
    let outcome = invoke(&functions, json!({})).await;
    assert_eq!(told(&outcome)["errorType"], "Runtime.MarshalError");
    let outcome = functions.invoke("Test", Bytes::from("{"), InvokeOptions::default()).await.unwrap();
    assert_eq!(told(&outcome)["errorType"], "Runtime.UnmarshalError");
}

#[tokio::test]
async fn node_errors_that_nobody_catches() {
    if !have(NODE) {
        return;
    }
    let code = "class Busy extends Error { constructor(m) { super(m); this.name = 'Busy'; } }\n\
        exports.handler = (event, context, callback) => {\n\
          if (event === 'throw') throw new Busy('thrown');\n\
          if (event === 'later') setImmediate(() => { throw new Busy('thrown later'); });\n\
          if (event === 'reject') Promise.reject(new Busy('rejected'));\n\
          if (event === 'never') return new Promise(() => {});\n\
          if (event === 'exit') process.exit(7);\n\
          if (event === 'pid') callback(null, process.pid);\n\
        };";
    let functions = host(node("uncaught", "app.js", code));
    for (event, error_type, message) in [
        ("throw", "Busy", "thrown"),
        ("later", "Busy", "thrown later"),
        ("reject", "Runtime.UnhandledPromiseRejection", "Busy: rejected"),
        ("never", "Runtime.NodeJsExit", "neither resolved nor rejected"),
        ("exit", "Runtime.ExitError", "exit status 7"),
    ] {
        succeed(&functions, json!("pid")).await;
        let told = told(&invoke(&functions, json!(event)).await);
        assert_eq!(told["errorType"], error_type, "{event}: {told}");
        assert!(told["errorMessage"].as_str().unwrap().contains(message), "{event}: {told}");
    }
}
