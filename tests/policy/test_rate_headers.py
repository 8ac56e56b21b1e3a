import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.policy.rate import MINUTE_US, Limit, Verdict
from tidegate.policy.rate_headers import duration, limit_headers, retry_after_s
from tidegate.policy.retry_after import of_duration, of_instant

S = 1_000_000
WALL_US = 1_795_514_400 * S
VERDICTS = (
    Verdict("key:a", Limit("requests", 60), ok=True, remaining=59, reset_us=61 * S),
    Verdict("team:b", Limit("requests", 50), ok=True, remaining=3, reset_us=1_500_000),
    Verdict("key:a", Limit("tokens", 10_000, 60 * S), ok=True, remaining=9_000, reset_us=360 * S),
    Verdict("key:a", Limit("concurrent", 4), ok=True, remaining=3, reset_us=0),
)


def test_openai() -> None:
    assert limit_headers(VERDICTS, "openai", wall_us=WALL_US) == [
        (b"x-ratelimit-limit-requests", b"50"),
        (b"x-ratelimit-remaining-requests", b"3"),
        (b"x-ratelimit-reset-requests", b"1.5s"),
        (b"x-ratelimit-limit-tokens", b"10000"),
        (b"x-ratelimit-remaining-tokens", b"9000"),
        (b"x-ratelimit-reset-tokens", b"6m0s"),
    ]


def test_anthropic() -> None:
    assert limit_headers(VERDICTS, "anthropic", wall_us=WALL_US) == [
        (b"anthropic-ratelimit-requests-limit", b"50"),
        (b"anthropic-ratelimit-requests-remaining", b"3"),
        (b"anthropic-ratelimit-requests-reset", b"2026-11-24T10:00:02Z"),
        (b"anthropic-ratelimit-tokens-limit", b"10000"),
        (b"anthropic-ratelimit-tokens-remaining", b"9000"),
        (b"anthropic-ratelimit-tokens-reset", b"2026-11-24T10:06:00Z"),
    ]


def test_ietf() -> None:
    assert limit_headers(VERDICTS, "ietf", wall_us=WALL_US) == [
        (
            b"ratelimit-policy",
            b'"requests";q=50;w=60, "tokens";q=10000;w=60, "concurrent";q=4;qu="concurrent-requests"',
        ),
        (b"ratelimit", b'"requests";r=3;t=2, "tokens";r=9000;t=360, "concurrent";r=3'),
    ]


def test_without_limits_there_are_no_headers() -> None:
    assert limit_headers((), "openai", wall_us=0) == limit_headers((), "ietf", wall_us=0) == []


def test_the_limit_that_refused_speaks_first() -> None:
    refused = Verdict("team:b", Limit("tokens", 99), ok=False, remaining=50, reset_us=0)
    headers = dict(limit_headers((*VERDICTS[:2], refused, VERDICTS[2]), "openai", wall_us=0))
    assert headers[b"x-ratelimit-limit-tokens"] == b"99"


def test_an_integer_too_large_for_a_structured_field_is_cut() -> None:
    huge = Verdict("a", Limit("tokens", 10**18, MINUTE_US), ok=True, remaining=10**18, reset_us=0)
    assert dict(limit_headers((huge,), "ietf", wall_us=0))[b"ratelimit"] == b'"tokens";r=999999999999999;t=0'


@pytest.mark.parametrize(
    ("span_us", "text"),
    [
        (0, "0ms"),
        (-5, "0ms"),
        (1, "1ms"),
        (120_000, "120ms"),
        (S, "1s"),
        (1_500_000, "1.5s"),
        (10 * S, "10s"),
        (59_999_001, "1m0s"),
        (360 * S, "6m0s"),
        (3661 * S, "1h1m1s"),
        (3600 * S, "1h0m0s"),
    ],
)
def test_durations_are_spelled_as_openai_does(span_us: int, text: str) -> None:
    assert duration(span_us) == text


@given(st.integers(0, 10**13))
def test_what_we_write_is_read_back(span_us: int) -> None:
    rounded_us = -(-span_us // 1000) * 1000
    assert of_duration(duration(span_us)) == rounded_us


@given(st.integers(0, 10**12), st.integers(0, 10**15))
def test_an_instant_is_never_too_early(reset_us: int, wall_us: int) -> None:
    verdict = Verdict("a", Limit("requests", 1), ok=True, remaining=0, reset_us=reset_us)
    text = limit_headers((verdict,), "anthropic", wall_us=wall_us)[2][1].decode()
    read_us = of_instant(text, wall_us)
    assert read_us is not None
    assert reset_us <= read_us < reset_us + S


@pytest.mark.parametrize(("wait_us", "seconds"), [(0, 1), (1, 1), (S, 1), (S + 1, 2)])
def test_retry_after_is_whole_seconds_and_never_too_early(wait_us: int, seconds: int) -> None:
    assert retry_after_s(wait_us) == seconds
