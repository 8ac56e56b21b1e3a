"""How long a provider asks to be left alone, read from a failed reply's headers and body.

The most exact word wins: `retry-after-ms`, `retry-after` (RFC 9110, section 10.2.3), Google's `RetryInfo` in
the error's body, then the resets of the limits that are used up (providers.md, section 3). Waits are whole
microseconds from 0 to a cap. What cannot be read is None, and the next word is asked.
"""

import re
from calendar import timegm
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

SECOND_US = 1_000_000
MAX_STATED_US = 3600 * SECOND_US
"""The longest wait that is believed; a quota of the day is asked for again every hour."""
MAX_TEXT = 64
MAX_BODY_BYTES = 65_536

_NUMBER = re.compile(r"(\d+)(?:\.(\d*))?(?:[eE]\+?(\d{1,3}))?", re.ASCII)
_STEP = re.compile(r"(\d+(?:\.\d+)?)(ms|us|\u00b5s|ns|d|h|m|s)", re.ASCII)
_STEP_NS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DATE = re.compile(
    r"[A-Z][a-z]{2,8},? (?:"
    r"(?P<day>\d\d)[ -](?P<month>[A-Z][a-z]{2})[ -](?P<year>\d{4}|\d\d) (?P<time>\d\d:\d\d:\d\d) GMT"
    r"|(?P<month2>[A-Z][a-z]{2}) (?P<day2>[ \d]\d) (?P<time2>\d\d:\d\d:\d\d) (?P<year2>\d{4}))",
    re.ASCII,
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OLDEST_INSTANT_S = 1_000_000_000
"""A reset that is a bare number from here on is a Unix time, not a count of seconds (OpenRouter)."""

_RESETS = (
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("x-ratelimit-remaining-project-tokens", "x-ratelimit-reset-project-tokens"),
    ("x-ratelimit-remaining-requests-day", "x-ratelimit-reset-requests-day"),
    ("x-ratelimit-remaining-tokens-minute", "x-ratelimit-reset-tokens-minute"),
    ("x-ratelimit-remaining-req-minute", "x-ratelimit-reset-req-minute"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
)


def stated_wait(
    headers: Mapping[str, str], body: bytes = b"", *, now_us: int, cap_us: int = MAX_STATED_US
) -> int | None:
    """Return the microseconds a failed reply asks to wait, at most `cap_us`; None where it asks for nothing.

    `headers` are looked up in lower case. `now_us` is the wall clock, microseconds since the epoch.
    """
    wait_us = of_milliseconds(headers.get("retry-after-ms", ""))
    if wait_us is None:
        wait_us = of_retry_after(headers.get("retry-after", ""), now_us)
    if wait_us is None:
        wait_us = of_retry_info(body)
    if wait_us is None:
        wait_us = of_resets(headers, now_us)
    return None if wait_us is None else min(max(wait_us, 0), cap_us)


def of_retry_after(text: str, now_us: int) -> int | None:
    """Read `retry-after`: seconds, fractions included, or an HTTP date; a past one is 0."""
    seconds = of_seconds(text)
    if seconds is not None:
        return seconds
    at_us = _date_us(text.strip())
    return None if at_us is None else max(at_us - now_us, 0)


def of_seconds(text: str) -> int | None:
    """Read an unsigned decimal of seconds as microseconds, rounded up."""
    return _scaled(text, SECOND_US)


def of_milliseconds(text: str) -> int | None:
    """Read an unsigned decimal of milliseconds as microseconds, rounded up."""
    return _scaled(text, 1_000)


def of_duration(text: str) -> int | None:
    """Read `1s`, `6m0s`, `2m59.56s`, `120ms` as microseconds, rounded up."""
    text = text.strip()
    if not text or len(text) > MAX_TEXT:
        return None
    at, total_ns = 0, 0
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            return None
        whole, _, fraction = step[1].partition(".")
        unit_ns = _STEP_NS[step[2]]
        total_ns += int(whole) * unit_ns - (-int(fraction or 0) * unit_ns // _ten_to(len(fraction)))
        at = step.end()
    return -(-total_ns // 1_000)


def of_instant(text: str, now_us: int) -> int | None:
    """Read an RFC 3339 time as the microseconds until it; a past one is 0."""
    text = text.strip()
    if len(text) > MAX_TEXT or _INSTANT.fullmatch(text) is None:
        return None
    try:
        at = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return max((at - _EPOCH) // timedelta(microseconds=1) - now_us, 0)


def of_retry_info(body: bytes) -> int | None:
    """Read `error.details[].retryDelay` of a Google error, which may stand in a list of one."""
    if b"retryDelay" not in body or len(body) > MAX_BODY_BYTES:
        return None
    try:
        found = _decode(body)
    except (ValueError, RecursionError):
        return None
    first = found[0] if isinstance(found, list) and found else found
    if not isinstance(first, _Google):
        return None
    for raw in first.error.details:
        try:
            wait_us = of_duration(_decode_detail(raw).retry_delay)
        except (ValueError, RecursionError):
            continue
        if wait_us is not None:
            return wait_us
    return None


def of_resets(headers: Mapping[str, str], now_us: int) -> int | None:
    """Return how long until every limit that is used up is whole again; None where none says so.

    A limit with something left is not what refused the call. One that does not say what is left counts.
    """
    waits_us = [
        wait_us
        for remaining, reset in _RESETS
        if (text := headers.get(reset)) and not _is_left(headers.get(remaining, "0"))
        if (wait_us := _reset(text, now_us)) is not None
    ]
    return max(waits_us, default=None)


def _is_left(text: str) -> bool:
    """Tell whether a `remaining` header leaves anything; an unreadable one does not."""
    left = _scaled(text, 1)
    return left is not None and left > 0


def _reset(text: str, now_us: int) -> int | None:
    plain_us = of_seconds(text)
    if plain_us is None:
        wait_us = of_duration(text)
        return of_instant(text, now_us) if wait_us is None else wait_us
    seconds = plain_us // SECOND_US
    if seconds < _OLDEST_INSTANT_S:
        return plain_us
    at_us = plain_us if seconds < _OLDEST_INSTANT_S * 100 else plain_us // 1_000
    return max(at_us - now_us, 0)


def _scaled(text: str, unit: int) -> int | None:
    text = text.strip()
    if len(text) > MAX_TEXT:
        return None
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    fraction = found[2] or ""
    value = int(found[1] + fraction) * unit * _ten_to(int(found[3] or 0))
    return -(-value // _ten_to(len(fraction)))


def _ten_to(exponent: int) -> int:
    power: int = 10**exponent
    return power


def _date_us(text: str) -> int | None:
    """Read the three forms of an HTTP date (RFC 9110, section 5.6.7) as microseconds since the epoch."""
    found = _DATE.fullmatch(text) if len(text) <= MAX_TEXT else None
    if found is None:
        return None
    month = found["month"] or found["month2"]
    year = int(found["year"] or found["year2"])
    if year < 100:
        year += 2000 if year < 70 else 1900
    hour, minute, second = (int(part) for part in (found["time"] or found["time2"]).split(":"))
    try:
        at = datetime(
            year,
            _MONTHS.index(month) + 1,
            int(found["day"] or found["day2"]),
            hour,
            minute,
            min(second, 59),
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return timegm(at.utctimetuple()) * SECOND_US


class _Detail(msgspec.Struct):
    retry_delay: str = msgspec.field(name="retryDelay", default="")


class _Error(msgspec.Struct):
    details: list[msgspec.Raw] = []


class _Google(msgspec.Struct):
    error: _Error


_decode = msgspec.json.Decoder(_Google | list[_Google]).decode
_decode_detail = msgspec.json.Decoder(_Detail).decode
