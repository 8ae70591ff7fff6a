"""ProcessPayment: charges a card, through a gateway that is busy at first.

input   {"orderId": "o-1001", "total": 4900, "currency": "EUR", "cardToken": "tok_visa", "attempt": 0}
        "attempt" is `$$.State.RetryCount` (JSONata: `$states.context.State.RetryCount`), so that the function needs
        no memory of its own to fail the first time and succeed the second
output  {"paymentId": "pay-…", "status": "CAPTURED", "amount": 4900, "currency": "EUR", "attempts": 2}
errors  GatewayBusy       at the first attempt, always: for a Retry
        PaymentDeclined   for the card "tok_declined": for a Catch
"""
import hashlib

BUSY_ATTEMPTS = 1


class GatewayBusy(Exception):
    pass


class PaymentDeclined(Exception):
    pass


def handler(event, context):
    attempt = event.get("attempt", 0)
    if attempt < BUSY_ATTEMPTS:
        raise GatewayBusy(f"the payment gateway is busy; order {event['orderId']} was not charged")
    if event["cardToken"] == "tok_declined":
        raise PaymentDeclined(f"the bank declined {event['total'] / 100:.2f} {event['currency']}")
    # The same order gives the same id: a gateway would take it for an idempotency key.
    payment_id = "pay-" + hashlib.sha256(event["orderId"].encode()).hexdigest()[:12]
    print(f"{payment_id}: captured {event['total'] / 100:.2f} {event['currency']}")
    return {
        "paymentId": payment_id,
        "status": "CAPTURED",
        "amount": event["total"],
        "currency": event["currency"],
        "attempts": attempt + 1,
    }
