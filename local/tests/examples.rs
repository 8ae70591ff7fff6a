//! The functions of the examples do what the comment at their top says, under the project file they come with.

#![allow(clippy::unwrap_used, reason = "the lint's exception for tests does not reach their helpers")]

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use serde_json::{Value, json};
use stepwell::config::Project;
use stepwell::host::{Functions, HostOptions, InvokeOptions, LogSink};

/// Calls each function with its input, and checks the members of its result that are named.
async fn check(example: &str, calls: &[(&str, Value, Value)]) {
    for program in ["python3", "node"] {
        if !Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED: there is no `{program}` on this machine");
            return;
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(example);
    let project = Project::load(&folder).unwrap();
    let options = HostOptions { log: LogSink::new(|_| {}), ..HostOptions::default() };
    let functions = Functions::new(project.functions, options);
    for (function, input, want) in calls {
        let payload = Bytes::from(input.to_string());
        let outcome = functions.invoke(function, payload, InvokeOptions::default()).await.unwrap();
        let result: Value = serde_json::from_slice(outcome.payload()).unwrap();
        for (name, value) in want.as_object().unwrap() {
            assert_eq!(result[name], *value, "{function}({input}) = {result}");
        }
    }
}

#[tokio::test]
async fn order_processing() {
    let order = json!({
        "orderId": "o-1", "customer": {"name": "Ada", "email": "ada@example.com"}, "cardToken": "tok_visa",
        "items": [{"sku": "LAMP", "quantity": 2, "unitPrice": 1250}, {"sku": "PIANO", "quantity": 1, "unitPrice": 100}],
    });
    let payment = |attempt: u32, card: &str| json!({"orderId": "o-1", "total": 2600, "currency": "EUR", "cardToken": card, "attempt": attempt});
    let missing = json!([{"sku": "PIANO", "quantity": 1, "available": 0, "inStock": false}]);
    check(
        "order-processing",
        &[
            ("ValidateOrder", order.clone(), json!({"total": 2600, "currency": "EUR", "orderId": "o-1"})),
            ("ValidateOrder", json!({"orderId": "o-1"}), json!({"errorType": "InvalidOrder"})),
            ("CheckInventory", order.clone(), json!({"inStock": false, "missing": missing})),
            (
                "CheckInventory",
                json!({"items": [{"sku": "LAMP", "quantity": 1}]}),
                json!({"inStock": true, "missing": []}),
            ),
            ("ProcessPayment", payment(0, "tok_visa"), json!({"errorType": "GatewayBusy"})),
            (
                "ProcessPayment",
                payment(1, "tok_visa"),
                json!({"status": "CAPTURED", "attempts": 2, "amount": 2600}),
            ),
            ("ProcessPayment", payment(1, "tok_declined"), json!({"errorType": "PaymentDeclined"})),
            (
                "ShipOrder",
                json!({"orderId": "o-1", "sku": "DESK", "quantity": 1}),
                json!({"carrier": "Heavyweight"}),
            ),
            (
                "NotifyOutOfStock",
                json!({"orderId": "o-1", "customer": order["customer"], "missing": missing}),
                json!({"notified": "ada@example.com"}),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn job_poller() {
    let job = |polls: u32, fail: bool| json!({"jobId": "j", "jobName": "n", "polls": polls, "pollsNeeded": 3, "fail": fail});
    check(
        "job-poller",
        &[
            (
                "SubmitJob",
                json!({"jobName": "report"}),
                json!({"status": "SUBMITTED", "polls": 0, "pollsNeeded": 3}),
            ),
            ("SubmitJob", json!({}), json!({"errorType": "TypeError"})),
            ("GetJobStatus", job(0, false), json!({"status": "RUNNING", "polls": 1, "progress": 33})),
            ("GetJobStatus", job(2, false), json!({"status": "SUCCEEDED", "polls": 3, "progress": 100})),
            ("GetJobStatus", job(2, true), json!({"status": "FAILED"})),
        ],
    )
    .await;
}

#[tokio::test]
async fn card_payment() {
    let card = |pin: &str| json!({"transactionId": "t-1", "card": {"number": "4000", "pin": pin}});
    let booking = |amount: u32| json!({"transactionId": "t-1", "amount": amount, "currency": "EUR", "authorisationCode": "A"});
    check(
        "card-payment",
        &[
            ("AuthorisePin", card("1234"), json!({"decision": "ACCEPT"})),
            ("AuthorisePin", card("4321"), json!({"decision": "REJECT", "reason": "wrong PIN"})),
            ("AuthorisePin", card("0000"), json!({"errorType": "IssuerUnavailable"})),
            ("AuthorisePin", card("12"), json!({"errorType": "MalformedPin"})),
            ("CommitTransaction", booking(4900), json!({"status": "COMMITTED", "reference": "t-1/A"})),
            ("CommitTransaction", booking(2_000_000), json!({"errorType": "LimitExceeded"})),
        ],
    )
    .await;
}

#[tokio::test]
async fn approval() {
    let request = json!({"taskToken": "T", "request": {"id": "r-7", "what": "a laptop", "by": "Ada"}});
    check("approval", &[("NotifyApprover", request, json!({"notified": true, "decided": null}))]).await;
}
