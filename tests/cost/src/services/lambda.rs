//! Lambda: the user's functions, which answer after the time that they are said to take.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use super::{Answer, Asked, Services};

/// The functions that tasks call.
#[derive(Debug, Clone, Copy)]
pub struct Tasks {
    /// How long each takes.
    pub time: Duration,
}

impl Services {
    pub(super) async fn lambda(&self, asked: &Asked) -> Answer {
        if asked.method == Method::GET {
            self.state().usage.request("lambda", "GetFunctionConfiguration");
            return Answer::json(&json!({ "Timeout": 3, "State": "Active" }));
        }
        self.state().usage.request("lambda", "Invoke");
        // /2015-03-31/functions/NAME/invocations
        let function = asked.path.split('/').nth(3).unwrap_or_default().replace("%3A", ":");
        let input: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        if asked.event {
            return Answer { status: 202, ..Answer::json(&Value::Null) };
        }
        tokio::time::sleep(self.inner.tasks.time).await;
        match function.rsplit(':').next().unwrap_or_default() {
            "ValidateOrder" => Answer::json(&validated(input)),
            "CheckInventory" => Answer::json(&checked(&input)),
            "ProcessPayment" if input["attempt"] == 0 => Answer {
                error: Some("Unhandled".to_owned()),
                ..Answer::json(
                    &json!({ "errorType": "GatewayBusy", "errorMessage": "the payment gateway is busy" }),
                )
            },
            "ProcessPayment" => Answer::json(&json!({
                "paymentId": "pay-0123456789ab", "status": "CAPTURED", "amount": input["total"],
                "currency": input["currency"], "attempts": 2,
            })),
            "ShipOrder" => Answer::json(&json!({
                "sku": input["sku"], "quantity": input["quantity"],
                "carrier": "Overland", "trackingNumber": "OV0123456789",
            })),
            _ => Answer::json(&input),
        }
    }
}

/// What `examples/order-processing` has as ValidateOrder.
fn validated(mut order: Value) -> Value {
    let mut total = 0;
    for item in order["items"].as_array_mut().into_iter().flatten() {
        let line = item["quantity"].as_i64().unwrap_or(0) * item["unitPrice"].as_i64().unwrap_or(0);
        item["lineTotal"] = line.into();
        total += line;
    }
    order["total"] = total.into();
    order["currency"] = "EUR".into();
    order
}

fn checked(input: &Value) -> Value {
    let item = |item: &Value| json!({ "sku": item["sku"], "quantity": item["quantity"], "available": 40, "inStock": true });
    let items: Vec<_> = super::list(&input["items"]).map(item).collect();
    json!({ "inStock": true, "items": items, "missing": [] })
}
