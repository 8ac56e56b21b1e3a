"""Limits, deadlines, regions, breakers and last resorts, as clients of a whole Tidegate meet them."""

import json
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI

from tests.acceptance.conftest import PRICE, Stage
from tests.support.served import deployment, served
from tests.support.upstream import scripted_upstream

HELLO: Any = [{"role": "user", "content": "hello"}]
MESSAGE = "The assistant is not available just now."
CONFIG = f"""
[resilience]
backoff_s = 0.01

[breaker]
last_calls = 3
last_failures = 3
cooldown_s = 60

[[limits]]
scope = "team"
name = "narrow"
requests_per_minute = 2

[[limits]]
scope = "team"
name = "thrifty"
tokens_per_minute = 200

[[limits]]
scope = "team"
name = "one"
concurrent = 1

[[spend_limits]]
key = "spender"
tokens_per_minute = 10
cooldown_s = 30

[aliases]
resort = ["dead"]
other = ["dead", "spare"]
model = ["dead"]

[last_resort.resort]
message = "{MESSAGE}"

[last_resort.model]
model = "spare"
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with scripted_upstream() as upstream:
        config = (
            deployment("small", "vllm", f"{upstream.base_url}/v1", "small", price=PRICE)
            + deployment(
                "spare",
                "openai-compatible",
                f"{upstream.base_url}/v1",
                "spare",
                key='{ env = "K" }',
                price=PRICE,
            )
            + deployment(
                "dead", "openai-compatible", "http://127.0.0.1:9/v1", "dead", key='{ env = "K" }', price=PRICE
            )
            + CONFIG
        )
        directory = tmp_path_factory.mktemp("served")
        with served(directory, config, env={"K": "sk-0000000000"}) as running:
            yield Stage(running, upstream, running.key())


def client(stage: Stage, **facts: Any) -> OpenAI:
    return OpenAI(base_url=f"{stage.base_url}/v1", api_key=stage.served.key(**facts), max_retries=0)


def test_a_limit_says_how_much_is_left_and_refuses_beyond_it(stage: Stage) -> None:
    with client(stage, team="narrow") as here:
        left = []
        for _ in range(2):
            raw = here.chat.completions.with_raw_response.create(model="small", messages=HELLO)
            left.append(
                (raw.headers["x-ratelimit-limit-requests"], raw.headers["x-ratelimit-remaining-requests"])
            )
        assert left == [("2", "1"), ("2", "0")]
        with pytest.raises(openai.RateLimitError) as caught:
            here.chat.completions.create(model="small", messages=HELLO)
    headers = caught.value.response.headers
    assert caught.value.code == "rate_limit_exceeded"
    assert 1 <= int(headers["retry-after"]) <= 63
    assert (headers["x-should-retry"], headers["tidegate-error-source"]) == ("true", "tidegate")
    assert headers["x-ratelimit-remaining-requests"] == "0"


def test_a_limit_speaks_the_clients_dialect_and_counting_is_free(stage: Stage) -> None:  # trap K14
    key = stage.served.key(team="narrow", tenant="globex")
    with Anthropic(base_url=stage.base_url, api_key=key, max_retries=0) as here:
        for _ in range(5):
            here.messages.count_tokens(model="small", messages=HELLO)
        for _ in range(2):
            raw = here.messages.with_raw_response.create(model="small", max_tokens=5, messages=HELLO)
        assert raw.headers["anthropic-ratelimit-requests-remaining"] == "0"
        with pytest.raises(anthropic.RateLimitError):
            here.messages.create(model="small", max_tokens=5, messages=HELLO)


def test_tokens_are_limited_by_what_was_billed(stage: Stage) -> None:
    with client(stage, team="thrifty") as here:
        first = here.chat.completions.with_raw_response.create(model="small", messages=HELLO, max_tokens=100)
        usage = first.parse().usage
        assert usage is not None
        second = here.chat.completions.with_raw_response.create(model="small", messages=HELLO, max_tokens=50)
        left = int(second.headers["x-ratelimit-remaining-tokens"])
        assert left <= 200 - usage.total_tokens - 50
        assert left > 200 - 100 - 50 - 50
        with pytest.raises(openai.RateLimitError):
            here.chat.completions.create(model="small", messages=HELLO, max_tokens=199)


def test_only_so_many_calls_run_at_once_and_a_client_that_leaves_gives_its_place_back(stage: Stage) -> None:
    slow: Any = [{"role": "user", "content": '[[script {"output_tokens": 400, "tokens_per_second": 20}]]'}]
    with client(stage, team="one") as here:
        stream = here.chat.completions.create(model="small", messages=slow, stream=True)
        next(iter(stream))
        with pytest.raises(openai.RateLimitError):
            here.chat.completions.create(model="small", messages=HELLO)
        stream.close()
        until_s = time.monotonic() + 10
        while time.monotonic() < until_s:
            try:
                assert here.chat.completions.create(model="small", messages=HELLO).choices
            except openai.RateLimitError:
                time.sleep(0.02)
            else:
                return
    pytest.fail("the place was never given back")


def test_a_key_that_spends_too_much_is_paused(stage: Stage) -> None:
    with client(stage, name="spender") as here:
        assert here.chat.completions.create(model="small", messages=HELLO, max_tokens=40).choices
        with pytest.raises(openai.RateLimitError) as caught:
            here.chat.completions.create(model="small", messages=HELLO)
    assert caught.value.code == "spend_paused"
    assert int(caught.value.response.headers["retry-after"]) <= 30


@pytest.mark.parametrize("stream", [False, True])
def test_an_alias_ends_in_its_text_and_says_so(stage: Stage, *, stream: bool) -> None:
    with client(stage) as here:
        for _ in range(
            6
        ):  # the breaker opens on the way: then nothing is tried, and the text comes all the same
            raw = here.chat.completions.with_raw_response.create(
                model="resort", messages=HELLO, stream=stream
            )
            assert raw.headers["tidegate-degraded"] == "message"
            answer: Any = raw.parse()
            text = (
                "".join(chunk.choices[0].delta.content or "" for chunk in answer)
                if stream
                else answer.choices[0].message.content
            )
            assert text == MESSAGE
    rows = stage.served.rows("SELECT outcome, http FROM request WHERE model_asked = 'resort'")
    assert {row["outcome"] for row in rows} <= {"failed", "refused", None}


def test_an_alias_ends_in_another_model(stage: Stage) -> None:
    with client(stage) as here:
        answer = here.chat.completions.create(model="model", messages=HELLO)
    assert answer.model == "spare"


def test_an_open_breaker_is_not_waited_for(stage: Stage) -> None:
    with client(stage) as here:
        for _ in range(3):
            assert here.chat.completions.create(model="other", messages=HELLO).model == "spare"
        refusals = []
        for _ in range(6):
            with pytest.raises(openai.InternalServerError) as caught:
                here.chat.completions.create(model="dead", messages=HELLO)
            refusals.append((caught.value.status_code, caught.value.code))
    assert refusals[-1] == (503, "unavailable")
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 60
    notes = stage.served.rows("SELECT * FROM note WHERE kind = 'breaker'")
    assert any("dead" in json.dumps(row) for row in notes)


def test_a_clients_deadline_is_kept(stage: Stage) -> None:
    hangs: Any = [{"role": "user", "content": '[[script {"hang_after": 0}]]'}]
    with client(stage) as here:
        began_s = time.monotonic()
        with pytest.raises(openai.APIStatusError) as caught:
            here.chat.completions.create(
                model="small", messages=hangs, extra_headers={"tidegate-timeout": "0.4"}
            )
        assert time.monotonic() - began_s < 5
        assert (caught.value.status_code, caught.value.code) == (504, "upstream_timeout")
        with pytest.raises(openai.BadRequestError) as wrong:
            here.chat.completions.create(
                model="small", messages=HELLO, extra_headers={"tidegate-timeout": "soon"}
            )
    assert wrong.value.param == "tidegate-timeout"


def test_a_key_bound_to_a_region_is_not_sent_elsewhere(stage: Stage) -> None:
    with client(stage, region="eu") as here, pytest.raises(openai.PermissionDeniedError) as caught:
        here.chat.completions.create(model="small", messages=HELLO)
    assert "'eu'" in caught.value.message
