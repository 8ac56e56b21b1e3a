"""Rate limits as reply headers: OpenAI's, Anthropic's, and the IETF's draft (httpapi-ratelimit-headers-11).

Of several scopes the tightest speaks for its kind, so that a client sees the limit it will meet first.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal, assert_never

from tidegate.model.request import Dialect
from tidegate.policy.rate import SECOND_US, Kind, Verdict

HeaderForm = Dialect | Literal["ietf"]
Headers = list[tuple[bytes, bytes]]

KINDS: tuple[Kind, ...] = ("requests", "tokens", "concurrent")
MAX_INTEGER = 999_999_999_999_999
"""The largest integer of a structured field (RFC 9651, section 3.3.1)."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def limit_headers(verdicts: Iterable[Verdict], form: HeaderForm, *, wall_us: int) -> Headers:
    """Return the headers of one reply; `wall_us` is the wall clock, which Anthropic's resets are stated in.

    Concurrent calls have headers in the IETF's form alone.
    """
    tightest = _tightest(verdicts)
    match form:
        case "openai":
            return [header for one in tightest for header in _openai(one)]
        case "anthropic":
            return [header for one in tightest for header in _anthropic(one, wall_us)]
        case "ietf":
            return _ietf(tightest)
        case _:
            assert_never(form)


def retry_after_s(wait_us: int) -> int:
    """Return whole seconds for `retry-after`, rounded up and at least 1, so that nobody comes too early."""
    return max(-(-wait_us // SECOND_US), 1)


def duration(span_us: int) -> str:
    """Spell a duration as OpenAI does: `120ms`, `1s`, `6m0s`, rounded up to milliseconds."""
    milliseconds = -(-max(span_us, 0) // 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    whole, fraction = divmod(milliseconds, 1000)
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{seconds}.{fraction:03}".rstrip("0").rstrip(".") if fraction else f"{seconds}"
    if hours:
        return f"{hours}h{minutes}m{text}s"
    return f"{minutes}m{text}s" if minutes else f"{text}s"


def _tightest(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return one verdict a kind: what refuses before what admits, then what has least left."""
    best: dict[Kind, Verdict] = {}
    for one in verdicts:
        known = best.get(one.limit.kind)
        if known is None or (one.ok, one.remaining, one.limit.amount) < (
            known.ok,
            known.remaining,
            known.limit.amount,
        ):
            best[one.limit.kind] = one
    return [best[kind] for kind in KINDS if kind in best]


def _openai(verdict: Verdict) -> Headers:
    kind = verdict.limit.kind
    if kind == "concurrent":
        return []
    return [
        (f"x-ratelimit-limit-{kind}".encode(), b"%d" % verdict.limit.amount),
        (f"x-ratelimit-remaining-{kind}".encode(), b"%d" % verdict.remaining),
        (f"x-ratelimit-reset-{kind}".encode(), duration(verdict.reset_us).encode()),
    ]


def _anthropic(verdict: Verdict, wall_us: int) -> Headers:
    kind = verdict.limit.kind
    if kind == "concurrent":
        return []
    at = _EPOCH + timedelta(seconds=-(-(wall_us + verdict.reset_us) // SECOND_US))
    return [
        (f"anthropic-ratelimit-{kind}-limit".encode(), b"%d" % verdict.limit.amount),
        (f"anthropic-ratelimit-{kind}-remaining".encode(), b"%d" % verdict.remaining),
        (f"anthropic-ratelimit-{kind}-reset".encode(), f"{at:%Y-%m-%dT%H:%M:%SZ}".encode()),
    ]


def _ietf(verdicts: list[Verdict]) -> Headers:
    if not verdicts:
        return []
    policies = ", ".join(_policy(one) for one in verdicts)
    states = ", ".join(_state(one) for one in verdicts)
    return [(b"ratelimit-policy", policies.encode()), (b"ratelimit", states.encode())]


def _policy(verdict: Verdict) -> str:
    limit = verdict.limit
    quota = min(limit.amount, MAX_INTEGER)
    if limit.kind == "concurrent":
        return f'"concurrent";q={quota};qu="concurrent-requests"'
    return f'"{limit.kind}";q={quota};w={max(limit.window_us // SECOND_US, 1)}'


def _state(verdict: Verdict) -> str:
    left = min(verdict.remaining, MAX_INTEGER)
    if verdict.limit.kind == "concurrent":
        return f'"concurrent";r={left}'
    return f'"{verdict.limit.kind}";r={left};t={-(-verdict.reset_us // SECOND_US)}'
