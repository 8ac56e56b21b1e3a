"""Scripts that wait for calls which bring none."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.upstream import Running, scripted_upstream
from tests.upstream.raw import CHAT, MESSAGES, ask, connect, control, hear, stats
from tidegate.upstream import Settings, app
from tidegate.upstream.scenario import MAX_BYTES, MAX_MODELS, MAX_WAITING, Scenario
from tidegate.upstream.script import PLAIN, Script, ScriptError


def scenario(plan: Any) -> Scenario:
    made = Scenario()
    made.add(json.dumps(plan))
    return made


def statuses(made: Scenario, *models: str) -> list[int | None]:
    return [made.take(model, CHAT).status for model in models]


def test_a_queue_is_used_up_in_turn_and_then_all_is_normal() -> None:
    made = scenario([{"status": 429}, {"script": {"status": 500}, "times": 2}, {}])
    assert statuses(made, *"mmmmm") == [429, 500, 500, None, None]
    assert made.idle


def test_an_item_may_be_for_one_model_or_one_path() -> None:
    queue = [
        {"script": {"status": 401}, "model": "a", "times": 2},
        {"script": {"status": 402}, "prefix": "/b"},
    ]
    made = scenario({"queue": queue})
    assert statuses(made, "b", "a", "b", "a", "a") == [None, 401, None, 401, None]
    assert made.take("a", "/b/v1/messages").status == 402


def test_a_model_may_have_a_script_and_the_rest_a_default() -> None:
    made = scenario({"queue": [{}], "models": {"a": {"status": 501}}, "default": {"status": 502}})
    assert statuses(made, "a", "a", "b") == [None, 501, 502]
    made.clear()
    assert (made.idle, made.take("a", CHAT)) == (True, PLAIN)


def test_what_is_added_comes_last_and_what_replaces_comes_alone() -> None:
    made = scenario([{"status": 401}])
    made.add('[{"status": 402}]')
    assert statuses(made, "m") == [401]
    made.replace('{"queue": [{"status": 403}], "drop_connections": 2}')
    assert statuses(made, "m", "m") == [403, None]
    assert [made.drops() for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ([{}, {"statu": 1}], "script 1 of the queue"),
        ([{"script": {}, "times": 0}], "times"),
        ({"quue": []}, "quue"),
        ({"models": {"m": {"cut_after": -1}}}, "cut_after"),
        ([{}] * (MAX_WAITING + 1), "over"),
        ({"models": {str(n): {} for n in range(MAX_MODELS + 1)}}, "over"),
        ("text", "script"),
    ],
)
def test_a_plan_that_means_nothing_is_refused_and_changes_nothing(plan: Any, said: str) -> None:
    made = scenario([{"status": 401}])
    for change in (made.add, made.replace):
        with pytest.raises(ScriptError, match=said):
            change(json.dumps(plan))
    assert statuses(made, "m", "m") == [401, None]


def test_what_waits_is_bounded_by_its_bytes() -> None:
    made, large = Scenario(), json.dumps([{"text": "x" * (MAX_BYTES // 2)}])
    made.add(large)
    with pytest.raises(ScriptError, match="MB"):
        made.add(large)
    made.take("m", CHAT)
    made.add(large)


def test_a_provider_starts_with_the_scripts_of_its_settings() -> None:
    assert app(Settings(scripts=b'[{"text": "x"}]')).scenario.take("m", CHAT) == Script(text="x")
    with pytest.raises(ScriptError):
        app(Settings(scripts=b"{"))


@pytest.fixture(scope="module")
def upstream() -> Iterator[Running]:
    with scripted_upstream(output_tokens=2) as running:
        yield running


def test_the_first_call_is_throttled_and_the_second_answered(upstream: Running) -> None:
    url = upstream.base_url
    shown = control(url, "PUT", "/__scripts", [{"fault": "rate", "retry_after": 2}])
    assert shown == (200, {"waiting": 1, "models": [], "default": False, "drop_connections": 0})
    first, second = ask(url), ask(url)
    assert (first.status, first.headers["retry-after"], second.status) == (429, "2", 200)
    assert control(url, "GET", "/__scripts")[1]["waiting"] == 0


def test_a_call_with_a_script_of_its_own_leaves_the_queue_alone(upstream: Running) -> None:
    url = upstream.base_url
    control(url, "POST", "/__scripts", [{"status": 500}])
    assert ask(url, {}).status == 200
    assert ask(url, path=f"{CHAT}?script=%7B%22status%22%3A418%7D").status == 418
    assert ask(url, model='m#{"status": 419}').status == 419
    assert ask(url, path=MESSAGES).status == 500
    assert ask(url).status == 200


def test_the_control_routes_refuse_what_they_do_not_understand(upstream: Running) -> None:
    status, body = control(upstream.base_url, "PUT", "/__scripts", [{"unknown": 1}])
    assert status == 400
    assert "unknown" in body["error"]["message"]
    assert control(upstream.base_url, "PATCH", "/__scripts")[0] == 404
    assert control(upstream.base_url, "DELETE", "/__scripts")[0] == 200


def test_a_connection_is_closed_before_the_call_is_read(upstream: Running) -> None:
    url = upstream.base_url
    for how in ("cut_after", "reset_after"):
        control(url, "PUT", "/__scripts", [{how: "reading"}])
        with connect(url) as sock:
            sock.sendall(f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n".encode())
            heard = hear(sock)
        assert (heard.raw, heard.end) in ((b"", "eof"), (b"", "reset"))
    assert ask(url).status == 200


def test_new_connections_are_dropped(upstream: Running) -> None:
    url = upstream.base_url
    control(url, "PUT", "/__scripts", {"drop_connections": 1})
    try:
        dropped = ask(url).raw
    except ConnectionError:
        dropped = b""
    assert dropped == b""
    assert ask(url).status == 200


def test_a_reset_forgets_scripts_counts_and_cache(upstream: Running) -> None:
    url = upstream.base_url
    long: dict[str, Any] = {"messages": [{"role": "user", "content": "x" * 5_000}]}
    control(url, "PUT", "/__scripts", [{"status": 500}])
    control(url, "POST", "/__reset")
    first = ask(url, **long).json["usage"]["prompt_tokens_details"]["cached_tokens"]
    again = ask(url, **long).json["usage"]["prompt_tokens_details"]["cached_tokens"]
    control(url, "POST", "/__reset")
    anew = ask(url, **long).json["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert (first, again, anew) == (0, 1024, 0)
    assert stats(url)["requests"] == 1
