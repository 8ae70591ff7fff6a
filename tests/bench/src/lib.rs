//! The workloads, and what the measuring tools share.
//!
//! It knows state machines as JSON and processes by their ids. It does not know Stepwell: the tools measure any endpoint of
//! the Step Functions API.
use serde_json::{Value, json};

pub mod client;
#[cfg(feature = "load")]
pub mod load;

pub const LAMBDA_FN: &str = "arn:aws:lambda:us-east-1:000000000000:function:echo";

pub struct Workload {
    pub name: String,
    pub definition: Value,
    pub input: String,
    /// States entered by one execution (what AWS bills as transitions, less the start).
    pub transitions: u64,
    /// Lambda calls made by one execution.
    pub lambda_calls: u64,
    /// JSON pointer and value the output must hold.
    pub expect: Option<(String, Value)>,
}

fn chain(n: usize, mk: impl Fn(usize) -> Value) -> Value {
    let mut states = serde_json::Map::new();
    for i in 1..=n {
        let mut s = mk(i);
        let o = s.as_object_mut().unwrap();
        if i == n {
            o.insert("End".into(), json!(true));
        } else {
            o.insert("Next".into(), json!(format!("S{}", i + 1)));
        }
        states.insert(format!("S{i}"), s);
    }
    json!({"StartAt": "S1", "States": states})
}

fn lambda_task() -> Value {
    json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": LAMBDA_FN, "Payload.$": "$"},
        "OutputPath": "$.Payload"
    })
}

/// About 200,000 bytes of ordinary JSON: an array of small records.
pub fn big_input() -> String {
    let mut recs = Vec::new();
    let mut i = 0u64;
    loop {
        recs.push(json!({
            "id": format!("rec-{i:06}"), "qty": i % 97, "price": (i as f64) * 0.25 + 0.5,
            "active": i.is_multiple_of(2), "tags": ["alpha", "beta", "gamma"],
            "note": "a line of ordinary text, neither very long nor very short"
        }));
        i += 1;
        if i.is_multiple_of(20) {
            let s = json!({"records": recs}).to_string();
            if s.len() >= 200_000 {
                return s;
            }
        }
    }
}

pub fn workload(name: &str) -> Option<Workload> {
    let up = name.to_uppercase();
    let w = |definition, input: String, transitions, lambda_calls, expect: Option<(&str, Value)>| {
        Some(Workload {
            name: up.clone(),
            definition,
            input,
            transitions,
            lambda_calls,
            expect: expect.map(|(p, v)| (p.to_string(), v)),
        })
    };
    let small = r#"{"n":7,"who":"bench"}"#.to_string();
    match up.as_str() {
        "W1" => w(chain(100, |_| json!({"Type": "Pass"})), small, 100, 0, Some(("/n", json!(7)))),
        "W2" => w(chain(10, |_| lambda_task()), small, 10, 10, Some(("/n", json!(7)))),
        "W3" => {
            let items: Vec<u32> = (0..100).collect();
            let mut t = lambda_task();
            t.as_object_mut().unwrap().insert("End".into(), json!(true));
            w(
                json!({"StartAt": "Fan", "States": {"Fan": {
                    "Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": 40,
                    "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"},
                        "StartAt": "Call", "States": {"Call": t}},
                    "End": true}}}),
                json!({"items": items}).to_string(),
                101,
                100,
                Some(("/99", json!(99))),
            )
        }
        "W4" => w(
            json!({"StartAt": "Init", "States": {
                "Init": {"Type": "Pass", "Result": {"i": 0}, "Next": "Loop"},
                "Loop": {"Type": "Choice", "Choices": [
                    {"Variable": "$.i", "NumericLessThan": 1000, "Next": "Inc"}], "Default": "Done"},
                "Inc": {"Type": "Pass", "Parameters": {"i.$": "States.MathAdd($.i, 1)"}, "Next": "Loop"},
                "Done": {"Type": "Succeed"}}}),
            "{}".into(),
            2003,
            0,
            Some(("/i", json!(1000))),
        ),
        "W4J" => w(
            json!({"QueryLanguage": "JSONata", "StartAt": "Init", "States": {
                "Init": {"Type": "Pass", "Assign": {"i": 0}, "Next": "Loop"},
                "Loop": {"Type": "Choice", "Choices": [
                    {"Condition": "{% $i < 1000 %}", "Next": "Inc"}], "Default": "Done"},
                "Inc": {"Type": "Pass", "Assign": {"i": "{% $i + 1 %}"}, "Next": "Loop"},
                "Done": {"Type": "Succeed", "Output": {"i": "{% $i %}"}}}}),
            "{}".into(),
            2003,
            0,
            Some(("/i", json!(1000))),
        ),
        "W5" => w(chain(1, |_| json!({"Type": "Pass"})), "{}".into(), 1, 0, None),
        "W6" => w(
            chain(10, |_| json!({"Type": "Pass"})),
            big_input(),
            10,
            0,
            Some(("/records/0/id", json!("rec-000000"))),
        ),
        "W7" => w(
            json!({"StartAt": "Park", "States": {
                "Park": {"Type": "Wait", "Seconds": 86400, "Next": "Done"},
                "Done": {"Type": "Succeed"}}}),
            small,
            1,
            0,
            None,
        ),
        _ => None,
    }
}

pub const ALL: [&str; 8] = ["W1", "W2", "W3", "W4", "W4J", "W5", "W6", "W7"];

/// Options of the form `--name value` or a bare `--flag`.
pub struct Args(Vec<String>);
impl Args {
    pub fn from_command_line() -> Self {
        Args(std::env::args().skip(1).collect())
    }
    pub fn get(&self, k: &str) -> Option<String> {
        self.0.iter().rposition(|a| a == k).and_then(|i| self.0.get(i + 1).cloned())
    }
    pub fn num<T: std::str::FromStr>(&self, k: &str, d: T) -> T {
        match self.get(k) {
            None => d,
            Some(v) => v.parse().unwrap_or_else(|_| {
                eprintln!("{k}: not a number: {v}");
                std::process::exit(2)
            }),
        }
    }
    pub fn has(&self, k: &str) -> bool {
        self.0.iter().any(|a| a == k)
    }
}

/// CPU seconds and resident MiB of some processes and all their descendants.
pub fn tree(pids: &[u32]) -> (f64, f64) {
    if pids.is_empty() {
        return (0.0, 0.0);
    }
    let mut parent: Vec<(u32, u32, f64, f64)> = vec![];
    if let Ok(rd) = std::fs::read_dir("/proc") {
        for e in rd.flatten() {
            let Ok(pid) = e.file_name().to_string_lossy().parse::<u32>() else { continue };
            let Ok(st) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
            let Some(r) = st.rfind(')') else { continue };
            let f: Vec<&str> = st[r + 2..].split(' ').collect();
            // after the name: state ppid ... utime(11) stime(12) ... rss(21)
            let ppid = f[1].parse().unwrap_or(0);
            let cpu: f64 = f[11].parse::<f64>().unwrap_or(0.0) + f[12].parse::<f64>().unwrap_or(0.0);
            let rss: f64 = f[21].parse::<f64>().unwrap_or(0.0) * 4096.0 / 1048576.0;
            parent.push((pid, ppid, cpu / 100.0, rss));
        }
    }
    let mut inset: std::collections::HashSet<u32> = pids.iter().copied().collect();
    loop {
        let n = inset.len();
        for p in &parent {
            if inset.contains(&p.1) {
                inset.insert(p.0);
            }
        }
        if inset.len() == n {
            break;
        }
    }
    parent.iter().filter(|p| inset.contains(&p.0)).fold((0.0, 0.0), |a, p| (a.0 + p.2, a.1 + p.3))
}

/// Busy CPU seconds of the whole machine so far, and those stolen from it by the host.
pub fn machine() -> (f64, f64) {
    let s = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let f: Vec<f64> =
        s.lines().next().unwrap_or("").split_whitespace().skip(1).filter_map(|x| x.parse().ok()).collect();
    if f.len() < 8 {
        return (0.0, 0.0);
    }
    ((f[0] + f[1] + f[2] + f[5] + f[6]) / 100.0, f[7] / 100.0)
}
