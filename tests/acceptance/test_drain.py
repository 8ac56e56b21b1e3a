"""A client that leaves, where the provider bills the reply that nobody reads (trap M6)."""

import json
import time
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.acceptance.conftest import PRICE
from tests.support.served import deployment, served
from tests.support.upstream import scripted_upstream

SCRIPT = '[[script {"output_tokens": 30, "tokens_per_second": 30, "disconnect": "finish"}]]'
ASKED: Any = [{"role": "user", "content": SCRIPT}]


@pytest.mark.parametrize("drains", [True, False])
def test_what_a_client_that_left_cost_is_read_to_its_end(tmp_path: Any, *, drains: bool) -> None:  # trap M6
    more = {"disconnect": '"drain"'} if drains else {}
    with scripted_upstream() as upstream:
        config = deployment("small", "vllm", f"{upstream.base_url}/v1", "small", price=PRICE, **more)
        with (
            served(tmp_path, config) as here,
            OpenAI(base_url=f"{here.base_url}/v1", api_key=here.key(), max_retries=0) as client,
        ):
            stream = client.chat.completions.create(model="small", messages=ASKED, stream=True)
            next(iter(stream))
            stream.close()
            (request,) = here.settled(1)
            (attempt,) = here.attempts()
    assert request["outcome"] == "cancelled"
    if drains:
        assert (attempt["status"], attempt["usage_source"]) == ("ok", "provider")
        assert attempt["output_text"] == 30
        assert json.loads(upstream.app.stats.counts())["aborted"] == 0
    else:
        assert (attempt["status"], attempt["usage_source"]) == ("cancelled", "estimated")
        assert json.loads(upstream.app.stats.counts())["aborted"] == 1


def test_a_plain_reply_is_read_on_too(tmp_path: Any) -> None:  # trap M6
    slow: Any = [{"role": "user", "content": '[[script {"latency_ms": 1500, "output_tokens": 12}]]'}]
    with scripted_upstream() as upstream:
        config = deployment(
            "small", "vllm", f"{upstream.base_url}/v1", "small", price=PRICE, disconnect='"drain"'
        )
        with (
            served(tmp_path, config) as here,
            OpenAI(base_url=f"{here.base_url}/v1", api_key=here.key(), max_retries=0, timeout=0.3) as client,
        ):
            began_s = time.monotonic()
            with pytest.raises(openai.APITimeoutError):
                client.chat.completions.create(model="small", messages=slow)
            assert time.monotonic() - began_s < 1.4
            (request,) = here.settled(1)
            (attempt,) = here.attempts()
    assert request["outcome"] == "cancelled"
    assert (attempt["status"], attempt["usage_source"], attempt["output_text"]) == ("ok", "provider", 12)
