//! A connection to any endpoint of the Step Functions API (AWS JSON 1.0 over HTTP).
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::Value;

pub type Err = Box<dyn std::error::Error + Send + Sync>;

pub struct Conn {
    host: String,
    pub sender: Option<SendRequest<Full<Bytes>>>,
}
impl Conn {
    pub fn new(endpoint: &str) -> Self {
        let h = endpoint.trim_start_matches("http://").trim_end_matches('/').to_string();
        Conn { host: h, sender: None }
    }
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        target: Option<&str>,
        body: Bytes,
    ) -> Result<(u16, Bytes), Err> {
        for attempt in 0..3 {
            if self.sender.as_ref().map(|s| s.is_closed()).unwrap_or(true) {
                let s = tokio::net::TcpStream::connect(&self.host).await?;
                s.set_nodelay(true)?;
                let (snd, conn) = hyper::client::conn::http1::handshake(TokioIo::new(s)).await?;
                tokio::spawn(async move {
                    let _ = conn.await;
                });
                self.sender = Some(snd);
            }
            let snd = self.sender.as_mut().unwrap();
            if snd.ready().await.is_err() {
                self.sender = None;
                continue;
            }
            let mut r = Request::builder().method(method).uri(path).header("host", &self.host);
            if let Some(t) = target {
                r = r
                    .header("x-amz-target", format!("AWSStepFunctions.{t}"))
                    .header("content-type", "application/x-amz-json-1.0")
                    .header("x-amz-date", "20260101T000000Z")
                    .header("authorization", "AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/states/aws4_request, SignedHeaders=host;x-amz-date, Signature=0000000000000000000000000000000000000000000000000000000000000000");
            } else {
                r = r.header("content-type", "application/json");
            }
            match snd.send_request(r.body(Full::new(body.clone()))?).await {
                Ok(resp) => {
                    let st = resp.status().as_u16();
                    let b = resp.into_body().collect().await?.to_bytes();
                    return Ok((st, b));
                }
                // a kept-alive connection may have been closed under us: once more on a new one
                Err(e) if attempt < 2 && (e.is_canceled() || e.is_incomplete_message() || e.is_closed()) => {
                    self.sender = None
                }
                Err(e) => return Err(e.into()),
            }
        }
        Err("connection kept closing".into())
    }
    pub async fn sfn(&mut self, op: &str, v: &Value) -> Result<Value, Err> {
        let (st, b) = self.send("POST", "/", Some(op), Bytes::from(v.to_string())).await?;
        if st != 200 {
            return Err(format!(
                "{op}: {st}: {}",
                String::from_utf8_lossy(&b).chars().take(400).collect::<String>()
            )
            .into());
        }
        Ok(serde_json::from_slice(&b)?)
    }
}
