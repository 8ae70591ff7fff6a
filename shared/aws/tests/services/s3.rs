//! Objects in S3.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use stepwell_aws::{Blobs, S3Blobs, S3Error, SystemClock};
use stepwell_integrations::{Aws, Endpoints, Keys, Service};

use crate::bucket::{Bucket, KEYS};

/// Names another S3 to run the suite against, such as that of ministack.
const OTHER: &str = "STEPWELL_TEST_S3";

fn blobs(endpoint: &str, bucket: &str, keys: (&str, &str)) -> S3Blobs {
    let endpoints = Endpoints::aws().with(Service::S3, endpoint);
    let aws = Aws::new("us-east-1", endpoints, Keys::fixed(keys.0, keys.1, None));
    S3Blobs::new(&aws, bucket, Arc::new(SystemClock::default()))
}

/// What objects are: put, read, put again, deleted by what their keys begin with.
async fn suite(blobs: &dyn Blobs) {
    let large = Bytes::from(vec![7_u8; 3 << 20]);
    assert_eq!(blobs.get("runs/1/absent").await.expect("it answers"), None);
    for (key, bytes) in [("runs/1/a", &large), ("runs/1/b", &Bytes::from_static(b"b")), ("runs/10/a", &large)]
    {
        blobs.put(key, bytes.clone()).await.expect("put");
        blobs.put(key, bytes.clone()).await.expect("put again");
        assert_eq!(blobs.get(key).await.expect("it answers").as_ref(), Some(bytes), "{key}");
    }
    let odd = "map-runs/arn:aws:states:us-east-1:1:mapRun:größe & co/l:1/c";
    blobs.put(odd, Bytes::new()).await.expect("put");
    assert_eq!(blobs.get(odd).await.expect("it answers"), Some(Bytes::new()));
    for n in 0..7 {
        blobs.put(&format!("runs/1/c{n}"), Bytes::from_static(b"c")).await.expect("put");
    }
    blobs.delete("runs/1/").await.expect("deleted");
    blobs.delete("runs/1/").await.expect("there is nothing to delete");
    assert_eq!(blobs.get("runs/1/a").await.expect("it answers"), None);
    assert_eq!(blobs.get("runs/1/c6").await.expect("it answers"), None);
    assert!(blobs.get("runs/10/a").await.expect("it answers").is_some());
    blobs.delete_one("runs/10/a").await.expect("deleted");
    blobs.delete_one("runs/10/a").await.expect("there is nothing to delete");
    assert_eq!(blobs.get("runs/10/a").await.expect("it answers"), None);
}

#[tokio::test]
async fn objects_are_put_read_and_deleted() {
    let bucket = Bucket::start().await;
    let blobs = blobs(&bucket.endpoint, "b", KEYS);
    suite(&blobs).await;
    // The stub leaves keys escaped.
    let odd = "map-runs/arn%3Aaws%3Astates%3Aus-east-1%3A1%3AmapRun%3Agr%C3%B6%C3%9Fe%20%26%20co/l%3A1/c";
    assert_eq!(bucket.keys(), [odd]);
}

#[tokio::test]
async fn another_s3_does_the_same() {
    static BUCKETS: AtomicU32 = AtomicU32::new(0);
    let Ok(endpoint) = crate::support::other(OTHER) else {
        return println!("{OTHER} names no S3: skipped");
    };
    let name = format!("stepwell-{}-{}", std::process::id(), BUCKETS.fetch_add(1, Ordering::Relaxed));
    let keys = ("123456789012", "test");
    let blobs = blobs(&endpoint, &name, keys);
    let missing = blobs.put("runs/1/a", Bytes::new()).await.expect_err("there is no bucket yet");
    assert!(missing.to_string().contains("NoSuchBucket"), "{missing}");
    // A bucket is made as an object without a key is put.
    let aws = Aws::new(
        "us-east-1",
        Endpoints::aws().with(Service::S3, &*endpoint),
        Keys::fixed(keys.0, keys.1, None),
    );
    let client = stepwell_integrations::ServiceClient::new(&aws, Service::S3);
    let request =
        http::Request::put(format!("{endpoint}/{name}")).body(Bytes::new()).expect("it is a request");
    let made = client.send(request, 10_000, std::time::Duration::from_secs(10)).await.expect("it answers");
    assert_eq!(made.status, 200, "{made:?}");
    suite(&blobs).await;
}

#[tokio::test]
async fn a_bucket_that_is_busy_is_asked_again_for_a_while() {
    let bucket = Bucket::start().await;
    let blobs = blobs(&bucket.endpoint, "b", KEYS);
    bucket.fail(2);
    blobs.put("runs/1/a", Bytes::from_static(b"a")).await.expect("put in the end");
    assert_eq!(bucket.take(), ["PUT runs/1/a"; 3]);
    bucket.fail(u32::MAX);
    let busy = blobs.get_object("runs/1/a").await.expect_err("it is always busy");
    assert!(matches!(busy, S3Error::Refused { status: 503, .. }), "{busy}");
    assert_eq!(bucket.take(), ["GET runs/1/a"; 4]);
}

#[tokio::test]
async fn a_refusal_is_not_tried_again() {
    let bucket = Bucket::start().await;
    let stranger = blobs(&bucket.endpoint, "b", ("AKID", "another"));
    let refused = stranger.get_object("runs/1/a").await.expect_err("it is signed with another key");
    assert!(refused.to_string().contains("403 SignatureDoesNotMatch: so"), "{refused}");
    assert_eq!(bucket.take(), ["GET runs/1/a"]);
}
