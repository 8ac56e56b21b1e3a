"""The billed probe: one small call per surface, and what its reply says of the row."""

import asyncio
import json
from typing import Any

import pytest

from tests.support.scripted_transport import ScriptedReply, ScriptedTransport
from tests.support.upstream import scripted_upstream
from tidegate.model.provider import Deployment
from tidegate.model.request import Surface
from tidegate.providers import catalog
from tidegate.providers.direct_transport import DirectTransport
from tidegate.providers.probe_call import OUTPUT_TOKENS, Called, call, surface_for
from tidegate.providers.transport import TransportError

ROWS = catalog.load()
SECRET = "sk-0123456789abcdef0123"
CHUNK = {"id": "1", "object": "chat.completion.chunk", "model": "m"}
SAID = {**CHUNK, "choices": [{"index": 0, "delta": {"content": "ok"}, "finish_reason": None}]}
ENDED = {**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
COUNTS = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
USAGE = {**CHUNK, "choices": [], "usage": COUNTS}


def deployment(provider: str, **facts: Any) -> Deployment:
    given = {"name": "one", "model": "m", "names": ("m",), "base_url": "https://h/v1"} | facts
    return Deployment(provider=provider, **given)


def stream(*chunks: dict[str, Any], done: bool = True) -> ScriptedReply:
    frames = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks]
    end = [b"data: [DONE]\n\n"] if done else []
    return ScriptedReply(headers={"content-type": "text/event-stream"}, body=[*frames, *end])


def called(
    provider: str, reply: ScriptedReply, surface: Surface = "chat", **facts: Any
) -> tuple[Called, dict[str, Any]]:
    """What a scripted reply says, and the body that was sent."""
    transport = ScriptedTransport([reply])
    one = deployment(provider, **facts)
    said = asyncio.run(call(transport, ROWS[provider], one, SECRET, surface=surface))
    assert [sent.method for sent in transport.sent] == ["POST"]
    return said, json.loads(transport.sent[0].body)


def test_a_call_is_small_and_asks_for_usage_as_its_row_says() -> None:
    said, body = called("openai", stream(SAID, ENDED, USAGE))
    assert body["max_completion_tokens"] == OUTPUT_TOKENS
    assert body["stream_options"] == {"include_usage": True}
    assert (said.status, said.error, said.model, said.usage) == (200, "", "m", True)
    assert (said.input_tokens, said.output_tokens, said.row_usage, said.notes) == (9, 1, "ask", ())


@pytest.mark.parametrize(
    ("provider", "chunks", "note"),
    [
        ("openai", (SAID, ENDED), "usage was asked for and did not come"),
        ("together", (SAID, ENDED), "usage was expected and did not come"),
        ("cohere", (SAID, ENDED, USAGE), "usage came although the row says"),
        ("cohere", (SAID, ENDED), ""),
    ],
)
def test_usage_that_is_not_as_the_row_says_is_told(
    provider: str, chunks: tuple[dict[str, Any], ...], note: str
) -> None:
    said, body = called(provider, stream(*chunks))
    assert ("stream_options" in body) == (ROWS[provider].stream_usage == "ask")
    assert [note in one for one in said.notes] == ([True] if note else [])


def test_the_operators_word_on_usage_goes_before_the_rows() -> None:
    said, body = called("cohere", stream(SAID, ENDED, USAGE), stream_usage="ask")
    assert body["stream_options"] == {"include_usage": True}
    assert (said.row_usage, said.notes) == ("ask", ())


def test_another_model_in_the_reply_is_told() -> None:
    said, _ = called("ovhcloud", stream({**SAID, "model": "a-younger-one"}, ENDED, USAGE))
    assert any("a-younger-one" in note for note in said.notes)


def test_a_stream_without_its_end_is_told() -> None:
    said, _ = called("openai", stream(SAID, USAGE, done=False))
    assert any("no end mark" in note for note in said.notes)


def test_an_error_is_classified_by_its_row_and_shows_no_key() -> None:
    body = {"error": {"message": f"{SECRET}: out of money", "code": "insufficient_quota"}}
    said, _ = called("openai", ScriptedReply(status=429, body=[json.dumps(body).encode()]))
    assert (said.status, said.error) == (429, "money")
    assert SECRET not in " ".join(said.notes)


def test_a_call_without_an_answer_says_so() -> None:
    lost = TransportError("no connection to h:443", sent="no", got_bytes=False, phase="connect")
    said, _ = called("openai", ScriptedReply(error=lost))
    assert (said.status, said.error, said.notes) == (None, "no_reply", ("no connection to h:443",))


def test_the_stated_cost_is_reported() -> None:  # trap M11
    usage = {**USAGE, "usage": {**COUNTS, "cost": 0.00012}}
    said, _ = called("openrouter", stream(SAID, ENDED, usage))
    assert said.stated_cost == "0.00012"


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("openai", "gpt-5", "chat"),
        ("openai", "text-embedding-3-small", "embeddings"),
        ("anthropic", "claude-opus-5", "messages"),
        ("groq", "embed-like", "chat"),
    ],
)
def test_a_model_is_tried_through_a_surface_it_speaks(provider: str, model: str, expected: Surface) -> None:
    assert surface_for(ROWS[provider], deployment(provider, model=model)) == expected


@pytest.mark.parametrize("surface", ["chat", "messages", "responses", "completions", "embeddings"])
def test_every_surface_is_called_over_a_socket(surface: Surface) -> None:
    provider = ROWS["llamacpp"]

    async def main(base_url: str) -> Called:
        transport = DirectTransport()
        try:
            one = deployment("llamacpp", base_url=f"{base_url}/v1", model="scripted-small")
            return await call(transport, provider, one, "", surface=surface)
        finally:
            await transport.close()

    with scripted_upstream(output_tokens=2) as running:
        said = asyncio.run(main(running.base_url))
    assert (said.status, said.error, said.usage) == (200, "", True), said
    assert said.notes == ()
