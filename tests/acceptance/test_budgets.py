"""Budgets as clients of a whole Tidegate meet them."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI

from tests.acceptance.conftest import PRICE, Stage
from tests.acceptance.test_clients import forwarded
from tests.acceptance.test_openai_sdk import last_row
from tests.support.served import deployment, served
from tests.support.upstream import scripted_upstream

Client = Callable[[str], OpenAI]
HELLO: Any = [{"role": "user", "content": "hello"}]
SLOW: Any = [{"role": "user", "content": 'hello [[script {"latency_ms": 300}]]'}]
LONG: Any = [{"role": "user", "content": 'hello [[script {"output_tokens": 2000}]]'}]
CONFIG = """
[policy]
unpriced = "flag"
unpriced_hold = "0.5"

[aliases]
default = ["big"]
"""


def budget(name: str, limit: int | str, unit: str = "calls", **more: str) -> str:
    """A `[[budgets]]` row of a team of the same name; further keys are raw TOML values."""
    rows = {"name": f'"{name}"', "limit": f'"{limit}"', "unit": f'"{unit}"', "window": '"total"'}
    rows |= {"match": f'{{ team = "{name}" }}', **more}
    return "\n[[budgets]]\n" + "\n".join(f"{key} = {value}" for key, value in rows.items() if value) + "\n"


BUDGETS = (
    budget("broke", 10, "tokens", window='"month"', time_zone='"Europe/Berlin"')
    + budget("two", 2, window='"day"')
    + budget("each", 1, per='["customer"]', window="", every_s="3600")
    + budget("thrifty", 10, mode='"degrade"', degrade_at="0.2", degrade_to='"small"')
    + budget("roomy", 1500, "tokens")
    + budget("exact", 1500, "tokens")
    + budget("queue", 400, "tokens")
    + budget("unpriced", "0.8", "EUR")
    + budget("counting", 1)
    + budget("told", 1, mode='"soft"', notify_at="[1.0]")
)


def config(upstream: str) -> str:
    url = f"{upstream}/v1"
    return (
        deployment("big", "vllm", url, "big", price=PRICE)
        + deployment("small", "vllm", url, "small", price=PRICE)
        + deployment("claude", "anthropic-compatible", upstream, "claude-x", key='{ env = "K" }', price=PRICE)
        + deployment("counted", "vllm", url, "gpt-4o", price=PRICE)
        + deployment("free", "vllm", url, "free")
        + CONFIG
        + BUDGETS
    )


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with scripted_upstream(keep_requests=200) as upstream:
        directory = tmp_path_factory.mktemp("served")
        with served(directory, config(upstream.base_url), env={"K": "sk-0000000000"}) as running:
            yield Stage(running, upstream, running.key())


@pytest.fixture
def client(stage: Stage) -> Iterator[Client]:
    """Makes a client whose key is of a team."""
    with ExitStack() as opened:
        yield lambda team: opened.enter_context(
            OpenAI(base_url=f"{stage.base_url}/v1", api_key=stage.served.key(team=team), max_retries=0)
        )


def refused(here: OpenAI, **more: Any) -> openai.APIStatusError:
    asked = {"model": "big", "messages": HELLO, **more}
    with pytest.raises(openai.APIStatusError) as caught:
        here.chat.completions.create(**asked)
    assert (caught.value.status_code, caught.value.code) == (402, "budget_exceeded")
    return caught.value


def test_a_refusal_says_which_budget_how_much_is_left_and_when_it_resets(
    stage: Stage, client: Client
) -> None:
    error = refused(client("broke"), max_tokens=100)
    assert error.response.headers["x-should-retry"] == "false"
    assert "'broke' allows 10 tokens per month" in error.message
    body: Any = error.body
    facts = body["details"]
    assert (facts["budget"], facts["unit"], facts["limit"], facts["remaining"]) == (
        "broke",
        "tokens",
        "10",
        "10",
    )
    assert facts["resets_at"].endswith(("+01:00", "+02:00"))
    assert facts["resets_at"][8:19] == "01T00:00:00"


def test_a_refusal_speaks_the_dialect_of_its_client(stage: Stage) -> None:
    with Anthropic(base_url=stage.base_url, api_key=stage.served.key(team="broke"), max_retries=0) as here:
        with pytest.raises(anthropic.APIStatusError) as caught:
            here.messages.create(model="claude-x", max_tokens=100, messages=HELLO)
        body: Any = caught.value.body
        assert (caught.value.status_code, body["error"]["type"]) == (402, "billing_error")
        assert body["error"]["details"]["budget"] == "broke"


def test_replies_say_how_much_is_left(stage: Stage, client: Client) -> None:
    here = client("two")
    left = []
    for stream in (False, True):
        raw: Any = here.chat.completions.with_raw_response.create(model="big", messages=HELLO, stream=stream)
        left.append(raw.headers["tidegate-budget-remaining"].partition(";reset=")[0])
        list(raw.parse())
    assert left == ['"two";unit=calls;remaining=1', '"two";unit=calls;remaining=0']
    refused(here)


def test_each_customer_has_a_budget_of_its_own(stage: Stage, client: Client) -> None:
    here = client("each")
    for customer in ("ada", "bob"):
        headers = {"tidegate-customer": customer}
        assert here.chat.completions.create(model="big", messages=HELLO, extra_headers=headers).choices
        refused(here, extra_headers=headers)


def test_a_degrading_budget_sends_calls_to_the_cheaper_model(stage: Stage, client: Client) -> None:
    here = client("thrifty")
    answered = []
    for _ in range(3):
        raw = here.chat.completions.with_raw_response.create(model="big", messages=HELLO)
        answered.append((forwarded(stage)["body"]["model"], raw.headers.get("tidegate-degraded")))
    assert answered == [("big", None), ("big", None), ("small", "model")]
    row = last_row(stage, raw.headers["tidegate-request-id"])
    (made,) = [one for one in json.loads(str(row["begin_decisions"])) if one["name"] == "degrade"]
    assert (made["result"], made["inputs"]) == ("small", {"budget": "thrifty", "model": "big"})


def test_an_answer_is_limited_to_what_there_is_room_for(stage: Stage, client: Client) -> None:  # trap M15
    here = client("roomy")
    raw = here.chat.completions.with_raw_response.create(model="big", messages=LONG)
    sent = forwarded(stage)["body"]["max_tokens"]
    assert 1300 < sent < 1500
    row = last_row(stage, raw.headers["tidegate-request-id"])
    assert (row["limit_sent"], row["limit_source"], row["finish"]) == (sent, "budget", "length")
    assert "cut_by_our_limit" in str(row["flags"])
    assert "request.max_tokens" in str(row["edits"])


def test_a_prompt_is_counted_before_it_is_refused(client: Client) -> None:  # trap M13
    here = client("exact")
    asked: Any = [{"role": "user", "content": "the quick brown fox jumps over the lazy dog. " * 100}]
    answer = here.chat.completions.create(model="gpt-4o", messages=asked, max_tokens=50)
    assert answer.choices, "an estimate of 1158 tokens is held half as long again: 1737, but they are 1008"


def test_calls_wait_for_others_to_settle(stage: Stage, client: Client) -> None:  # trap M15
    here = client("queue")

    def ask(_: int) -> bool:
        return bool(here.chat.completions.create(model="big", messages=SLOW, max_tokens=100).choices)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(4)))


def test_a_call_without_a_price_is_held_at_the_ceiling(stage: Stage, client: Client) -> None:  # trap M4
    here = client("unpriced")
    raw = here.chat.completions.with_raw_response.create(model="free", messages=HELLO, max_tokens=10)
    assert raw.headers["tidegate-budget-remaining"] == '"unpriced";unit=EUR;remaining=0.300'
    refused(here, model="free", max_tokens=10)
    row = last_row(stage, raw.headers["tidegate-request-id"])
    assert row["cost_nano"] is None


def test_counting_tokens_takes_nothing_of_a_budget(stage: Stage) -> None:  # trap K14
    with Anthropic(base_url=stage.base_url, api_key=stage.served.key(team="counting"), max_retries=0) as here:
        for _ in range(3):
            assert here.messages.count_tokens(model="claude-x", messages=HELLO).input_tokens
        assert here.messages.create(model="claude-x", max_tokens=10, messages=HELLO).content
        with pytest.raises(anthropic.APIStatusError):
            here.messages.create(model="claude-x", max_tokens=10, messages=HELLO)


def test_a_soft_budget_tells_and_lets_through(stage: Stage, client: Client) -> None:
    here = client("told")
    for _ in range(3):
        assert here.chat.completions.create(model="big", messages=HELLO).choices
    notes = "SELECT facts FROM note WHERE kind = 'budget_threshold'"

    def told() -> list[dict[str, Any]]:
        facts = [json.loads(row["facts"]) for row in stage.served.rows(notes)]
        return [one for one in facts if one["budget"] == "told"]

    stage.served.wait_for(told)
    assert [(one["permille"], one["spent"], one["limit"]) for one in told()] == [(1000, 1, 1)]


def test_a_limit_is_learned_from_answers_and_raised_where_it_cut_one(stage: Stage, client: Client) -> None:
    here = client("learning")

    def ask(messages: Any = HELLO) -> Any:
        named = {"tidegate-feature": "learning"}
        return here.chat.completions.with_raw_response.create(
            model="big", messages=messages, extra_headers=named
        )

    ask()
    assert "max_tokens" not in forwarded(stage)["body"]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ask(), range(100)))
    raw = ask(LONG)
    assert forwarded(stage)["body"]["max_tokens"] == 256
    row = last_row(stage, raw.headers["tidegate-request-id"])
    assert (row["limit_sent"], row["limit_source"], row["finish"]) == (256, "learned", "length")
    assert "cut_by_our_limit" in str(row["flags"])
    ask()
    assert forwarded(stage)["body"]["max_tokens"] == 512


def test_what_was_spent_is_known_after_a_restart(tmp_path: Path) -> None:  # trap M8
    with scripted_upstream() as upstream:
        text = config(upstream.base_url)
        with served(tmp_path, text, env={"K": "sk-0000000000"}) as running:
            key = running.key(team="two")
            with OpenAI(base_url=f"{running.base_url}/v1", api_key=key, max_retries=0) as here:
                here.chat.completions.create(model="big", messages=HELLO)
            running.process.kill()
            running.process.wait()
        with (
            served(tmp_path, text, env={"K": "sk-0000000000"}) as running,
            OpenAI(base_url=f"{running.base_url}/v1", api_key=key, max_retries=0) as here,
        ):
            here.chat.completions.create(model="big", messages=HELLO)
            refused(here)
