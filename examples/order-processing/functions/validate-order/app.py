"""ValidateOrder: checks an order and works out what it costs.

input   {"orderId": "o-1001", "customer": {"name": "Ada", "email": "ada@example.com"}, "cardToken": "tok_visa",
         "items": [{"sku": "LAMP", "quantity": 2, "unitPrice": 1250}, …]}          prices are in cents
output  the order, with "lineTotal" in every item, and "total" and "currency" added
errors  InvalidOrder   something is missing or makes no sense; a Retry would not help
"""


class InvalidOrder(Exception):
    pass


def handler(event, context):
    for field in ("orderId", "customer", "items", "cardToken"):
        if not event.get(field):
            raise InvalidOrder(f"the order has no {field}")
    items = [priced(item) for item in event["items"]]
    total = sum(item["lineTotal"] for item in items)
    print(f"order {event['orderId']}: {len(items)} items, {total / 100:.2f} EUR")
    return {**event, "items": items, "total": total, "currency": "EUR"}


def priced(item):
    sku, quantity, price = item.get("sku"), item.get("quantity"), item.get("unitPrice")
    if not sku:
        raise InvalidOrder("an item has no sku")
    if not isinstance(quantity, int) or quantity < 1:
        raise InvalidOrder(f"{quantity} pieces of {sku}")
    if not isinstance(price, int) or price < 0:
        raise InvalidOrder(f"{sku} has no price")
    return {**item, "lineTotal": quantity * price}
