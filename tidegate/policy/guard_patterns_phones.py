"""Telephone numbers with a country code (ITU-T E.164), and as they are written in DE FR ES IT NL PL AT BE.

Without that code a number looks like any other. It counts where its form is unmistakable (`(030) 123456`), or
where a word shortly before says that it is one, and none that it is an invoice.
"""

import re

from tidegate.policy.guard import Severity
from tidegate.policy.guard_sight import Rule, Sight

ABROAD = Rule("phone", "phone/international", Severity.MEDIUM, rank=40)
AT_HOME = Rule("phone", "phone/national", Severity.MEDIUM, rank=40)
CONTEXT = 48

_NOT_A_DIGIT = re.compile(r"\D++")
_NEAR = (
    "30",
    "31",
    "32",
    "33",
    "34",
    "39",
    "40",
    "41",
    "43",
    "44",
    "45",
    "46",
    "47",
    "48",
    "49",
    "351",
    "352",
    "353",
)
"""Codes of countries in Europe: a number of these needs no further sign."""
_DECIMAL = re.compile(r"\d{1,2}\.\d++")
_THOUSANDS = re.compile(r"\+\d{1,3}(?:[ .]\d{3})++")
_FRENCH = re.compile(r"0[1-9](?P<by>[ .-])\d\d(?:(?P=by)\d\d){3}")
_GERMAN = re.compile(r"\(0\d{1,5}\) ?[1-9][\d /-]{3,12}|0[1-9]\d{1,3} ?/ ?\d[\d -]{4,11}")
_AMERICAN = re.compile(r"\([2-9]\d\d\) ?\d{3}-\d{4}")
_SAYS = re.compile(
    r"(?P<phone>phone|\btel\b|telef|t\u00e9l|\bcall\b|mobil|m\u00f3vil|handy|\bfax|anruf|rufnummer|r\u00fcckruf"
    r"|whatsapp|\bsms\b|\bgsm\b|portable|appel|llam|cellulare|chiam|\bcell\b|telefoon|\bbel\b|kom\u00f3rk|dzwo\u0144"
    r"|nummer ist|my number|mi n\u00famero|mon num\u00e9ro|mio numero|num[e\u00e9]ro de|contact)"
    r"|order|invoice|rechnung|bestell|auftrag|kunden|factur|fattura|pedido|commande|faktur|iban|account|konto"
    r"|ticket|\bid\b|isbn|serial|sendung|track|vertrag|contract|version|zip\b|plz"
)


def phone(sight: Sight, start: int, end: int) -> None:
    """Find the telephone number that a whole run of digits may be."""
    text = sight.text[start:end]
    if text[0] == "(" and ")" not in text:
        start, text = start + 1, text[1:]
    digits = _NOT_A_DIGIT.sub("", text)
    if not 8 <= len(digits) <= 17 or _DECIMAL.fullmatch(text):
        return
    abroad = text.startswith(("+", "(+", "00"))
    formed = not abroad and _has_the_form(text)
    if not (abroad or formed or _is_at_home(digits)):
        return
    said = _last_said(sight.lowered[max(0, start - CONTEXT) : start])
    if abroad and _is_abroad(text, digits, said=said is True):
        sight.found(ABROAD, start, end)
    elif not abroad and (said or (said is None and formed)):
        sight.found(AT_HOME, start, end)


def _last_said(before: str) -> bool | None:
    """Whether the nearest word says a telephone's number or another's; None where none says anything."""
    said = [one["phone"] is not None for one in _SAYS.finditer(before)]
    return said[-1] if said else None


def _is_abroad(text: str, digits: str, *, said: bool) -> bool:
    digits = digits.removeprefix("00")
    if not 8 <= len(digits) <= 15 or digits[0] == "0":
        return False
    if digits[0] == "1":
        return len(digits) == 11 and digits[1] > "1" and digits[4] > "1"
    if digits.startswith(_NEAR):
        return said or "+" in text or not text.isdigit()
    return said or ("+" in text and len(digits) >= 10 and not _THOUSANDS.fullmatch(text))


def _is_at_home(digits: str) -> bool:
    """Whether one of the eight countries, or North America, dials such a number."""
    match digits[0]:
        case "0":
            return digits[1] != "0" and 8 <= len(digits) <= 13
        case "3":
            return 9 <= len(digits) <= 10
        case _:
            return len(digits) == 9 or (len(digits) == 10 and digits[0] > "1")


def _has_the_form(text: str) -> bool:
    shapes = (_FRENCH, _GERMAN, _AMERICAN)
    return any(shape.fullmatch(text) for shape in shapes)
