"""Bank accounts by checksum (ISO 13616), payment cards by issuer, length and Luhn (ISO/IEC 7812)."""

import re

from tidegate.policy.guard import Severity
from tidegate.policy.guard_sight import Rule, Sight

_COUNTRIES = {
    15: "NO",
    16: "BE",
    18: "DK FI FO GL NL",
    19: "MK SI",
    20: "AT BA EE KZ LT LU XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "PT ST",
    26: "IS TR",
    27: "FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HU LB PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU",
    31: "MT SC",
    32: "LC",
}
"""Countries by how many characters their account numbers have: SWIFT's IBAN registry."""
_LENGTHS = {country: length for length, countries in _COUNTRIES.items() for country in countries.split()}
_ACCOUNTS = {country: Rule("iban", f"iban/{country}", Severity.HIGH, rank=20) for country in _LENGTHS}
_REST = {length: re.compile(rf"(?:[ -]?[A-Z0-9]){{0,{length - 4}}}+") for length in _COUNTRIES}
_VALUES = str.maketrans({letter: str(10 + rank) for rank, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ")})
_BETWEEN = str.maketrans("", "", " -")

_CARD = re.compile(
    r"[2-6](?<![\w/=#&@+.,-].)(?<!\d[ -].)"
    r"(?:(?P<plain>\d{11,18})"
    r"|\d{3}(?P<by>[ -])\d{4}(?P=by)\d{4}(?P=by)\d{4}(?:(?P=by)\d{3})?"
    r"|(?<=3)\d{3}(?P<by3>[ -])\d{6}(?P=by3)\d{4,5})"
    r"(?!\w|[.,-]\d| \d{4}(?!\d))",
    re.DOTALL,
)
"""What may be a card, and no part of a longer number. A set comes first: that is quick to look for."""
_ISSUERS = (
    ("visa", re.compile(r"4(?:\d{12}|\d{15}|\d{18})")),
    ("mastercard", re.compile(r"(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}")),
    ("amex", re.compile(r"3[47]\d{13}")),
    ("diners", re.compile(r"3(?:0[0-59]|[689]\d)\d{11}")),
    ("discover", re.compile(r"(?:6011|64[4-9]\d|65\d\d)\d{12,15}")),
    ("jcb", re.compile(r"35(?:2[89]|[3-8]\d)\d{12,15}")),
    ("unionpay", re.compile(r"62\d{14,17}")),
    ("maestro", re.compile(r"(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{8,15}")),
)
_SURE = {name: Rule("card", f"card/{name}", Severity.HIGH, rank=20) for name, _ in _ISSUERS}
_LIKELY = {name: Rule("card", f"card/{name}", Severity.MEDIUM, rank=20) for name, _ in _ISSUERS}
_SAYS_CARD = re.compile(
    r"card|kart|carte|tarjeta|carta|kaart|visa|master|amex|american express|diners|maestro|cvv|cvc|\bpan\b"
    r"|credit|debit"
)
_SAYS_OTHER = re.compile(
    r"order|invoice|rechnung|bestell|auftrag|factur|fattura|pedido|commande|faktur|\bid\b|_id\b|uuid|track|serial"
    r"|timestamp|isbn|imei|ean\b|sku|ticket|reference|referenz|sendung|phone|\btel"
)
CONTEXT = 40


def account(sight: Sight, start: int) -> None:
    """Find the international bank account number, in one piece or in groups, that two letters may begin."""
    text = sight.text
    length = _LENGTHS.get(text[start : start + 2])
    if length is None or not text[start + 2 : start + 4].isdigit():
        return
    rest = _REST[length].match(text, start + 4)
    assert rest is not None
    at_the_end = rest.end() == len(text) or (rest.end() == len(text) - 1 and text[-1] in " -")
    if at_the_end and not sight.final:
        sight.undecided(start)
        return
    number = text[start : rest.end()].translate(_BETWEEN)
    if len(number) == length and not text[rest.end() : rest.end() + 1].isalnum() and is_account(number):
        sight.found(_ACCOUNTS[number[:2]], start, rest.end())


def is_account(number: str) -> bool:
    """Whether the check digits of an account number are right (ISO 7064, mod 97-10)."""
    return int((number[4:] + number[:4]).translate(_VALUES)) % 97 == 1


def cards(sight: Sight, start: int) -> None:
    """Find payment cards from a place on."""
    for found in _CARD.finditer(sight.text, start):
        digits = found[0].translate(_BETWEEN)
        issuer = next((name for name, shape in _ISSUERS if shape.fullmatch(digits)), None)
        if issuer is None or len(set(digits)) == 1 or not luhn(digits):
            continue
        before = sight.lowered[max(0, found.start() - CONTEXT) : found.start()]
        if not found["plain"] or _SAYS_CARD.search(before):
            sight.found(_SURE[issuer], *found.span())
        elif not _SAYS_OTHER.search(before):
            sight.found(_LIKELY[issuer], *found.span())


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1, annex B)."""
    odd = sum(int(digit) for digit in digits[-1::-2])
    even = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (odd + even) % 10 == 0
