"""Secrets and personal identifiers by pattern, with checksums and context where a pattern alone says little.

Every stretch of a text is walked a bounded number of times, whatever it holds: runs begin where the character
before cannot belong to one, repeats give nothing back, and what is looked at around a place is bounded.
"""

import re
from collections.abc import Collection

from tidegate.model.errors import ConfigError
from tidegate.policy.guard import Finding, Guard, GuardContext
from tidegate.policy.guard_patterns_addresses import LONGEST_LOCAL, emails, machines
from tidegate.policy.guard_patterns_bank import account, cards
from tidegate.policy.guard_patterns_ids import lettered_id, national_ids
from tidegate.policy.guard_patterns_keys import keys
from tidegate.policy.guard_patterns_phones import phone
from tidegate.policy.guard_sight import Detector, Sight
from tidegate.policy.guard_stream import scan

KINDS = ("email", "phone", "iban", "card", "id", "key", "ip")
USUAL = frozenset(KINDS) - {"ip"}
"""What is looked for where nothing is chosen: addresses of machines are in every log and seldom a secret."""

_SOME_DIGITS = re.compile(r"\d(?:[ ()./-]{0,2}+\d){5}")
_DIGITS = re.compile(
    r"[+(\d](?<![\w/=#&@+(].)(?<!\d[ ()./-].)(?<!\d[ ()./-]{2}.)(?<![A-Za-z0-9]-.)(?<!\d[:,].)"
    r"(?:[+(]\d|(?<=[+(])\d|(?<=\d))(?:[ ()./-]{0,2}+\d){5,}+",
    re.DOTALL,
)
"""A run of digits as far as it goes, at most two other characters between them."""
_CAPITALS = re.compile(
    r"[A-Z](?<![A-Za-z0-9].)(?:[A-Z]\d\d|[A-Z]{5}[0-9LMNP-V]|(?<=[XYZ])-?\d{7})", re.DOTALL
)
"""The heads of a bank account, of an Italian codice fiscale, of a foreigner's number in Spain."""
_LONGEST_NUMBER = 80
_NUMBER_BACKWARDS = re.compile(rf"[\d ()./+,AB-]{{1,{_LONGEST_NUMBER}}}+")
_WORD_BACKWARDS = re.compile(rf"[!-~]{{1,{LONGEST_LOCAL}}}+")


def patterns(kinds: Collection[str] = USUAL) -> Detector:
    """A detector of these kinds. Raises ConfigError for a kind that there is not."""
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise ConfigError(f"there is no pattern {unknown[0]!r}; there are {', '.join(KINDS)}")
    wanted = frozenset(kinds)

    def detect(sight: Sight) -> None:
        if "key" in wanted:
            keys(sight)
        if wanted & {"email", "key"}:
            emails(sight)
        if "ip" in wanted:
            machines(sight)
        if wanted & {"iban", "id"}:
            _capitals(sight)
        if wanted & {"card", "id", "phone"}:
            _digits(sight)
        sight.keep(wanted)
        _hold_back(sight)

    return detect


def patterns_guard(kinds: Collection[str] = USUAL) -> Guard:
    """A guard for whole texts that looks for these kinds."""
    detect = patterns(kinds)

    def guard(text: str, context: GuardContext) -> tuple[Finding, ...]:
        return scan(text, detect, digest_key=context.digest_key)

    return guard


def _capitals(sight: Sight) -> None:
    for found in _CAPITALS.finditer(sight.text, sight.begin):
        account(sight, found.start())
        lettered_id(sight, found.start())


def _digits(sight: Sight) -> None:
    first = _SOME_DIGITS.search(sight.text, sight.begin)
    if first is None:
        return
    start = max(sight.begin, first.start() - 2)
    cards(sight, start)
    for run in _DIGITS.finditer(sight.text, start):
        national_ids(sight, *run.span())
        phone(sight, *run.span())


def _hold_back(sight: Sight) -> None:
    """Leave the last word and the last number undecided: both may go on."""
    if sight.final:
        return
    backwards = sight.text[max(sight.begin, len(sight.text) - _LONGEST_NUMBER) :][::-1]
    if word := _WORD_BACKWARDS.match(backwards):
        sight.undecided(len(sight.text) - word.end())
    if number := _NUMBER_BACKWARDS.match(backwards):
        size = len(number[0].rstrip(" )./,-"))
        sight.undecided(len(sight.text) - size)
