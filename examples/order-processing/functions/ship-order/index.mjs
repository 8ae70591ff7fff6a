// ShipOrder: hands one parcel to the carrier. A Map state calls it once for every item of an order.
//
// input   {"orderId": "o-1001", "sku": "LAMP", "quantity": 2}                        other fields are ignored
// output  {"sku": "LAMP", "quantity": 2, "carrier": "Overland", "trackingNumber": "OV…"}
import { createHash } from "node:crypto";

export const handler = async ({ orderId, sku, quantity }) => {
  const digits = createHash("sha256").update(`${orderId}/${sku}`).digest("hex").slice(0, 10).toUpperCase();
  const carrier = sku === "DESK" || sku === "PIANO" ? "Heavyweight" : "Overland";
  const trackingNumber = carrier.slice(0, 2).toUpperCase() + digits;
  console.log(`${quantity} x ${sku} with ${carrier}, ${trackingNumber}`);
  return { sku, quantity, carrier, trackingNumber };
};
