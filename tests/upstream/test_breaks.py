"""Where and how a reply breaks, and how odd one can be that does not; heard over bare sockets."""

import json
import resource
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.upstream import Running, scripted_upstream
from tests.upstream.raw import CHAT, MESSAGES, RESPONSES, ask, connect, stats

DIALECTS = [CHAT, MESSAGES, RESPONSES]
EARLY_S = 0.002
"""An event loop fires a timer that is due within its clock's resolution, so a little early."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[Running]:
    with scripted_upstream(output_tokens=6) as running:
        yield running


# traps S5, S6, faults F1, F3
@pytest.mark.parametrize(("how", "end"), [("cut_after", "eof"), ("reset_after", "reset")])
@pytest.mark.parametrize("path", DIALECTS)
@pytest.mark.parametrize(("place", "events"), [("head", 0), (1, 1), (4, 4), (2.5, 3)])
def test_a_stream_is_lost_after_so_many_events(
    upstream: Running, how: str, end: str, path: str, place: Any, events: int
) -> None:
    heard = ask(upstream.base_url, {how: place}, path=path, stream=True)
    assert (heard.status, len(heard.events), heard.end, heard.ended) == (200, events, end, False)
    assert heard.body.endswith(b"\n\n") is (events > 0 and place == events)


@pytest.mark.parametrize(("how", "end"), [("cut_after", "eof"), ("reset_after", "reset")])
@pytest.mark.parametrize("stream", [False, True])
def test_a_call_is_lost_before_any_head(upstream: Running, how: str, end: str, stream: bool) -> None:
    heard = ask(upstream.base_url, {how: 0}, stream=stream)
    assert (heard.raw, heard.end) == (b"", end)


def test_a_plain_reply_is_cut_after_its_head_or_half(upstream: Running) -> None:
    whole = int(ask(upstream.base_url, {}).headers["content-length"])
    bodies = [len(ask(upstream.base_url, {"cut_after": place}).body) for place in ("head", 1)]
    assert bodies == [0, whole // 2]


@pytest.mark.parametrize("path", DIALECTS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_stream_is_cut_inside_a_character(upstream: Running, path: str, stream: bool) -> None:
    # trap S4
    body = ask(upstream.base_url, {"cut_after": "utf8"}, path=path, stream=stream).body
    with pytest.raises(UnicodeDecodeError, match="unexpected end of data"):
        body.decode()


@pytest.mark.parametrize("path", DIALECTS)
def test_a_stream_is_cut_inside_a_calls_arguments(upstream: Running, path: str) -> None:
    # trap S7
    script = {"cut_after": "tool", "tool_call": {"name": "f", "arguments": {"city": "Bonn am Rhein"}}}
    for chosen in (script, {"cut_after": "tool"}):
        events = ask(upstream.base_url, chosen, path=path, stream=True).events
        text = "".join(_arguments(json.loads(event.split("data: ", 1)[1])) for event in events)
        assert text.startswith("{")
        with pytest.raises(json.JSONDecodeError):
            json.loads(text)


def _arguments(event: dict[str, Any]) -> str:
    if "choices" in event:
        calls = event["choices"][0]["delta"].get("tool_calls", [{"function": {"arguments": ""}}])
        return str(calls[0]["function"]["arguments"])
    delta = event.get("delta", "")
    return str(delta.get("partial_json", "") if isinstance(delta, dict) else delta)


@pytest.mark.parametrize("path", DIALECTS)
@pytest.mark.parametrize("place", ["head", 3])
def test_a_stream_ends_early_and_yet_whole_by_http(upstream: Running, path: str, place: Any) -> None:
    heard = ask(upstream.base_url, {"end_after": place}, path=path, stream=True)
    assert (len(heard.events), heard.ended, heard.end) == (0 if place == "head" else 3, True, "eof")


def test_a_plain_reply_ends_early_and_yet_whole_by_http(upstream: Running) -> None:
    heard = ask(upstream.base_url, {"end_after": 1})
    assert heard.ended
    with pytest.raises(json.JSONDecodeError):
        heard.json  # noqa: B018


@pytest.mark.parametrize(
    ("place", "events"), [(0, None), ("head", 0), (2, 2), (2.5, 3), ("utf8", None), ("tool", None)]
)
def test_a_stream_goes_silent(upstream: Running, place: Any, events: int | None) -> None:
    # traps S8, R5, faults F1, F2
    heard = ask(upstream.base_url, {"hang_after": place}, stream=True, patience_s=0.3)
    assert heard.end == "open"
    assert (heard.raw == b"") is (place == 0)
    if events is not None:
        assert len(heard.events) == events


@pytest.mark.parametrize("place", [0, "head", 2, 2.5])
@pytest.mark.parametrize("stream", [False, True])
def test_a_stall_delays_and_changes_nothing(upstream: Running, place: Any, stream: bool) -> None:
    start_s = time.monotonic()
    heard = ask(upstream.base_url, {"stall_ms": 30, "stall_after": place, "text": "x"}, stream=stream)
    assert time.monotonic() - start_s >= 0.03 - EARLY_S
    assert heard.ended
    assert len(heard.body) == len(ask(upstream.base_url, {"text": "x"}, stream=stream).body)


def test_a_stall_may_come_before_a_cut(upstream: Running) -> None:
    script = {"stall_ms": 30, "stall_after": 2, "cut_after": 2}
    start_s = time.monotonic()
    assert len(ask(upstream.base_url, script, stream=True).events) == 2
    assert time.monotonic() - start_s >= 0.03 - EARLY_S


# events of a text of 6 tokens are 1 + 6 + 2 in chat
TIMES: list[tuple[dict[str, Any], float]] = [
    ({"latency_ms": 40}, 0.04),
    ({"first_event_ms": 40}, 0.04),
    ({"event_ms": 5}, 8 * 0.005),
    ({"tokens_per_second": 200}, 6 / 200),
    ({"split": 50, "drip_ms": 1}, 0.015),
    ({"latency_ms": 40, "jitter": 0.5, "seed": 3}, 0.02),
]


@pytest.mark.parametrize(("script", "least_s"), TIMES)
def test_a_reply_takes_its_time(upstream: Running, script: dict[str, Any], least_s: float) -> None:
    start_s = time.monotonic()
    heard = ask(upstream.base_url, script, stream=True)
    assert time.monotonic() - start_s >= least_s - EARLY_S
    assert heard.events[-1] == "data: [DONE]"


def test_a_token_may_be_one_letter_and_a_write_one_byte(upstream: Running) -> None:
    events = ask(upstream.base_url, {"delta_chars": 1, "text": "abcdef", "split": 1}, stream=True).events
    said = [json.loads(event[6:])["choices"][0]["delta"].get("content", "") for event in events[:-1]]
    assert said == ["", *"abcdef", ""]


@pytest.mark.parametrize("path", DIALECTS)
@pytest.mark.parametrize("after", [0, 2])
def test_an_error_event_has_its_dialects_form(upstream: Running, path: str, after: int) -> None:
    # trap S12, fault F6
    script = {"error_event_after": after, "fault": "overload"}
    events = ask(upstream.base_url, script, path=path, stream=True).events
    name, _, raw = events[-1].rpartition("data: ")
    error = json.loads(raw)
    assert len(events) == after + 1
    if path == CHAT:
        assert (name, error["error"]["code"]) == ("", "server_is_overloaded")
    elif path == MESSAGES:
        assert (name, error["error"]["type"]) == ("event: error\n", "overloaded_error")
    else:
        assert (name, error["code"]) == ("event: error\n", "server_is_overloaded")


def test_openrouter_ends_a_stream_in_its_own_form(upstream: Running) -> None:
    script = {"error_event_after": 2, "words": "openrouter"}
    last = json.loads(ask(upstream.base_url, script, stream=True).events[-1][6:])
    assert (last["error"]["code"], last["choices"][0]["finish_reason"]) == (502, "error")


def test_a_response_may_fail(upstream: Running) -> None:
    script = {"error_event_after": 3, "response_failed": True, "fault": "overload"}
    name, _, raw = ask(upstream.base_url, script, path=RESPONSES, stream=True).events[-1].partition("\n")
    event = json.loads(raw[6:])
    assert (name, event["sequence_number"], event["response"]["status"]) == (
        "event: response.failed",
        3,
        "failed",
    )
    assert event["response"]["error"]["code"] == "server_is_overloaded"


@pytest.mark.parametrize("path", DIALECTS)
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_may_hold_nothing(upstream: Running, path: str, stream: bool) -> None:
    heard = ask(upstream.base_url, {"empty_choices": True}, path=path, stream=stream)
    assert heard.ended
    if stream:
        assert b'"delta":' not in heard.body.replace(b'"delta":{"stop_reason"', b"")
    else:
        assert [heard.json[name] for name in ("choices", "content", "output") if name in heard.json] == [[]]


def test_a_reply_may_have_the_form_nobody_asked_for(upstream: Running) -> None:
    plain = ask(upstream.base_url, {"form": "plain"}, stream=True)
    assert (plain.headers["content-type"], plain.json["object"]) == ("application/json", "chat.completion")
    events = ask(upstream.base_url, {"form": "stream"})
    assert events.headers["content-type"].startswith("text/event-stream")
    assert events.events[-1] == "data: [DONE]"
    odd = ask(upstream.base_url, {"headers": {"Content-Type": "text/plain"}}, stream=True)
    assert odd.head.lower().count(b"content-type") == 1
    assert odd.headers["content-type"] == "text/plain"


def test_one_line_may_be_ten_megabytes(upstream: Running) -> None:
    # fault F8
    size = 10_000_000
    events = ask(upstream.base_url, {"long_line_bytes": size, "long_line_after": 2}, stream=True).events
    assert len(events[2]) == size
    assert set(json.loads(events[2][6:])["padding"]) == {"0"}
    assert events[-1] == "data: [DONE]"


@pytest.mark.parametrize("stream", [False, True])
def test_a_small_packed_reply_inflates_to_a_large_one(upstream: Running, stream: bool) -> None:
    size = (20 << 20) + 12_345
    heard = ask(upstream.base_url, {"gzip_bomb_bytes": size}, stream=stream)
    assert (heard.headers["content-encoding"], heard.ended) == ("gzip", True)
    assert len(heard.body) < size / 500
    assert len(heard.inflated) == size
    assert json.loads(heard.inflated.removeprefix(b"data: "))["padding"]


def test_a_bomb_takes_no_memory_and_stops_with_its_client(upstream: Running) -> None:
    before = _peak_bytes()
    heard = ask(upstream.base_url, {"gzip_bomb_bytes": 16 << 30}, limit=100_000)
    assert heard.end == "open"
    _until(upstream, "open", 0)
    assert _peak_bytes() - before < 64 << 20


def test_a_long_line_waits_for_a_slow_client(upstream: Running) -> None:
    # trap S13
    before = _peak_bytes()
    body = (
        b'{"model": "m#{\\"long_line_bytes\\": 1000000000}", "messages": [{"role": "user"}], "stream": true}'
    )
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    with connect(upstream.base_url) as sock:
        sock.sendall(head.encode() + body)
        assert sock.recv(100)
        _until(upstream, "open_streams", 1)
    _until(upstream, "open_streams", 0)
    assert _peak_bytes() - before < 64 << 20


def _until(upstream: Running, name: str, value: int) -> None:
    until_s = time.monotonic() + 10
    while stats(upstream.base_url)[name] != value:
        assert time.monotonic() < until_s, f"{name} did not become {value}"
        time.sleep(0.01)


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
