//! The least a durable orchestrator must do, and nothing else: take an HTTP request, parse its JSON,
//! make rows durable in SQLite (WAL) by group commit, answer. An upper bound for a real one.
//!   floor --port 9100 --db floor.db [--sync FULL|NORMAL|OFF]
//! POST /chain/N  N rows one after another, each durable before the next is written
//! POST /batch/N  N rows in one commit (a run of pure states that nothing outside can see)
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use std::sync::mpsc;
use tokio::sync::oneshot;

struct Job {
    rows: usize,
    blob: Bytes,
    done: oneshot::Sender<()>,
}

fn main() {
    let a = stepwell_bench::Args::from_command_line();
    let port: u16 = a.num("--port", 9100);
    let db = a.get("--db").unwrap_or("floor.db".into());
    let sync = a.get("--sync").unwrap_or("FULL".into());
    for s in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{db}{s}"));
    }
    let (tx, rx) = mpsc::channel::<Job>();
    std::thread::spawn(move || {
        let mut c = rusqlite::Connection::open(&db).unwrap();
        c.pragma_update(None, "journal_mode", "WAL").unwrap();
        c.pragma_update(None, "synchronous", &sync).unwrap();
        c.pragma_update(None, "wal_autocheckpoint", 8000).unwrap();
        c.execute_batch("create table ev(x integer, s integer, b blob, primary key(x,s)) without rowid")
            .unwrap();
        let mut x = 0i64;
        while let Ok(first) = rx.recv() {
            let mut jobs = vec![first];
            while let Ok(j) = rx.try_recv() {
                jobs.push(j);
                if jobs.len() >= 2000 {
                    break;
                }
            }
            let t = c.transaction().unwrap();
            {
                let mut st = t.prepare_cached("insert into ev values(?,?,?)").unwrap();
                for j in &jobs {
                    x += 1;
                    for s in 0..j.rows {
                        st.execute(rusqlite::params![x, s as i64, &j.blob[..]]).unwrap();
                    }
                }
            }
            t.commit().unwrap();
            for j in jobs {
                let _ = j.done.send(());
            }
        }
    });
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    rt.block_on(async move {
        let l = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("bind");
        loop {
            let Ok((s, _)) = l.accept().await else { continue };
            let _ = s.set_nodelay(true);
            let tx = tx.clone();
            tokio::spawn(async move {
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(
                        TokioIo::new(s),
                        service_fn(move |r: Request<Incoming>| {
                            let tx = tx.clone();
                            async move {
                                let path = r.uri().path().to_string();
                                let body = r.into_body().collect().await?.to_bytes();
                                let v: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
                                let n: usize = path.rsplit('/').next().and_then(|n| n.parse().ok()).unwrap_or(1);
                                let (turns, rows) = if path.starts_with("/batch") { (1, n) } else { (n, 1) };
                                for _ in 0..turns {
                                    let (d, w) = oneshot::channel();
                                    let blob = Bytes::from(format!("{{\"type\":\"PassStateEntered\",\"state\":\"S1\",\"input\":{v},\"at\":1795143622.308}}"));
                                    let _ = tx.send(Job { rows, blob, done: d });
                                    let _ = w.await;
                                }
                                Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from_static(b"{\"status\":\"SUCCEEDED\"}"))))
                            }
                        }),
                    )
                    .await;
            });
        }
    });
}
