//! A stand-in for the Lambda Invoke API: answers every invocation with its own payload.
//!   stub --port 9001 [--delay-ms 0] [--threads 1]
//! POST /2015-03-31/functions/{name}/invocations -> 200, the request body back
//! GET  /stats -> {"calls":N,"max_in_flight":M}   (POST /stats/reset clears both)
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static CALLS: AtomicU64 = AtomicU64::new(0);
static CUR: AtomicU64 = AtomicU64::new(0);
static MAX: AtomicU64 = AtomicU64::new(0);

async fn serve(req: Request<Incoming>, delay: u64) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let path = req.uri().path().to_string();
    if path == "/stats" && req.method() == Method::GET {
        let s = format!("{{\"calls\":{},\"max_in_flight\":{}}}", CALLS.load(Relaxed), MAX.load(Relaxed));
        return Ok(Response::new(Full::new(Bytes::from(s))));
    }
    if path == "/stats/reset" {
        CALLS.store(0, Relaxed);
        MAX.store(0, Relaxed);
        return Ok(Response::new(Full::new(Bytes::from_static(b"{}"))));
    }
    let cur = CUR.fetch_add(1, Relaxed) + 1;
    MAX.fetch_max(cur, Relaxed);
    let body = req.into_body().collect().await?.to_bytes();
    if delay > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(delay)).await;
    }
    CALLS.fetch_add(1, Relaxed);
    CUR.fetch_sub(1, Relaxed);
    Ok(Response::builder()
        .header("content-type", "application/json")
        .header("x-amz-executed-version", "$LATEST")
        .header("x-amzn-requestid", "00000000-0000-0000-0000-000000000000")
        .body(Full::new(body))
        .unwrap())
}

fn main() {
    let a = stepwell_bench::Args::from_command_line();
    let (port, delay, threads): (u16, u64, usize) =
        (a.num("--port", 9001), a.num("--delay-ms", 0), a.num("--threads", 1));
    let rt =
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap();
    rt.block_on(async move {
        let l = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("bind");
        eprintln!("stub on 127.0.0.1:{port}");
        loop {
            let Ok((s, _)) = l.accept().await else { continue };
            let _ = s.set_nodelay(true);
            tokio::spawn(async move {
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(s), service_fn(move |r| serve(r, delay)))
                    .await;
            });
        }
    });
}
