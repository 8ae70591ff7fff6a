//! When processes are started and ended.

use super::*;

#[tokio::test]
async fn a_process_that_ends_fails_its_call_and_the_next_call_gets_another() {
    if !have(PYTHON) {
        return;
    }
    let code = "import os, signal\n\
        def handler(event, context):\n    \
            if event == 'exit': os._exit(3)\n    \
            if event == 'kill': os.kill(os.getpid(), signal.SIGKILL)\n    \
            if event == 'quit': raise SystemExit(0)\n    \
            return os.getpid()\n";
    let functions = host(python("crash", code));
    let mut pids = BTreeSet::new();
    for (event, want) in [
        ("exit", "Runtime exited with error: exit status 3"),
        ("kill", "Runtime exited with error: signal: killed"),
        ("quit", "Runtime exited without providing a reason"),
    ] {
        pids.insert(succeed(&functions, json!("")).await.as_u64());
        let outcome = invoke(&functions, json!(event)).await;
        let Outcome::Crashed { reason, .. } = &outcome else { panic!("{event}: {outcome:?}") };
        assert_eq!(reason, want);
        let told = told(&outcome);
        assert_eq!(told["errorType"], "Runtime.ExitError");
        assert!(told["errorMessage"].as_str().unwrap().ends_with(&format!(" Error: {want}")), "{told}");
    }
    assert_eq!(pids.len(), 3);
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_killed() {
    for runtime in [PYTHON, NODE] {
        if !have(runtime) {
            continue;
        }
        let mut function = if runtime == PYTHON {
            python(
                "timeout",
                "import os\ndef handler(event, context):\n    while event: pass\n    return os.getpid()\n",
            )
        } else {
            let code = "exports.handler = async (event) => { while (event) {} return process.pid; };";
            node("timeout-node", "app.js", code)
        };
        function.timeout = Duration::from_secs(1);
        let functions = host(function);
        let before = succeed(&functions, json!(false)).await;
        let outcome = invoke(&functions, json!(true)).await;
        assert!(matches!(outcome, Outcome::Timeout(_)), "{outcome:?}");
        let told = told(&outcome);
        assert_eq!(told["errorType"], "Sandbox.Timedout");
        let message = told["errorMessage"].as_str().unwrap();
        assert!(message.ends_with(" Error: Task timed out after 1.00 seconds"), "{message}");
        assert_ne!(succeed(&functions, json!(false)).await, before);
    }
}

/// Tells its process id over a connection that closes when it ends, and then never comes back.
const SPIN_PYTHON: &str = "import os, socket\n\
    def handler(event, context):\n    \
        peer = socket.create_connection(('127.0.0.1', event))\n    \
        peer.sendall(b'here\\n')\n    \
        while True: pass\n";

const SPIN_NODE: &str = "const net = require('net');\n\
    exports.handler = (event) => new Promise(() => {\n\
      const peer = net.connect(event, '127.0.0.1', () => peer.write('here\\n', () => { for (;;) {} }));\n\
    });";

fn spinning(runtime: &str, test: &str) -> FunctionConfig {
    let mut function = match runtime {
        PYTHON => python(test, SPIN_PYTHON),
        _ => node(test, "app.js", SPIN_NODE),
    };
    function.timeout = Duration::from_secs(60);
    function
}

#[tokio::test]
async fn no_process_outlives_the_host() {
    for runtime in [PYTHON, NODE] {
        if !have(runtime) {
            continue;
        }
        let functions = host(spinning(runtime, &format!("drop-{runtime}")));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let call = {
            let functions = functions.clone();
            tokio::spawn(async move {
                functions.invoke("Test", Bytes::from(port.to_string()), InvokeOptions::default()).await
            })
        };
        let (mut peer, _) = listener.accept().await.unwrap();
        // The call holds a clone; a caller that is gone does not keep the host.
        call.abort();
        let _ = call.await;
        drop(functions);
        let mut told = String::new();
        let read = tokio::io::AsyncReadExt::read_to_string(&mut peer, &mut told);
        // A process that is killed resets its connection or closes it.
        let _ = tokio::time::timeout(Duration::from_secs(5), read).await.expect("the process was killed");
    }
}

#[test]
fn no_process_outlives_a_program_that_is_killed() {
    for runtime in [PYTHON, NODE] {
        if !have(runtime) {
            continue;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut program = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "lifetime::the_program_that_is_killed", "--nocapture"])
            .env("STEPWELL_TEST_SPIN", format!("{runtime} {port}"))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let (peer, _) = listener.accept().unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut peer = BufReader::new(peer);
        let mut told = String::new();
        peer.read_line(&mut told).unwrap();
        assert_eq!(told, "here\n");
        program.kill().unwrap();
        program.wait().unwrap();
        match peer.read_to_string(&mut told) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("{runtime} goes on"),
            _ => {}
        }
    }
}

/// Not a test: what the test before this one starts and kills.
#[tokio::test]
async fn the_program_that_is_killed() {
    let Ok(told) = std::env::var("STEPWELL_TEST_SPIN") else { return };
    let (runtime, port) = told.split_once(' ').unwrap();
    let functions = host(spinning(runtime, &format!("killed-{runtime}")));
    invoke(&functions, port.parse().unwrap()).await;
}

#[tokio::test]
async fn changed_code_is_taken_up() {
    if !have(PYTHON) {
        return;
    }
    let code = |version: &str| {
        format!("import os\ndef handler(event, context):\n    return ['{version}', os.getpid()]\n")
    };
    let function = python("changed", &code("first"));
    let options = HostOptions { code_interval: Duration::ZERO, ..HostOptions::default() };
    let functions = Functions::new(vec![function], options);
    let first = succeed(&functions, json!({})).await;
    assert_eq!(first[0], "first");
    assert_eq!(succeed(&functions, json!({})).await, first);
    python("changed", &code("the second"));
    assert_eq!(succeed(&functions, json!({})).await[0], "the second");
}

#[tokio::test]
async fn an_idle_process_is_ended() {
    if !have(PYTHON) {
        return;
    }
    let code = "import socket\npeer = None\n\
        def handler(event, context):\n    \
            global peer\n    \
            peer = socket.create_connection(('127.0.0.1', event))\n";
    let options = HostOptions { idle_timeout: Duration::from_millis(20), ..HostOptions::default() };
    let functions = Functions::new(vec![python("idle", code)], options);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (_, accepted) = tokio::join!(succeed(&functions, json!(port)), listener.accept());
    let mut peer = accepted.unwrap().0;
    let mut told = [0; 1];
    let read = tokio::io::AsyncReadExt::read(&mut peer, &mut told);
    let _ = tokio::time::timeout(Duration::from_secs(5), read).await.expect("the process was ended");
}
