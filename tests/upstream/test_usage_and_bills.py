"""What a reply says it used, and what the provider charges for: the two may differ."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.upstream import Running, scripted_upstream
from tests.upstream.raw import CHAT, MESSAGES, RESPONSES, ask, control, stats
from tidegate.upstream.client import Client
from tidegate.upstream.stats import MAX_KEPT_BYTES, MAX_MODELS, MAX_PATHS, Stats

LONG = "You are careful. " * 600
PRICE = {"input": 2, "output": "10.5", "cache_read": 0.2, "cache_write": 2.5}


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with scripted_upstream(output_tokens=8, keep_requests=5) as made:
        yield made


@pytest.fixture
def upstream(running: Running) -> Running:
    """A provider that has seen nothing yet."""
    control(running.base_url, "POST", "/__reset")
    return running


def usage(upstream: Running, script: dict[str, Any], path: str = CHAT, **fields: Any) -> Any:
    return ask(upstream.base_url, script, path=path, **fields).json["usage"]


def billed(upstream: Running) -> dict[str, Any]:
    found: dict[str, Any] = stats(upstream.base_url)["billed"]
    return found


def until(upstream: Running, done: Callable[[Any], bool]) -> Any:
    until_s = time.monotonic() + 10
    while not done(found := stats(upstream.base_url)):
        assert time.monotonic() < until_s, found
        time.sleep(0.01)
    return found


# traps M5, M16, fault F9
BENT: list[tuple[str, str, dict[str, Any]]] = [
    (CHAT, "bare", {"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17}),
    (CHAT, "totals", {"total_tokens": 17}),
    (RESPONSES, "totals", {"total_tokens": 9}),
    (MESSAGES, "totals", {"output_tokens": 8}),
]


@pytest.mark.parametrize(("path", "how", "expected"), BENT)
def test_usage_may_tell_less(upstream: Running, path: str, how: str, expected: dict[str, Any]) -> None:
    assert usage(upstream, {"usage_as": how}, path) == expected


@pytest.mark.parametrize("path", [CHAT, MESSAGES, RESPONSES])
@pytest.mark.parametrize(("how", "sign"), [("negative", -1), ("absurd", 1_000_000_000_000 // 8)])
def test_usage_may_be_impossible(upstream: Running, path: str, how: str, sign: int) -> None:
    told = usage(upstream, {"usage_as": how}, path)
    assert told.get("completion_tokens", told.get("output_tokens")) == 8 * sign


def test_both_of_anthropics_usages_are_bent(upstream: Running) -> None:
    events = ask(upstream.base_url, {"usage_as": "negative"}, path=MESSAGES, stream=True).events
    first, last = (json.loads(events[index].split("data: ")[1]) for index in (0, -2))
    assert first["message"]["usage"]["input_tokens"] < 0
    assert last["usage"] == {"output_tokens": -8}


def test_usage_may_fall_from_one_event_to_the_next(upstream: Running) -> None:
    script = {"usage_twice": True, "usage_always": True, "usage_start": {"completion_tokens": 500}}
    events = [json.loads(event[6:]) for event in ask(upstream.base_url, script, stream=True).events[:-1]]
    assert [event["usage"]["completion_tokens"] for event in events if event["usage"]] == [500, 8]


def test_a_provider_may_state_the_cost(upstream: Running) -> None:
    # trap M11
    assert usage(upstream, {"cost": 0.00125})["cost"] == 0.00125
    assert usage(upstream, {"price": PRICE})["cost"] == pytest.approx((9 * 2 + 8 * 10.5) / 1e6)
    assert billed(upstream) == {
        "input": 18,
        "cache_read": 0,
        "cache_write": 0,
        "output": 16,
        "cost": "0.001352",
    }


def test_the_cost_counts_what_the_cache_did(upstream: Running) -> None:
    system = [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}]
    told = [usage(upstream, {"price": PRICE}, MESSAGES, system=system) for _ in range(2)]
    rest = told[0]["input_tokens"]
    assert told[0]["cost"] == pytest.approx((rest * 2 + 2048 * 2.5 + 8 * 10.5) / 1e6)
    assert told[1]["cost"] == pytest.approx((rest * 2 + 2048 * 0.2 + 8 * 10.5) / 1e6)
    bill = billed(upstream)
    assert (bill["cache_read"], bill["cache_write"], bill["input"]) == (2048, 2048, 2 * rest)


def test_a_cache_is_automatic_by_marks_or_off(upstream: Running) -> None:
    system = {"role": "system", "content": [{"type": "text", "text": LONG}]}
    asked = {"messages": [system, {"role": "user", "content": "Hi"}]}

    def cached(script: dict[str, Any], **fields: Any) -> tuple[int, int]:
        details = usage(upstream, script, **{**asked, **fields})["prompt_tokens_details"]
        return details["cached_tokens"], details.get("cache_write_tokens", 0)

    finer = {"cache_block_tokens": 128, "cache_min_tokens": 2560}
    assert [cached(finer), cached(finer)] == [(0, 0), (2560, 0)]
    assert cached({**finer, "cache": "off"}) == (0, 0)
    assert cached({**finer, "cache_min_tokens": 4_000}) == (0, 0)
    assert cached({"cache": "marks"}) == (0, 0)
    part = {"type": "text", "text": LONG + "!", "cache_control": {"type": "ephemeral"}}
    marked = {"messages": [{"role": "system", "content": [part]}, {"role": "user", "content": "Hi"}]}
    assert [cached({"cache": "marks"}, **marked) for _ in range(2)] == [(0, 2048), (2048, 0)]


def test_a_cached_prefix_is_forgotten_after_its_time(upstream: Running) -> None:
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": LONG}]}
    script = {"cache_ttl_s": 0}
    told = [usage(upstream, script, **asked)["prompt_tokens_details"]["cached_tokens"] for _ in range(2)]
    assert told == [0, 0]


def test_a_mark_of_an_hour_is_told_apart(upstream: Running) -> None:
    system = [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    told = usage(upstream, {}, MESSAGES, system=system)
    assert told["cache_creation"] == {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 2048}


def test_only_answers_are_charged_for(upstream: Running) -> None:
    for script in ({"fault": "rate"}, {"fault": "money_200"}, {"cut_after": 0}, {"context_window": 1}):
        ask(upstream.base_url, script)
    ask(upstream.base_url, path="/v1/messages/count_tokens")
    assert billed(upstream)["input"] == billed(upstream)["output"] == 0
    ask(upstream.base_url, {"no_usage": True})
    ask(upstream.base_url, stream=True)
    ask(upstream.base_url, path="/v1/embeddings", input="Hello")
    assert billed(upstream)["output"] == 16


@pytest.mark.parametrize(("how", "output"), [("stop", 3), ("finish", 8)])
def test_of_a_broken_stream_what_was_generated_is_charged_for(
    upstream: Running, how: str, output: int
) -> None:
    # traps M6, M7, fault F10; a chat stream's first event says nothing
    ask(upstream.base_url, {"cut_after": 4, "disconnect": how}, stream=True)
    assert billed(upstream)["output"] == output


def test_an_error_event_ends_what_is_charged_for(upstream: Running) -> None:
    ask(upstream.base_url, {"error_event_after": 3}, stream=True)
    assert billed(upstream)["output"] == 2


@pytest.mark.parametrize(("how", "output"), [("stop", 2), ("finish", 8)])
def test_a_client_that_leaves_is_charged_by_what_its_provider_does(
    upstream: Running, how: str, output: int
) -> None:
    # trap M6, fault F10
    ask(upstream.base_url, {"hang_after": 3, "disconnect": how}, stream=True, patience_s=0.3)
    found = until(upstream, lambda seen: seen["open"] == 0)
    assert (found["aborted"], found["completed"], found["billed"]["output"]) == (1, 0, output)
    ask(upstream.base_url, {"hang_after": 0, "disconnect": how}, patience_s=0.3)
    found = until(upstream, lambda seen: seen["open"] == 0)
    assert found["billed"]["output"] == (2 if how == "stop" else 16)


def test_counts_are_kept_by_path_model_and_status(upstream: Running) -> None:
    url = upstream.base_url
    ask(url)
    ask(url, path=MESSAGES, model='x#{"status": 429}')
    control(url, "GET", "/v1/nothing")
    found = stats(url)
    assert found["paths"] == {CHAT: 1, MESSAGES: 1, "other": 1}
    assert found["statuses"] == {"200": 1, "429": 1}
    assert found["models"]["m"]["calls"] == 1
    assert found["models"]["m"]["billed"]["output"] == 8
    assert found["models"]["x"]["billed"]["output"] == 0
    assert found["connections"] == 1


def test_a_kept_request_shows_what_became_of_it(upstream: Running) -> None:
    ask(upstream.base_url)
    ask(upstream.base_url, {"reset_after": 0})
    first, second = control(upstream.base_url, "GET", "/__requests")[1]
    assert (first["status"], first["aborted"], first["billed"]["output"]) == (200, False, 8)
    assert (second["status"], second["billed"]["output"]) == (0, 0)


def test_names_without_end_are_counted_together() -> None:
    counted = Stats(0)
    client = Client(lambda: None)  # type: ignore[arg-type, return-value]
    for number in range(MAX_MODELS + 10):
        with counted.exchange(f"/{number}/chat/completions", [], b"", client) as record:
            record.model = f"model-{number}"
    found = json.loads(counted.counts())
    assert len(found["paths"]) == MAX_PATHS + 1
    assert len(found["models"]) == MAX_MODELS + 1
    assert found["models"]["other"]["calls"] == 10


def test_kept_requests_are_bounded_by_their_bytes_too() -> None:
    counted = Stats(1_000, kept_bytes=3 * MAX_KEPT_BYTES)
    client = Client(lambda: None)  # type: ignore[arg-type, return-value]
    body = b"x" * (MAX_KEPT_BYTES + 5)
    for _ in range(7):
        with counted.exchange(CHAT, [], body, client):
            pass
    assert [len(kept["body"]) for kept in json.loads(counted.kept())] == [MAX_KEPT_BYTES] * 3
