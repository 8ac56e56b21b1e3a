import json
from typing import Any

import pytest

from tidegate.model.errors import BadRequest
from tidegate.model.provider import UsageRules
from tidegate.model.request import Part, RequestFacts
from tidegate.model.usage import Usage
from tidegate.wire.body import Body
from tidegate.wire.openai_completions import CODEC


def read(**fields: Any) -> RequestFacts:
    asked = {"model": "m", "prompt": "Hello"} | fields
    return CODEC.read_request(Body.parse(json.dumps(asked, ensure_ascii=False).encode()))


@pytest.mark.parametrize(
    ("prompt", "count", "text_bytes", "ascii_bytes"),
    [
        ("Grüß", 1, 6, 2),
        (["ab", "ü"], 2, 4, 2),
        ([1, 2, 3], 1, 12, 12),
        ([[1, 2], [3]], 2, 12, 12),
        ([], 0, 0, 0),
        (None, 0, 0, 0),
        ([1, "a long text among token ids"], 1, 34, 34),
    ],
)
def test_prompts_of_every_form_are_measured(
    prompt: object, count: int, text_bytes: int, ascii_bytes: int
) -> None:
    facts = read(prompt=prompt)
    size = 0 if prompt is None else len(json.dumps(prompt, ensure_ascii=False).encode())
    assert facts.message_count == count
    assert facts.parts.last_user == Part(size_bytes=size, text_bytes=text_bytes, ascii_bytes=ascii_bytes)


def test_space_before_a_prompt_hides_nothing() -> None:
    body = Body.parse(b'{"model":"m","prompt":[' + b" " * 500 + b'"' + b"x" * 100 + b'"]}')
    assert CODEC.read_request(body).parts.last_user.text_bytes == 100


def test_every_answer_that_is_generated_is_counted() -> None:  # case 26
    assert read(n=2).n == 2
    assert read(n=2, best_of=5).n == 5
    assert read(n=2, best_of=5, prompt=["a", "b", "c"]).n == 15
    with pytest.raises(BadRequest):
        read(best_of=1000)


def test_a_limit_of_zero_asks_for_the_prompts_log_probabilities() -> None:
    facts = read(max_tokens=0, echo=True)
    assert (facts.max_output, facts.max_output_field) == (0, "max_tokens")


@pytest.mark.parametrize("value", [-1, 1e30, "5", True, 2**63])
def test_a_limit_that_is_none_is_refused(value: object) -> None:  # case 24
    with pytest.raises(BadRequest) as caught:
        read(max_tokens=value)
    assert caught.value.param == "max_tokens"


@pytest.mark.parametrize(("prompt", "param"), [(["a", 1], "prompt[1]"), ([{}, 1], "prompt[1]")])
def test_a_list_of_mixed_prompts_is_refused(prompt: list[object], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(prompt=prompt)
    assert caught.value.param == param


def test_a_flood_of_prompts_is_refused() -> None:  # case 23
    with pytest.raises(BadRequest, match="inputs"):
        CODEC.read_request(Body.parse(b'{"model":"m","prompt":[' + b'"",' * 600_000 + b'""]}'))


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def test_a_plain_reply_is_read() -> None:
    reply = {
        "id": "cmpl-1",
        "model": "m-1",
        "choices": [{"text": "Hé", "index": 0, "logprobs": None, "finish_reason": "length"}],
        "usage": USAGE,
    }
    facts = CODEC.read_reply(json.dumps(reply).encode(), UsageRules())
    assert (facts.id, facts.model, facts.finish, facts.complete, facts.started) == (
        "cmpl-1",
        "m-1",
        "length",
        True,
        True,
    )
    assert (facts.text_bytes, facts.ascii_bytes) == (3, 1)
    assert facts.usage is not None
    assert facts.usage.usage == Usage(input_uncached=3, output_text=2)


def test_a_stream_is_read() -> None:
    watcher = CODEC.watch_stream(UsageRules(), injected_usage=True)
    for text, finish in (("", None), ("Hi", None), ("!", "stop")):
        choice = {"text": text, "index": 0, "finish_reason": finish}
        assert watcher.event(b"", json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode())
        assert watcher.facts.started == bool(watcher.facts.text_bytes)
    assert not watcher.event(b"", json.dumps({"id": "c", "choices": [], "usage": USAGE}).encode())  # trap S2
    assert watcher.event(b"", b"[DONE]")
    facts = watcher.facts
    assert (facts.finish, facts.complete, facts.text_bytes) == ("stop", True, 3)
