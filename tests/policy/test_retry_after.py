from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.policy.retry_after import (
    MAX_BODY_BYTES,
    MAX_STATED_US,
    of_duration,
    of_instant,
    of_resets,
    of_retry_after,
    of_retry_info,
    stated_wait,
)

S = 1_000_000
NOW_US = int(datetime(2026, 11, 24, 10, 0, 0, tzinfo=UTC).timestamp()) * S


@pytest.mark.parametrize(  # trap R1, case F4
    ("text", "expected"),
    [
        ("2", 2 * S),
        (" 2 ", 2 * S),
        ("0", 0),
        ("0.25", 250_000),
        ("1.", S),
        ("0.0000001", 1),
        ("1e3", 1000 * S),
        ("1e9", 10**9 * S),
        ("9" * 64, int("9" * 64) * S),
        ("9" * 65, None),
        ("-1", None),
        ("+1", None),
        ("", None),
        ("soon", None),
        ("NaN", None),
        ("inf", None),
        ("1_000", None),
        ("\u0662", None),
        ("Tue, 24 Nov 2026 10:00:05 GMT", 5 * S),
        ("Tuesday, 24-Nov-26 10:00:05 GMT", 5 * S),
        ("Tue Nov 24 10:00:05 2026", 5 * S),
        ("Tue Nov  3 10:00:05 2026", 0),
        ("Tue, 24 Nov 2026 10:00:60 GMT", 59 * S),
        ("Mon, 23 Nov 2026 10:00:05 GMT", 0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 0),
        ("Tue, 31 Feb 2026 10:00:05 GMT", None),
        ("Tue, 24 Nix 2026 10:00:05 GMT", None),
        ("Tue, 24 Nov 2026 25:00:05 GMT", None),
        ("Tue, 24 Nov 2026 10:00:05 CET", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, expected: int | None) -> None:
    assert of_retry_after(text, NOW_US) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1s", S),
        ("6m0s", 360 * S),
        ("2m59.56s", 179_560_000),
        ("120ms", 120_000),
        ("1h2m3s", 3723 * S),
        ("1d", 86_400 * S),
        ("1ns", 1),
        ("1500ns", 2),
        ("250us", 250),
        ("500\u00b5s", 500),
        ("0" * 62 + "1s", S),
        ("0" * 63 + "1s", None),
        ("12.3456789s", 12_345_679),
        ("", None),
        ("s", None),
        ("12", None),
        ("-1s", None),
        ("1s!", None),
        ("1.s", None),
        ("1" * 70 + "s", None),
    ],
)
def test_a_duration_is_read_in_steps(text: str, expected: int | None) -> None:
    assert of_duration(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-24T10:00:07Z", 7 * S),
        ("2026-11-24t11:00:07.5+01:00", 7_500_000),
        ("2026-11-24T09:00:00Z", 0),
        ("2026-11-24", None),
        ("2026-11-24T10:00:07", None),
        ("2026-13-24T10:00:07Z", None),
        ("0001-01-01T00:00:00+23:59", 0),
    ],
)
def test_an_instant_needs_its_zone(text: str, expected: int | None) -> None:
    assert of_instant(text, NOW_US) == expected


def google(details: str) -> bytes:
    return b'{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":' + details.encode() + b"}}"


RETRY_INFO = '{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"12s"}'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (google(f'[{{"@type":"x","violations":[{{}}]}},{RETRY_INFO}]'), 12 * S),
        (b"[" + google(f"[{RETRY_INFO}]") + b"]", 12 * S),
        (google(f'[7,{{"retryDelay":7}},{{"retryDelay":"?"}},{RETRY_INFO}]'), 12 * S),
        (google('[{"retryDelay":"0.847s"}]'), 847_000),
        (google('{"retryDelay":"1s"}'), None),
        (google("[]") + b" retryDelay", None),
        (b'{"error":"retryDelay"}', None),
        (b'{"retryDelay":"1s"}', None),
        (b"[] retryDelay", None),
        (b'["retryDelay"]', None),
        (b"[]", None),
        (b'{"error":{"details":' + b"[" * 50_000 + b'"retryDelay"', None),
        (google(f"[{RETRY_INFO}]") + b" " * 70_000, None),
        (google(f"[{RETRY_INFO}]").ljust(MAX_BODY_BYTES), 12 * S),
        (google(f"[{RETRY_INFO}]").ljust(MAX_BODY_BYTES + 1), None),
        (b"<html>retryDelay</html>", None),
    ],
)
def test_google_states_its_delay_in_the_body(body: bytes, expected: int | None) -> None:
    assert of_retry_info(body) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360 * S),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "6m0s"}, None),
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "120ms",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "1s",
            },
            S,
        ),
        ({"x-ratelimit-reset": "30"}, 30 * S),
        ({"x-ratelimit-reset": str(NOW_US // S + 9)}, 9 * S),
        ({"x-ratelimit-reset": str(NOW_US // 1000 + 9000)}, 9 * S),
        ({"x-ratelimit-reset": str(NOW_US // S - 9)}, 0),
        ({"x-ratelimit-remaining": "1", "x-ratelimit-reset": "30"}, None),
        ({"x-ratelimit-reset": "whenever"}, None),
        (
            {
                "anthropic-ratelimit-tokens-remaining": "0",
                "anthropic-ratelimit-tokens-reset": "2026-11-24T10:00:30Z",
            },
            30 * S,
        ),
        (
            {"anthropic-ratelimit-tokens-remaining": "?", "anthropic-ratelimit-tokens-reset": "1s"},
            S,
        ),
        ({}, None),
    ],
)
def test_a_reset_counts_where_the_limit_is_used_up(headers: dict[str, str], expected: int | None) -> None:
    assert of_resets(headers, NOW_US) == expected


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"retry-after-ms": "250", "retry-after": "9"}, b"", 250_000),
        ({"retry-after-ms": "soon", "retry-after": "9"}, b"", 9 * S),
        ({"retry-after": "9"}, google(f"[{RETRY_INFO}]"), 9 * S),
        ({"retry-after": "soon"}, google(f"[{RETRY_INFO}]"), 12 * S),
        ({"x-ratelimit-reset": "7"}, google(f"[{RETRY_INFO}]"), 12 * S),
        ({"x-ratelimit-reset": "7"}, b"", 7 * S),
        ({"retry-after": "1e9"}, b"", MAX_STATED_US),
        ({"retry-after": "0"}, b"", 0),
        ({}, b"", None),
    ],
)
def test_the_most_exact_word_wins(headers: dict[str, str], body: bytes, expected: int | None) -> None:
    assert stated_wait(headers, body, now_us=NOW_US) == expected


texts = st.text(max_size=80) | st.from_regex(r"[0-9]{0,20}[.eE:smhd, TZ+-]{0,6}[0-9]{0,9}", fullmatch=True)
NAMES = ("retry-after-ms", "retry-after", "x-ratelimit-reset-tokens", "anthropic-ratelimit-requests-reset")


@given(st.dictionaries(st.sampled_from(NAMES), texts), st.binary(max_size=200), st.integers(0, 2**62))
def test_whatever_is_sent_gives_a_bounded_wait_or_none(
    headers: dict[str, str], body: bytes, now_us: int
) -> None:
    wait_us = stated_wait(headers, body + b"retryDelay", now_us=now_us, cap_us=5 * S)
    assert wait_us is None or 0 <= wait_us <= 5 * S
