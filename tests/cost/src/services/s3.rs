//! S3: objects of one bucket.

use bytes::Bytes;
use hyper::Method;

use super::{Answer, Asked, Services};

impl Services {
    pub(super) fn s3(&self, asked: &Asked) -> Answer {
        let mut state = self.state();
        let plain = |status, body| Answer { status, content: "binary/octet-stream", error: None, body };
        let (operation, meter) = match asked.method {
            Method::PUT => ("PutObject", Some("s3.puts")),
            Method::POST => ("DeleteObjects", None),
            Method::DELETE => ("DeleteObject", None),
            _ => ("GetObject", Some("s3.gets")),
        };
        state.usage.request("s3", operation);
        if let Some(meter) = meter {
            state.usage.add(meter, 1.0);
        }
        match asked.method {
            Method::PUT => {
                state.objects.insert(asked.path.clone(), asked.body.clone());
                plain(200, Bytes::new())
            }
            Method::DELETE => {
                state.objects.remove(&asked.path);
                plain(204, Bytes::new())
            }
            _ => match state.objects.get(&asked.path) {
                Some(object) => plain(200, object.clone()),
                None => {
                    let missing = "<Error><Code>NoSuchKey</Code><Message>none</Message></Error>";
                    Answer { status: 404, content: "application/xml", error: None, body: missing.into() }
                }
            },
        }
    }
}
