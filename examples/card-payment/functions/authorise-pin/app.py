"""AuthorisePin: asks the card's issuer whether a PIN is right.

input   {"transactionId": "t-1", "card": {"number": "4000123412341234", "pin": "1234"}}      more is ignored
output  {"decision": "ACCEPT", "authorisationCode": "…"}      the PIN is 1234
        {"decision": "REJECT", "reason": "wrong PIN"}         it is another
errors  IssuerUnavailable   the PIN is 0000: the issuer does not answer
        MalformedPin        it is not four digits
"""
import hashlib

RIGHT_PIN = "1234"


class IssuerUnavailable(Exception):
    pass


class MalformedPin(Exception):
    pass


def handler(event, context):
    pin = event["card"]["pin"]
    if not (isinstance(pin, str) and len(pin) == 4 and pin.isdigit()):
        raise MalformedPin("a PIN is four digits")
    if pin == "0000":
        raise IssuerUnavailable("the issuer does not answer")
    if pin != RIGHT_PIN:
        return {"decision": "REJECT", "reason": "wrong PIN"}
    code = hashlib.sha256(event["transactionId"].encode()).hexdigest()[:6].upper()
    return {"decision": "ACCEPT", "authorisationCode": code}
