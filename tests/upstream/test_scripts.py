"""Scripts break replies as providers do; read over real sockets with our own transport."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.support.upstream import Running, scripted_upstream
from tidegate.providers.aiohttp_transport import AiohttpTransport
from tidegate.providers.transport import PhaseLimits, TransportError
from tidegate.upstream.script import PLAIN, ScriptError, find, parse

LIMITS = PhaseLimits(connect_s=5, first_byte_s=5, idle_s=5)
SHORT = PhaseLimits(connect_s=5, first_byte_s=0.2, idle_s=0.2)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Running]:
    with scripted_upstream(output_tokens=4, keep_requests=1) as running:
        yield running


def call(
    upstream: Running,
    script: dict[str, Any] | str,
    *,
    path: str = "/v1/chat/completions",
    limits: PhaseLimits = LIMITS,
    **fields: Any,
) -> tuple[int, Mapping[str, str], bytes]:
    """Post one request and read its whole reply."""
    body = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}], **fields}
    raw = script if isinstance(script, str) else json.dumps(script)

    async def main() -> tuple[int, Mapping[str, str], bytes]:
        transport = AiohttpTransport()
        try:
            async with transport.post(
                upstream.base_url + path,
                headers={"x-script": raw, "content-type": "application/json"},
                body=json.dumps(body).encode(),
                limits=limits,
            ) as reply:
                return reply.status, reply.headers, await reply.read(1_000_000)
        finally:
            await transport.close()

    return asyncio.run(main())


def broken(upstream: Running, script: dict[str, Any], **options: Any) -> TransportError:
    with pytest.raises(TransportError) as caught:
        call(upstream, script, **options)
    return caught.value


def events(raw: bytes) -> list[Any]:
    """Return the data of a chat stream's events, `[DONE]` as it is."""
    data = [line[6:] for line in raw.decode().split("\n") if line.startswith("data: ")]
    return [item if item == "[DONE]" else json.loads(item) for item in data]


def stream(upstream: Running, script: dict[str, Any], **fields: Any) -> list[Any]:
    return events(call(upstream, script, stream=True, **fields)[2])


def test_status_headers_and_error_fields_are_scripted(upstream: Running) -> None:
    script = {"status": 429, "headers": {"retry-after": "2"}, "error": {"code": "insufficient_quota"}}
    status, headers, raw = call(upstream, script)
    assert (status, headers["retry-after"]) == (429, "2")
    assert json.loads(raw)["error"]["code"] == "insufficient_quota"


def test_a_body_may_be_replaced_whole(upstream: Running) -> None:
    script = {"status": 502, "body": "<html>", "headers": {"content-type": "text/html"}}
    status, headers, raw = call(upstream, script)
    assert (status, headers["content-type"], raw) == (502, "text/html", b"<html>")


def test_the_served_model_may_be_another(upstream: Running) -> None:
    # trap M18
    assert json.loads(call(upstream, {"model": "served"})[2])["model"] == "served"


def test_a_script_in_the_models_name_is_no_part_of_it(upstream: Running) -> None:
    assert json.loads(call(upstream, "", model='m#{"text": "fixed"}')[2])["model"] == "m"


def test_a_script_may_stand_in_the_last_user_message(upstream: Running) -> None:
    messages = [{"role": "user", "content": 'Say [[script {"text": "a [[b]] c"}]] please'}]
    raw = call(upstream, "", messages=messages)[2]
    assert json.loads(raw)["choices"][0]["message"]["content"] == "a [[b]] c"


@pytest.mark.parametrize("script", ["{", '{"unknown": 1}', '{"status": 100}', '{"split": 0}', "[]"])
def test_a_script_that_means_nothing_is_refused(upstream: Running, script: str) -> None:
    status, _, raw = call(upstream, script)
    assert status == 400
    assert "script" in json.loads(raw)["error"]["message"]


def test_usage_is_left_out_overridden_or_sent_unasked(upstream: Running) -> None:
    # trap M5, fault F9
    assert "usage" not in json.loads(call(upstream, {"no_usage": True})[2])
    assert json.loads(call(upstream, {"usage": {"prompt_tokens": -1}})[2])["usage"]["prompt_tokens"] == -1
    assert stream(upstream, {"usage_always": True})[-2]["usage"]["completion_tokens"] == 4


def test_usage_comes_twice_or_in_an_empty_delta(upstream: Running) -> None:
    # trap S1
    asks = {"stream_options": {"include_usage": True}}
    twice = [e["usage"] for e in stream(upstream, {"usage_twice": True}, **asks)[:-1] if e["usage"]]
    assert [usage["completion_tokens"] for usage in twice] == [1, 4]
    last = stream(upstream, {"usage_in_empty_delta": True}, **asks)[-2]
    assert last["choices"][0]["delta"] == {}
    assert last["usage"]["completion_tokens"] == 4


def test_a_stream_may_begin_as_azures_does(upstream: Running) -> None:
    # trap S9
    first = stream(upstream, {"empty_choices_first": True})[0]
    assert (first["id"], first["choices"]) == ("", [])


def test_the_end_mark_may_be_missing(upstream: Running) -> None:
    # trap S5
    assert stream(upstream, {})[-1] == "[DONE]"
    assert stream(upstream, {"no_done": True})[-1]["choices"][0]["finish_reason"] == "stop"


def test_lines_may_be_odd_and_still_mean_the_same(upstream: Running) -> None:
    # traps S4, F7
    raw = call(upstream, {"crlf": True, "comment": True, "bom": True, "split": 3}, stream=True)[2]
    assert raw.startswith(b"\xef\xbb\xbf: scripted processing\r\n\r\n")
    assert raw.count(b"\n") == raw.count(b"\r\n")
    assert len(events(raw.replace(b"\r\n", b"\n"))) == len(stream(upstream, {}))


def test_one_frame_may_be_malformed(upstream: Running) -> None:
    raw = call(upstream, {"malformed_after": 2}, stream=True)[2]
    with pytest.raises(json.JSONDecodeError):
        events(raw)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/completions"])
def test_an_error_event_ends_a_stream_in_its_dialect(upstream: Running, path: str) -> None:
    # trap S12
    raw = call(upstream, {"error_event_after": 2}, path=path, stream=True, input="Hi", prompt="Hi")[2]
    assert b"scripted error" in raw.rstrip().rsplit(b"\n\n", 1)[-1]


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("how", ["cut_after", "reset_after"])
def test_a_reply_is_cut_in_the_middle(upstream: Running, how: str, streams: bool) -> None:
    # fault F3
    error = broken(upstream, {how: 2}, stream=streams)
    assert (error.sent, error.phase) == ("maybe", "read")


@pytest.mark.parametrize("how", ["cut_after", "reset_after"])
def test_a_connection_is_lost_before_the_head(upstream: Running, how: str) -> None:
    error = broken(upstream, {how: 0})
    assert (error.sent, error.got_bytes) == ("maybe", False)


@pytest.mark.parametrize(
    ("script", "phase"), [({"hang_after": 0}, "first_byte"), ({"hang_after": 2}, "idle")]
)
@pytest.mark.parametrize("streams", [True, False])
def test_a_reply_hangs(upstream: Running, script: dict[str, Any], phase: str, streams: bool) -> None:
    # faults F1, F2
    assert broken(upstream, script, limits=SHORT, stream=streams).phase == phase


def test_a_stall_only_delays(upstream: Running) -> None:
    assert len(stream(upstream, {"stall_ms": 20})) == len(stream(upstream, {}))


def test_a_paced_stream_says_what_the_unpaced_one_says(upstream: Running) -> None:
    def said(script: dict[str, Any]) -> list[Any]:
        return [event["choices"] for event in stream(upstream, script)[:-1]]

    assert said({"tokens_per_second": 1000}) == said({})


def test_several_tool_calls_are_scripted(upstream: Running) -> None:
    script = {"tool_call": [{"name": "a", "arguments": {"x": 1}}, {"name": "b"}]}
    message = json.loads(call(upstream, script)[2])["choices"][0]["message"]
    functions = [made["function"] for made in message["tool_calls"]]
    assert functions == [{"name": "a", "arguments": '{"x":1}'}, {"name": "b", "arguments": "{}"}]


def test_anthropics_two_usages_are_scripted_apart(upstream: Running) -> None:
    # trap S3
    script = {"usage_start": {"input_tokens": 5}, "usage": {"input_tokens": 9, "output_tokens": 7}}
    found = stream(upstream, script, path="/v1/messages")
    assert found[0]["message"]["usage"]["input_tokens"] == 5
    assert found[-2]["usage"] == {"output_tokens": 7, "input_tokens": 9}


def test_an_azure_path_is_a_chat(upstream: Running) -> None:
    status, _, _ = call(upstream, {}, path="/openai/deployments/d/chat/completions?api-version=2024-10-21")
    assert status == 200


def test_an_unknown_path_is_not_found(upstream: Running) -> None:
    assert call(upstream, {}, path="/v1/nothing")[0] == 404


def test_the_last_requests_are_kept_where_asked(upstream: Running) -> None:
    call(upstream, {"text": "x"})
    kept = json.loads(upstream.app.stats.kept())
    assert len(kept) == 1
    assert ["x-script", '{"text": "x"}'] in kept[0]["headers"]
    assert json.loads(kept[0]["body"])["model"] == "m"


def test_exchanges_are_counted_and_those_left_by_the_client_too() -> None:
    with scripted_upstream() as running:
        call(running, {})
        broken(running, {"hang_after": 1}, limits=SHORT, stream=True)
        broken(running, {"hang_after": 0}, limits=SHORT)
    stats = json.loads(running.app.stats.counts())
    names = ("requests", "open", "open_streams", "aborted", "completed")
    assert [stats[name] for name in names] == [3, 0, 0, 2, 1]
    assert stats["paths"] == {"/v1/chat/completions": 3}


def test_the_header_wins_over_the_name_and_the_name_over_the_text() -> None:
    text = '[[script {"status": 501}]]'
    assert find('{"status": 503}', 'm#{"status": 502}', text) == ("m", parse('{"status": 503}'))
    assert find("", 'm#{"status": 502}', text) == ("m", parse('{"status": 502}'))
    assert find("", "m", text) == ("m", parse('{"status": 501}'))
    assert find("", "m", "text") == ("m", PLAIN)


def test_a_script_error_names_the_field() -> None:
    with pytest.raises(ScriptError, match="latency_ms"):
        parse('{"latency_ms": "slow"}')
