"""National numbers of persons that have a checksum; where that says little, a word before must say it."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tidegate.policy.guard import Severity
from tidegate.policy.guard_sight import Rule, Sight

CONTEXT = 48


def _rule(name: str) -> Rule:
    return Rule("id", f"id/{name}", Severity.HIGH, rank=25)


_NIE, _IT = _rule("es-nie"), _rule("it-fiscal-code")
_BETWEEN = str.maketrans("", "", " .-/")

_ES_NIE = re.compile(r"([XYZ])-?(\d{7})-?([A-Z])(?!\w)")
_ES_FOREIGNERS = str.maketrans("XYZ", "012")
_JOINED = ("_", "-")
"""A letter behind one of these begins no number."""
_ES_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_IT_CODE = re.compile(r"[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z](?!\w)")


def national_ids(sight: Sight, start: int, end: int) -> None:
    """Find national numbers that begin a run of digits, and those that are the whole of it."""
    before = sight.lowered[max(0, start - CONTEXT) : start]
    for form in _FORMS:
        found = form.shape.match(sight.text, start)
        if found is None or (form.whole and found.end() != end):
            continue
        if form.checks(found[0].translate(_BETWEEN)) and (form.tells(found[0]) or form.said.search(before)):
            sight.found(form.rule, *found.span())


def lettered_id(sight: Sight, start: int) -> None:
    """Find the national number that a letter may begin: the Italian codice fiscale, the Spanish NIE."""
    text = sight.text
    if text[start - 1 : start] in _JOINED:
        return
    if (code := _IT_CODE.match(text, start)) and _it_check(code[0]) == code[0][15]:
        sight.found(_IT, *code.span())
    elif (nie := _ES_NIE.match(text, start)) and _is_es("".join(nie.groups())):
        sight.found(_NIE, *nie.span())


def _is_de_tax(digits: str) -> bool:
    """Section 139b AO: one digit twice or thrice in the first ten; check digit by ISO 7064, mod 11,10."""
    counts = Counter(digits[:10])
    often = [count for count in counts.values() if count > 1]
    if often not in ([2], [3]):
        return False
    product = 10
    for digit in digits[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def _is_nir(number: str) -> bool:
    """Sex, year, month, place, order and a key, 97 minus the rest modulo 97; 2A and 2B count as 19 and 18."""
    digits = number.replace("2A", "19").replace("2B", "18")
    month = int(digits[3:5])
    if not (1 <= month <= 12 or 20 <= month <= 42 or month >= 50):
        return False
    return 97 - int(digits[:13]) % 97 == int(digits[13:])


def _it_check(code: str) -> str:
    """The control letter (decree of 23 December 1976): odd places by a table, even ones by rank."""
    odd = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
    ranks = [int(char) if char.isdigit() else ord(char) - ord("A") for char in code[:15]]
    return chr(ord("A") + (sum(odd[rank] for rank in ranks[::2]) + sum(ranks[1::2])) % 26)


def _is_bsn(digits: str) -> bool:
    """The eleven-test, the last digit counting minus one."""
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    return digits != "000000000" and sum(w * int(d) for w, d in zip(weights, digits, strict=True)) % 11 == 0


def _is_pesel(digits: str) -> bool:
    """A day of a month, its century in the month, and weights 1, 3, 7, 9 modulo 10."""
    if not (1 <= int(digits[2:4]) % 20 <= 12 and 1 <= int(digits[4:6]) <= 31):
        return False
    weights = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)
    return sum(w * int(d) for w, d in zip(weights, digits, strict=True)) % 10 == 0


def _is_be(digits: str) -> bool:
    """A date, an order and a key, 97 minus the rest modulo 97; after 1999 with a 2 before the number."""
    if not (int(digits[2:4]) % 20 <= 12 and int(digits[4:6]) <= 31):
        return False
    return int(digits[9:]) in (97 - int(digits[:9]) % 97, 97 - int("2" + digits[:9]) % 97)


def _is_es(number: str) -> bool:
    """The letter is the rest modulo 23, by a table; X, Y and Z of foreigners count as 0, 1 and 2."""
    digits = number[:8].translate(_ES_FOREIGNERS)
    return _ES_LETTERS[int(digits) % 23] == number[8]


@dataclass(frozen=True, slots=True)
class _Form:
    """A national number: `whole` for runs alone, `said` by a word before, unless its writing `tells`."""

    rule: Rule
    shape: re.Pattern[str]
    said: re.Pattern[str]
    checks: Callable[[str], bool]
    tells: Callable[[str], bool] = lambda _: False
    whole: bool = True


_FORMS = (
    _Form(
        _rule("de-tax"),
        re.compile(r"[1-9]\d(?: ?+\d{3}){3}(?!\w)"),
        re.compile(r"steuer|idnr|id-nr|tax|\btin\b"),
        _is_de_tax,
        tells=lambda written: " " in written,
    ),
    _Form(
        _rule("fr-nir"),
        re.compile(r"[1-478] ?\d\d ?\d\d ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d(?!\w)"),
        re.compile(r""),
        _is_nir,
        whole=False,
    ),
    _Form(
        _rule("es-dni"),
        re.compile(r"(?:\d{8}|\d\d\.\d{3}\.\d{3})[ -]?[A-Z](?!\w)"),
        re.compile(r"\bdni\b|\bnif\b|\bnie\b|documento|identidad|identif"),
        _is_es,
        whole=False,
    ),
    _Form(
        _rule("nl-bsn"),
        re.compile(r"(?:\d{9}|\d{4}[ .]\d\d[ .]\d{3}|\d{3}[ .]\d{3}[ .]\d{3})(?!\w)"),
        re.compile(r"bsn|burgerservice|sofi|citizen service"),
        _is_bsn,
    ),
    _Form(
        _rule("be-national"),
        re.compile(r"\d\d(?P<dot>[. ]?)\d\d(?P=dot)\d\d[-. ]?\d{3}[-. ]?\d\d(?!\w)"),
        re.compile(r"rijksregister|registre national|national|insz|niss|nationalregister"),
        _is_be,
        tells=lambda written: not written.isdigit(),
    ),
    _Form(
        _rule("pl-pesel"),
        re.compile(r"\d{11}(?!\w)"),
        re.compile(r"pesel|ewidencyj|national id|identity|personal id"),
        _is_pesel,
    ),
)
