//! Bench client for any Step Functions endpoint (AWS JSON 1.0 over HTTP).
//! Prints one JSON line. The README beside says what is measured; `main` reads the options.
use bytes::Bytes;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use stepwell_bench::client::{Conn, Err};
use stepwell_bench::{Args, Workload, machine, tree, workload};

struct Cfg {
    endpoint: String,
    w: Workload,
    arn: String,
    sync: bool,
    http_path: Option<String>,
    start_only: bool,
    poll_min_ms: f64,
    start_body: Bytes,
    names: bool,
    seq: AtomicU64,
    describers: usize,
    /// Of those started lately, for `--describe`.
    latest: Mutex<Vec<String>>,
}

#[derive(Default)]
struct Shared {
    done: AtomicU64,
    started: AtomicU64,
    failed: AtomicU64,
    describes: AtomicU64,
    ewma_us: AtomicU64,
}

fn check(w: &Workload, out: &str) -> Result<(), String> {
    let Some((p, want)) = &w.expect else { return Ok(()) };
    let v: Value = serde_json::from_str(out).map_err(|e| format!("output is not JSON: {e}"))?;
    let same = match v.pointer(p) {
        Some(g) => g == want || (g.as_f64().is_some() && g.as_f64() == want.as_f64()),
        None => false,
    };
    if same {
        Ok(())
    } else {
        Err(format!("output at {p} is not {want}: {}", out.chars().take(200).collect::<String>()))
    }
}

/// One execution from start to finish: (client latency us, server latency us if told).
async fn one(c: &mut Conn, cfg: &Cfg, sh: &Shared) -> Result<(u64, Option<u64>), Err> {
    let t = Instant::now();
    if let Some(p) = &cfg.http_path {
        sh.started.fetch_add(1, Relaxed);
        let (st, b) = c.send("POST", p, None, Bytes::from(cfg.w.input.clone())).await?;
        if st >= 300 {
            return Err(format!(
                "{p}: {st}: {}",
                String::from_utf8_lossy(&b).chars().take(300).collect::<String>()
            )
            .into());
        }
        return Ok((t.elapsed().as_micros() as u64, None));
    }
    let op = if cfg.sync { "StartSyncExecution" } else { "StartExecution" };
    let body = if cfg.names {
        // ,"name":"..."} put in place of the closing brace, so that the input is serialised only once
        let n = cfg.seq.fetch_add(1, Relaxed);
        let tail = format!(",\"name\":\"b-{}-{n}\"}}", std::process::id());
        let mut v = Vec::with_capacity(cfg.start_body.len() + tail.len());
        v.extend_from_slice(&cfg.start_body[..cfg.start_body.len() - 1]);
        v.extend_from_slice(tail.as_bytes());
        Bytes::from(v)
    } else {
        cfg.start_body.clone()
    };
    let (st, b) = c.send("POST", "/", Some(op), body).await?;
    if st != 200 {
        return Err(format!(
            "{op}: {st}: {}",
            String::from_utf8_lossy(&b).chars().take(400).collect::<String>()
        )
        .into());
    }
    let started = sh.started.fetch_add(1, Relaxed);
    if cfg.describers > 0 && started.is_multiple_of(16) {
        let v: Value = serde_json::from_slice(&b)?;
        let mut latest = cfg.latest.lock().unwrap();
        let at = (started / 16) as usize % LATEST;
        if at < latest.len() {
            latest[at] = v["executionArn"].as_str().unwrap_or_default().to_string();
        } else {
            latest.push(v["executionArn"].as_str().unwrap_or_default().to_string());
        }
    }
    if cfg.start_only {
        return Ok((t.elapsed().as_micros() as u64, None));
    }
    let v: Value = serde_json::from_slice(&b)?;
    let fin = if cfg.sync {
        v
    } else {
        let req = json!({"executionArn": v["executionArn"]});
        // first look when most executions are nearly done, so that looking costs the server little
        let est = sh.ewma_us.load(Relaxed) as f64;
        let so_far = t.elapsed().as_micros() as f64;
        let first = est * 0.95 - so_far;
        if first > 200.0 {
            tokio::time::sleep(Duration::from_micros(first as u64)).await;
        }
        loop {
            let d = c.sfn("DescribeExecution", &req).await?;
            sh.describes.fetch_add(1, Relaxed);
            if d["status"] != "RUNNING" {
                break d;
            }
            if t.elapsed() > Duration::from_secs(120) {
                return Err("an execution ran past 120 s".into());
            }
            let step = (t.elapsed().as_micros() as f64 * 0.05).clamp(cfg.poll_min_ms * 1000.0, 200_000.0);
            tokio::time::sleep(Duration::from_micros(step as u64)).await;
        }
    };
    let us = t.elapsed().as_micros() as u64;
    if fin["status"] != "SUCCEEDED" {
        let s = fin.to_string();
        return Err(format!(
            "execution ended {}: {}",
            fin["status"],
            s.chars().take(500).collect::<String>()
        )
        .into());
    }
    check(&cfg.w, fin["output"].as_str().unwrap_or("null"))?;
    let srv = match (fin["startDate"].as_f64(), fin["stopDate"].as_f64()) {
        (Some(a), Some(b)) if b >= a => Some(((b - a) * 1e6) as u64),
        _ => None,
    };
    // guided by the server's own figure, as the client's would feed on itself
    let (old, new) = (sh.ewma_us.load(Relaxed), srv.unwrap_or(us / 2));
    sh.ewma_us.store(if old == 0 { new } else { (old * 7 + new) / 8 }, Relaxed);
    Ok((us, srv))
}

/// Executions that `--describe` chooses from.
const LATEST: usize = 1000;
/// How long a describer rests between its calls.
const DESCRIBE_EVERY: Duration = Duration::from_millis(5);

/// Describes executions that were started lately, one each five milliseconds: what somebody who looks on meets.
async fn describe(cfg: Arc<Cfg>, until: Instant) -> Histogram<u64> {
    let mut c = Conn::new(&cfg.endpoint);
    let mut h = Histogram::<u64>::new_with_bounds(1, 600_000_000, 3).unwrap();
    let mut at = 0usize;
    while Instant::now() < until {
        tokio::time::sleep(DESCRIBE_EVERY).await;
        at = at.wrapping_add(7919);
        let arn = {
            let latest = cfg.latest.lock().unwrap();
            if latest.is_empty() {
                continue;
            }
            latest[at % latest.len()].clone()
        };
        let t = Instant::now();
        if let Err(e) = c.sfn("DescribeExecution", &json!({"executionArn": arn})).await {
            eprintln!("error: {e}");
            break;
        }
        let _ = h.record((t.elapsed().as_micros() as u64).max(1));
    }
    h
}

struct Phase {
    /// What describers saw.
    hd: Histogram<u64>,
    elapsed: f64,
    n: u64,
    h: Histogram<u64>,
    hs: Histogram<u64>,
}

async fn phase(cfg: &Arc<Cfg>, sh: &Arc<Shared>, conc: usize, seconds: f64, limit: u64) -> Phase {
    let t0 = Instant::now();
    let until = t0 + Duration::from_secs_f64(seconds);
    let budget = Arc::new(AtomicU64::new(limit));
    let mut js = Vec::new();
    let ds: Vec<_> = (0..cfg.describers).map(|_| tokio::spawn(describe(cfg.clone(), until))).collect();
    for _ in 0..conc {
        let (cfg, sh, budget) = (cfg.clone(), sh.clone(), budget.clone());
        js.push(tokio::spawn(async move {
            let mut c = Conn::new(&cfg.endpoint);
            let mut h = Histogram::<u64>::new_with_bounds(1, 600_000_000, 3).unwrap();
            let mut hs = h.clone();
            let mut n = 0;
            let mut errs = 0;
            while Instant::now() < until {
                if budget.fetch_update(Relaxed, Relaxed, |b| b.checked_sub(1)).is_err() {
                    break;
                }
                match one(&mut c, &cfg, &sh).await {
                    Ok((us, srv)) => {
                        n += 1;
                        sh.done.fetch_add(1, Relaxed);
                        let _ = h.record(us.max(1));
                        if let Some(s) = srv {
                            let _ = hs.record(s.max(1));
                        }
                    }
                    Err(e) => {
                        if sh.failed.fetch_add(1, Relaxed) < 3 {
                            eprintln!("error: {e}");
                        }
                        errs += 1;
                        c.sender = None;
                        if errs > 20 {
                            break;
                        }
                    }
                }
            }
            (n, h, hs)
        }));
    }
    let mut p = Phase {
        hd: Histogram::new_with_bounds(1, 600_000_000, 3).unwrap(),
        elapsed: 0.0,
        n: 0,
        h: Histogram::new_with_bounds(1, 600_000_000, 3).unwrap(),
        hs: Histogram::new_with_bounds(1, 600_000_000, 3).unwrap(),
    };
    for j in js {
        if let Ok((n, h, hs)) = j.await {
            p.n += n;
            let _ = p.h.add(h);
            let _ = p.hs.add(hs);
        }
    }
    p.elapsed = t0.elapsed().as_secs_f64();
    for d in ds {
        if let Ok(h) = d.await {
            let _ = p.hd.add(h);
        }
    }
    p
}

fn r(x: f64, d: i32) -> Value {
    let m = 10f64.powi(d);
    json!((x * m).round() / m)
}
fn q(h: &Histogram<u64>, p: f64) -> Value {
    if h.is_empty() { Value::Null } else { r(h.value_at_quantile(p) as f64 / 1000.0, 3) }
}

async fn stub_calls(ep: &Option<String>) -> Option<u64> {
    let ep = ep.as_ref()?;
    let (_, b) = Conn::new(ep).send("GET", "/stats", None, Bytes::new()).await.ok()?;
    serde_json::from_slice::<Value>(&b).ok()?["calls"].as_u64()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Err> {
    let a = Args::from_command_line();
    if a.has("--write-definitions") {
        let dir = a.get("--write-definitions").unwrap();
        std::fs::create_dir_all(&dir)?;
        for n in stepwell_bench::ALL {
            let w = workload(n).unwrap();
            std::fs::write(
                format!("{dir}/{n}.asl.json"),
                serde_json::to_string_pretty(&w.definition)? + "\n",
            )?;
            if n != "W6" {
                std::fs::write(format!("{dir}/{n}.input.json"), w.input.clone() + "\n")?;
            }
        }
        return Ok(());
    }
    let Some(mut w) = a.get("--workload").and_then(|n| workload(&n)) else {
        eprintln!(
            "usage: bench --endpoint URL --workload W1|W2|W3|W4|W4J|W5|W6|W7 [--concurrency 16] [--seconds 20] ... (see README.md)"
        );
        std::process::exit(2);
    };
    let endpoint = a.get("--endpoint").unwrap_or("http://127.0.0.1:8083".into());
    let conc: usize = a.num("--concurrency", 16);
    let seconds: f64 = a.num("--seconds", 20.0);
    let warm: f64 = a.num("--warmup", 2.0);
    let lambda = a.get("--lambda-endpoint");
    let kind = a.get("--type").unwrap_or("STANDARD".into()).to_uppercase();
    let sync = a.has("--sync");
    let pids: Vec<u32> = a
        .get("--server-pid")
        .map(|s| s.split(',').filter_map(|p| p.parse().ok()).collect())
        .unwrap_or_default();
    let http_path = a.get("--http-path");
    if let Some(t) = a.get("--transitions") {
        w.transitions = t.parse()?;
    }
    if a.has("--no-check") {
        w.expect = None;
    }
    if let Some(t) = a.get("--lambda-calls") {
        w.lambda_calls = t.parse()?;
    }
    let start_only = w.name == "W5" || w.name == "W7" || a.has("--start-only");
    let limit: u64 = a.num("--executions", if w.name == "W7" { 10_000 } else { u64::MAX });
    let mut ctl = Conn::new(&endpoint);
    let arn = if http_path.is_some() {
        String::new()
    } else {
        let name = format!("bench-{}-{}", w.name, std::process::id());
        let v = ctl
            .sfn("CreateStateMachine", &json!({"name": name, "definition": w.definition.to_string(),
                "roleArn": a.get("--role-arn").unwrap_or("arn:aws:iam::000000000000:role/bench".into()), "type": kind}))
            .await?;
        v["stateMachineArn"].as_str().unwrap_or_default().to_string()
    };
    let start_body = Bytes::from(json!({"stateMachineArn": arn, "input": w.input}).to_string());
    let cfg = Arc::new(Cfg {
        endpoint: endpoint.clone(),
        arn,
        sync,
        http_path,
        start_only,
        poll_min_ms: a.num("--poll-min-ms", 1.0),
        start_body,
        names: !a.has("--no-names"),
        seq: AtomicU64::new(0),
        describers: a.num("--describe", 0),
        latest: Mutex::default(),
        w,
    });
    let w = &cfg.w;
    let sh = Arc::new(Shared::default());
    if warm > 0.0 && w.name != "W7" && !cfg.start_only {
        phase(&cfg, &sh, conc, warm, u64::MAX).await;
        if sh.done.load(Relaxed) == 0 {
            return Err("no execution succeeded in the warm-up".into());
        }
    }
    for x in [&sh.done, &sh.started, &sh.failed, &sh.describes] {
        x.store(0, Relaxed);
    }
    let calls0 = stub_calls(&lambda).await;
    let me0 = tree(&[std::process::id()]).0;
    let (cpu0, rss0) = tree(&pids);
    let m0 = machine();
    let t0 = Instant::now();
    let p = phase(&cfg, &sh, conc, seconds, limit).await;
    let mut out = serde_json::Map::new();
    let mut total = p.elapsed;
    if cfg.start_only && w.name == "W5" && cfg.http_path.is_none() {
        // all of them must also finish
        loop {
            let l = ctl
                .sfn(
                    "ListExecutions",
                    &json!({"stateMachineArn": cfg.arn, "statusFilter": "RUNNING", "maxResults": 1}),
                )
                .await?;
            if l["executions"].as_array().map(|x| x.is_empty()).unwrap_or(true) {
                break;
            }
            if t0.elapsed().as_secs_f64() > seconds + 120.0 {
                out.insert("unfinished".into(), json!(true));
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        total = t0.elapsed().as_secs_f64();
    }
    let (cpu1, rss1) = tree(&pids);
    let me1 = tree(&[std::process::id()]).0;
    let m1 = machine();
    let calls1 = stub_calls(&lambda).await;
    let n = p.n as f64;
    let trans = n * w.transitions as f64;
    if let Some(t) = a.get("--tag") {
        out.insert("tag".into(), json!(t));
    }
    out.insert("workload".into(), json!(w.name));
    out.insert("concurrency".into(), json!(conc));
    out.insert("executions".into(), json!(p.n));
    out.insert("elapsed_s".into(), r(total, 3));
    out.insert("executions_per_s".into(), r(n / total, 2));
    out.insert("transitions_per_s".into(), r(trans / total, 1));
    if cfg.start_only {
        out.insert("starts_per_s".into(), r(n / p.elapsed, 1));
    }
    out.insert("p50_ms".into(), q(&p.h, 0.5));
    out.insert("p99_ms".into(), q(&p.h, 0.99));
    out.insert("server_reported_p50_ms".into(), q(&p.hs, 0.5));
    out.insert("server_reported_p99_ms".into(), q(&p.hs, 0.99));
    if cfg.describers > 0 {
        out.insert("describes".into(), json!(p.hd.len()));
        out.insert("describe_p50_ms".into(), q(&p.hd, 0.5));
        out.insert("describe_p99_ms".into(), q(&p.hd, 0.99));
    }
    out.insert("errors".into(), json!(sh.failed.load(Relaxed)));
    if let (Some(x), Some(y)) = (calls0, calls1) {
        out.insert("lambda_calls_per_execution".into(), r((y - x) as f64 / n.max(1.0), 2));
        out.insert("lambda_calls_expected".into(), json!(w.lambda_calls));
    }
    if !cfg.sync && !cfg.start_only {
        out.insert("describes_per_execution".into(), r(sh.describes.load(Relaxed) as f64 / n.max(1.0), 2));
    }
    if !pids.is_empty() {
        out.insert("server_cpu_s".into(), r(cpu1 - cpu0, 2));
        out.insert("server_cpu_ms_per_execution".into(), r((cpu1 - cpu0) * 1000.0 / n.max(1.0), 4));
        out.insert("server_cpu_s_per_1000_transitions".into(), r((cpu1 - cpu0) * 1000.0 / trans.max(1.0), 5));
        out.insert("server_rss_mb_before".into(), r(rss0, 1));
        out.insert("server_rss_mb".into(), r(rss1, 1));
    }
    out.insert("client_cpu_s".into(), r(me1 - me0, 2));
    // the stub and everything else on the machine: how noisy this run was
    out.insert("other_cpu_s".into(), r((m1.0 - m0.0 - (cpu1 - cpu0) - (me1 - me0)).max(0.0), 2));
    out.insert("stolen_cpu_s".into(), r(m1.1 - m0.1, 2));
    if w.name == "W7" && !pids.is_empty() {
        out.insert("parked_kb_each".into(), r((rss1 - rss0) * 1024.0 / n.max(1.0), 2));
        let idle: f64 = a.num("--idle-seconds", 5.0);
        tokio::time::sleep(Duration::from_secs_f64(idle)).await;
        let (cpu2, rss2) = tree(&pids);
        out.insert("idle_cpu_percent".into(), r((cpu2 - cpu1) / idle * 100.0, 1));
        out.insert("rss_mb_after_idle".into(), r(rss2, 1));
    }
    println!("{}", Value::Object(out));
    if cfg.http_path.is_none() && a.has("--delete") {
        let _ = ctl.sfn("DeleteStateMachine", &json!({"stateMachineArn": cfg.arn})).await;
    }
    // parked executions are left as they are: stop the server to drop them
    Ok(())
}
