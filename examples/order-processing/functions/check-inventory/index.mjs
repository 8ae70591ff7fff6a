// CheckInventory: says whether the warehouse has what an order asks for.
//
// input   {"items": [{"sku": "LAMP", "quantity": 2}, …]}                            other fields are ignored
// output  {"inStock": true, "items": [{"sku": "LAMP", "quantity": 2, "available": 40, "inStock": true}, …],
//          "missing": []}                                                            the items that are not in stock
const stock = new Map([
  ["LAMP", 40],
  ["DESK", 3],
  ["CHAIR", 12],
  ["PIANO", 0],
]);

export const handler = async ({ items }) => {
  const checked = items.map(({ sku, quantity }) => {
    const available = stock.get(sku) ?? 0;
    return { sku, quantity, available, inStock: quantity <= available };
  });
  const missing = checked.filter((item) => !item.inStock);
  console.log(missing.length === 0 ? "all in stock" : `missing: ${missing.map((item) => item.sku).join(", ")}`);
  return { inStock: missing.length === 0, items: checked, missing };
};
