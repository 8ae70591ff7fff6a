//! S3: objects of one bucket, named in the path.

use bytes::Bytes;
use hyper::Method;

use super::{Answer, Asked, Services};

impl Services {
    pub(super) fn s3(&self, asked: &Asked) -> Answer {
        let is_list = asked.query.contains("list-type=2");
        let (operation, meter) = match asked.method {
            Method::PUT => ("PutObject", Some("s3.puts")),
            Method::POST => ("DeleteObjects", None),
            Method::DELETE => ("DeleteObject", None),
            _ if is_list => ("ListObjectsV2", Some("s3.lists")),
            _ => ("GetObject", Some("s3.gets")),
        };
        let mut state = self.state();
        state.usage.request("s3", operation);
        if let Some(meter) = meter {
            state.usage.add(meter, 1.0);
        }
        let plain = |status, body| Answer { status, content: "application/xml", error: None, body };
        match operation {
            "PutObject" => {
                state.objects.insert(asked.path.clone(), asked.body.clone());
                plain(200, Bytes::new())
            }
            "DeleteObject" => {
                state.objects.remove(&asked.path);
                plain(204, Bytes::new())
            }
            "DeleteObjects" => {
                let body = String::from_utf8_lossy(&asked.body).into_owned();
                let keys = body.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
                for key in keys {
                    state.objects.remove(&format!("{}/{key}", asked.path.trim_end_matches('/')));
                }
                plain(200, "<DeleteResult></DeleteResult>".into())
            }
            "ListObjectsV2" => {
                let prefix = asked.query.split('&').find_map(|part| part.strip_prefix("prefix="));
                let prefix = prefix.unwrap_or_default().replace("%2F", "/");
                let bucket = format!("{}/", asked.path.trim_end_matches('/'));
                let keys = state.objects.keys().filter_map(|path| path.strip_prefix(&bucket));
                let keys = keys.filter(|key| key.starts_with(&prefix)).take(1000);
                let keys: String = keys.map(|key| format!("<Contents><Key>{key}</Key></Contents>")).collect();
                let truncated = "<IsTruncated>false</IsTruncated>";
                plain(200, format!("<ListBucketResult>{truncated}{keys}</ListBucketResult>").into())
            }
            _ => match state.objects.get(&asked.path) {
                Some(object) => plain(200, object.clone()),
                None => plain(404, "<Error><Code>NoSuchKey</Code></Error>".into()),
            },
        }
    }
}
