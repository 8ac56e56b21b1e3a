"""What providers do wrong beyond the sixteen: refusals, empty wallets, wrong shapes, lies about usage.

For each row: what the client sees, what the record holds, what the provider charges for, nothing left open.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.dialects import Json
from tests.support.faulty import Ending, Ground, Row, check, ground, params

TWICE_RATE = ("error rate", "error rate")
TWICE_OVERLOAD = ("error overload", "error overload")
TWICE_UPSTREAM = ("error upstream", "error upstream")
TWICE_NO_REPLY = ("error -", "error -")
TWICE_CUT = ("truncated -", "truncated -")
TWICE_BROKEN = ("unreachable -", "unreachable -")
OK = ("ok -",)
MONEY = ("error money",)
KEY = ("error key",)


def alone(name: str, script: Json, tries: tuple[str, ...], status: int, code: str | None, **more: Any) -> Row:
    """A row without a fallback: its client gets an error and nothing else."""
    return Row(name, script, tries, "error", behind=(), status=status, code=code, **more)


def of_messages(name: str, script: Json, tries: tuple[str, ...], ends: Ending = "second", **more: Any) -> Row:
    """A row of Anthropic's dialect and words."""
    facts: Json = {"surface": "messages", "provider": "anthropic", "behind": ("c",), **more}
    return Row(name, script, tries, ends, **facts)


def of_wallet(name: str, script: Json, provider: str, **more: Any) -> Row:
    """A row whose alias goes on with the same key, then with another."""
    return Row(name, script, MONEY, provider=provider, behind=("same", "b"), **more)


RATE: Json = {"fault": "rate"}
THROTTLED = (  # case F4, trap R1
    Row("429-until-a-date", {**RATE, "retry_after_date_s": 60}, ("error rate",)),
    Row("429-until-a-date-gone-by", {**RATE, "retry_after_date_s": -60}, TWICE_RATE),
    Row("429-garbage", {**RATE, "retry_after": "soon"}, TWICE_RATE),
    Row("429-negative", {**RATE, "retry_after": -3}, TWICE_RATE),
    Row("429-huge", {**RATE, "retry_after": 1_000_000_000}, ("error rate",)),
    Row("429-milliseconds", {**RATE, "retry_after_ms": 20, "retry_after": 60}, TWICE_RATE),
    Row("429-retry-info", {**RATE, "words": "google", "retry_info": 30}, ("error rate",), provider="google"),
    Row("429-limits-that-reset", {**RATE, "limit_reset_s": 60}, ("error rate",)),
    alone(
        "429-huge-alone",
        {**RATE, "retry_after": 1_000_000_000},
        ("error rate",),
        429,
        "rate_limit_exceeded",
    ),
)
FAILING = (  # case F5
    Row("500", {"fault": "server"}, TWICE_UPSTREAM),
    Row("502", {"status": 502}, TWICE_UPSTREAM),
    Row("503", {"fault": "overload"}, TWICE_OVERLOAD),
    of_messages("529", {"fault": "overload"}, TWICE_OVERLOAD),
    Row("504", {"fault": "timeout"}, TWICE_UPSTREAM),
    alone("503-alone", {"fault": "overload"}, TWICE_OVERLOAD, 503, "server_is_overloaded"),
    alone(
        "503-alone-translated",
        {"fault": "overload"},
        TWICE_OVERLOAD,
        503,
        "overloaded_error",
        surface="messages",
    ),
    Row("html-502", {"fault": "html"}, TWICE_UPSTREAM),
    Row("html-500", {"fault": "html", "status": 500}, TWICE_UPSTREAM),
    alone("html-alone", {"fault": "html"}, TWICE_UPSTREAM, 502, None),
    alone(
        "html-alone-messages",
        {"fault": "html"},
        TWICE_UPSTREAM,
        502,
        None,
        surface="messages",
        provider="anthropic",
    ),
    Row("model-gone", {"fault": "model"}, ("error model",)),
    alone("bad-request", {"fault": "bad"}, ("error bad",), 400, "invalid_request_error"),
    Row(
        "bad-request-not-elsewhere",
        {"fault": "bad"},
        ("error bad",),
        "error",
        status=400,
        code="invalid_request_error",
    ),
    Row("forbidden", {"fault": "forbidden"}, ("error forbidden",)),
    Row("key-refused", {"fault": "key"}, KEY, behind=("same", "b")),
    Row(
        "key-refused-with-400",
        {"fault": "key", "words": "google"},
        KEY,
        provider="google",
        behind=("same", "b"),
    ),
    of_messages("key-refused-messages", {"fault": "key"}, KEY, behind=("same", "c")),
    alone("key-alone", {"fault": "key"}, KEY, 401, "invalid_api_key"),
)
WALLETS = (  # traps M17, R3
    of_wallet("money-429", {"fault": "money_429"}, "openai"),
    of_wallet("money-402", {"fault": "money_402"}, "deepseek"),
    of_wallet("money-400", {"fault": "money_400"}, "openai"),
    of_wallet("money-403", {"fault": "money_403"}, "xai"),
    of_wallet("money-200", {"fault": "money_200"}, "openai", counts="estimated"),
    of_wallet("money-200-stream", {"fault": "money_200"}, "openai", counts="estimated", stream=True),
    *(
        of_messages(f"money-{status}-messages", {"fault": f"money_{status}"}, MONEY, behind=("same", "c"))
        for status in (429, 402, 400)
    ),
    of_messages("money-403-messages", {"fault": "money_403"}, MONEY, behind=("same", "c")),
    of_messages(
        "money-200-messages", {"fault": "money_200"}, MONEY, behind=("same", "c"), counts="estimated"
    ),
    Row(
        "money-in-flight",
        {"fault": "money_in_flight", "words": "openrouter", "retry_after": 30},
        ("error rate",),
        provider="openrouter",
    ),
    alone("money-alone", {"fault": "money_429"}, MONEY, 429, "insufficient_quota"),
    alone(
        "money-200-alone",
        {"fault": "money_200"},
        MONEY,
        402,
        "insufficient_quota",
        counts="estimated",
    ),
)
SHAPES = (  # cases F7, F8
    Row("html-200", {"fault": "html", "status": 200}, TWICE_NO_REPLY, counts="estimated"),
    Row("empty-200", {"fault": "empty"}, TWICE_NO_REPLY, counts="estimated"),
    Row("empty-200-stream", {"fault": "empty"}, TWICE_NO_REPLY, stream=True, counts="estimated"),
    alone(
        "html-200-alone",
        {"fault": "html", "status": 200},
        TWICE_NO_REPLY,
        502,
        "upstream_error",
        counts="estimated",
    ),
    Row("no-choices", {"empty_choices": True}, TWICE_NO_REPLY, counts="provider"),
    Row(
        "no-choices-stream",
        {"empty_choices": True},
        TWICE_NO_REPLY,
        stream=True,
        counts="provider",
    ),
    Row(
        "stream-called-json",
        {"headers": {"content-type": "application/json"}},
        OK,
        "first",
        stream=True,
        counts="provider",
    ),
    Row(
        "json-called-stream",
        {"headers": {"content-type": "text/event-stream"}},
        TWICE_NO_REPLY,
        counts="estimated",
    ),
    Row("stream-not-asked-for", {"form": "stream"}, TWICE_NO_REPLY, counts="estimated"),
    Row("json-for-a-stream", {"form": "plain"}, TWICE_NO_REPLY, stream=True, counts="provider"),
    Row(
        "gzip-bomb",
        {"gzip_bomb_bytes": 200_000_000},
        TWICE_NO_REPLY,
        counts="estimated",
    ),
    Row("gzip-bomb-stream", {"gzip_bomb_bytes": 200_000_000}, TWICE_CUT, stream=True, counts="estimated"),
    Row(
        "redirect",
        {"redirect": "{upstream}/elsewhere/v1/chat/completions"},
        TWICE_UPSTREAM,
        counts="estimated",
    ),
    alone(
        "redirect-alone",
        {"redirect": "{upstream}/elsewhere/v1/chat/completions"},
        TWICE_UPSTREAM,
        502,
        "upstream_error",
        counts="estimated",
    ),
    Row("few-1xx", {"informational": 3}, OK, "first", counts="provider"),
    Row("endless-1xx", {"informational": "endless"}, TWICE_BROKEN, counts="estimated", sent="maybe"),
    Row(
        "header-bomb",
        {"extra_headers": 5_000, "extra_header_bytes": 1_000},
        TWICE_BROKEN,
        counts="estimated",
        sent="maybe",
    ),
    Row(
        "one-long-header",
        {"extra_headers": 1, "extra_header_bytes": 1_000_000},
        TWICE_BROKEN,
        counts="estimated",
        sent="maybe",
    ),
    Row("10-mb-line", {"long_line_bytes": 10_000_000}, OK, "first", stream=True, counts="provider"),
    Row("20-mb-line-first", {"long_line_bytes": 20_000_000}, TWICE_CUT, stream=True, counts="estimated"),
    Row(
        "20-mb-line-later",
        {"long_line_bytes": 20_000_000, "long_line_after": 4},
        ("truncated -",),
        "cut",
        stream=True,
        code="upstream_frame_too_large",
        counts="estimated",
    ),
)
LIES = (  # case F9
    Row("usage-negative", {"usage_as": "negative"}, OK, "first", counts="mixed"),
    Row("usage-negative-stream", {"usage_as": "negative"}, OK, "first", stream=True, counts="mixed"),
    Row("usage-absurd", {"usage_as": "absurd"}, OK, "first", counts="mixed"),
    of_messages("usage-negative-messages", {"usage_as": "negative"}, OK, "first", counts="mixed"),
    of_messages("usage-absurd-messages", {"usage_as": "absurd"}, OK, "first", counts="mixed"),
    of_messages(
        "usage-absurd-messages-stream",
        {"usage_as": "absurd"},
        OK,
        "first",
        stream=True,
        counts="mixed",
    ),
    Row("usage-twice", {"usage_twice": True}, OK, "first", stream=True, counts="provider"),
    Row("usage-in-empty-delta", {"usage_in_empty_delta": True}, OK, "first", stream=True, counts="provider"),
    Row("usage-never", {"no_usage": True}, OK, "first", counts="estimated"),
    Row("usage-never-stream", {"no_usage": True}, OK, "first", stream=True, counts="estimated"),
    of_messages("usage-never-messages", {"no_usage": True}, OK, "first", stream=True, counts="estimated"),
    Row("usage-of-totals-alone", {"usage_as": "totals"}, OK, "first", counts="estimated"),
)
REFUSING = (  # trap R2
    Row("context", {"fault": "context", "words": "vllm"}, ("error context",), provider="vllm"),
    of_messages("context-messages", {"fault": "context"}, ("error context",)),
    alone("context-alone", {"context_window": 5}, ("error context",), 400, "context_length_exceeded"),
    Row(
        "filter", {"fault": "filter"}, ("error filter",), "error", status=400, code="content_policy_violation"
    ),
    of_messages(
        "filter-messages",
        {"fault": "filter"},
        ("error filter",),
        "error",
        status=400,
        code="invalid_request_error",
    ),
    Row(
        "filtered-answer",
        {"finish": "content_filter"},
        OK,
        "first",
        finish="content_filter",
        counts="provider",
    ),
    of_messages(
        "refused-answer", {"finish": "refusal"}, OK, "first", finish="refusal", stream=True, counts="provider"
    ),
)
ROWS = (*THROTTLED, *FAILING, *WALLETS, *SHAPES, *LIES, *REFUSING)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ground(tmp_path_factory.mktemp("served"), ROWS) as made:
        yield made


@pytest.fixture(scope="module")
def whole(here: Ground) -> str:
    """What every deployment answers."""
    text = here.ask("b").text
    assert here.ask("c", "messages").text == text
    return text


@pytest.mark.parametrize("row", params(ROWS))
def test_fault(here: Ground, whole: str, row: Row, record_property: Callable[[str, object], None]) -> None:
    check(here, row, whole, record_property)


@pytest.mark.parametrize("name", ["429-until-a-date", "429-huge", "429-retry-info", "429-limits-that-reset"])
def test_a_stated_wait_is_kept_by_the_calls_that_follow(here: Ground, name: str) -> None:  # trap R1
    here.ask(name)
    before = here.calls(f"m-{name}")
    assert here.ask(name).is_whole
    assert here.calls(f"m-{name}") == before


@pytest.mark.parametrize(
    ("name", "note", "by"),
    [("key-refused", "key_refused", "key"), ("money-429", "wallet_refused", "money")],
)
def test_a_refused_key_or_wallet_opens_the_breaker_at_once(
    here: Ground, name: str, note: str, by: str
) -> None:  # trap M17
    here.ask(name)
    before = here.calls(f"m-{name}")
    assert here.ask(name).is_whole
    assert here.calls(f"m-{name}") == before

    def told() -> bool:
        refused = [one["deployment"] for one in here.notes(note)]
        opened = [one["deployment"] for one in here.notes("breaker") if one["by"] == by]
        return f"a-{name}" in refused and f"a-{name}" in opened

    here.served.wait_for(told)


def test_a_client_is_told_when_to_come_back_and_whether(here: Ground) -> None:  # traps K1, R1
    throttled, empty = here.ask("429-huge-alone"), here.ask("money-alone")
    assert throttled.headers["retry-after"]
    assert throttled.headers["x-should-retry"] == "true"
    assert empty.status in (429, 503)
    if empty.code == "insufficient_quota":
        assert empty.headers["x-should-retry"] == "false"


def test_a_redirect_is_never_followed(here: Ground) -> None:
    paths = here.upstream.app.stats.paths
    assert not any("elsewhere" in path for path in paths)


def test_nothing_is_left_open(here: Ground) -> None:
    here.served.wait_for(here.is_quiet)
