"""NotifyOutOfStock: writes to the customer of an order that cannot be filled.

input   {"orderId": "o-1002", "customer": {"name": "Ada", "email": "ada@example.com"},
         "missing": [{"sku": "PIANO", "quantity": 1, "available": 0}, …]}             as CheckInventory gives it
output  {"orderId": "o-1002", "notified": "ada@example.com", "message": "…"}
"""


def handler(event, context):
    customer = event["customer"]
    missing = ", ".join(f"{item['sku']} ({item['available']} of {item['quantity']})" for item in event["missing"])
    message = f"Dear {customer['name']}, we cannot fill order {event['orderId']} yet. Out of stock: {missing}."
    print(f"to {customer['email']}: {message}")
    return {"orderId": event["orderId"], "notified": customer["email"], "message": message}
