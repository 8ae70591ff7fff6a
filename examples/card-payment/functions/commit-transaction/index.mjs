// CommitTransaction: books an authorised payment.
//
// input   {"transactionId": "t-1", "amount": 4900, "currency": "EUR", "authorisationCode": "…"}   amount in cents
// output  {"transactionId": "t-1", "status": "COMMITTED", "amount": 4900, "currency": "EUR", "reference": "t-1/…"}
// errors  LimitExceeded   the amount is over 10,000.00
class LimitExceeded extends Error {
  name = "LimitExceeded";
}

const LIMIT = 1_000_000;

export const handler = async ({ transactionId, amount, currency, authorisationCode }) => {
  if (amount > LIMIT) throw new LimitExceeded(`${(amount / 100).toFixed(2)} ${currency} is over the limit`);
  console.log(`${transactionId}: ${(amount / 100).toFixed(2)} ${currency} committed`);
  return { transactionId, status: "COMMITTED", amount, currency, reference: `${transactionId}/${authorisationCode}` };
};
