"""The stock OpenAI SDK, with only base_url and key changed."""

import json
from collections.abc import Iterator

import openai
import pytest
from openai import OpenAI

from tests.acceptance.conftest import Stage

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="module")
def client(stage: Stage) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{stage.base_url}/v1", api_key=stage.key, max_retries=0) as made:
        yield made


def last_row(stage: Stage, request_id: str) -> dict[str, object]:
    where = "SELECT r.*, a.* FROM request r JOIN attempt a ON a.request_id = r.id WHERE r.id = ?"
    stage.served.wait_for(lambda: any(row["outcome"] for row in stage.served.rows(where, request_id)))
    return stage.served.rows(where, request_id)[-1]


def test_text(client: OpenAI, stage: Stage) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="small",
        messages=[{"role": "user", "content": "hello"}],
        extra_headers={"tidegate-feature": "greeting"},
    )
    answer = raw.parse()
    assert answer.choices[0].message.content
    assert answer.usage is not None
    row = last_row(stage, raw.headers["tidegate-request-id"])
    assert (row["feature"], row["team"], row["outcome"]) == ("greeting", "web", "ok")
    assert row["input_uncached"] == answer.usage.prompt_tokens
    assert row["output_text"] == answer.usage.completion_tokens
    expected_nano = answer.usage.prompt_tokens * 500 + answer.usage.completion_tokens * 2000
    assert (row["cost_nano"], row["currency"], row["usage_source"]) == (expected_nano, "EUR", "provider")


def test_a_stream_without_asked_usage_shows_none_and_is_metered(
    client: OpenAI, stage: Stage
) -> None:  # trap S2
    with client.chat.completions.with_streaming_response.create(
        model="small", messages=[{"role": "user", "content": "hello"}], stream=True
    ) as raw:
        request_id = raw.headers["tidegate-request-id"]
        chunks = list(raw.parse())
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    row = last_row(stage, request_id)
    assert row["usage_source"] == "provider"
    assert json.loads(str(row["edits"])) == [
        "request.stream_options.include_usage",
        "reply.usage_chunk_removed",
    ]


def test_a_stream_with_asked_usage_ends_with_it(client: OpenAI) -> None:  # trap S1
    stream = client.chat.completions.create(
        model="small",
        messages=[{"role": "user", "content": "hello"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    last = list(stream)[-1]
    assert not last.choices
    assert last.usage is not None
    assert last.usage.completion_tokens > 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_is_called_and_its_result_goes_back(client: OpenAI, *, stream: bool) -> None:  # trap S10
    ask = [{"role": "user", "content": 'Weather? [[script {"tool_call": {"name": "get_weather"}}]]'}]
    with client.chat.completions.stream(model="small", messages=ask, tools=[TOOL]) as events:  # type: ignore[arg-type,list-item]
        message = events.get_final_completion().choices[0].message
    if not stream:
        message = client.chat.completions.create(model="small", messages=ask, tools=[TOOL]).choices[0].message  # type: ignore[assignment,arg-type,list-item]
    assert message.tool_calls
    called = message.tool_calls[0]
    assert called.type == "function"
    assert set(json.loads(called.function.arguments)) == {"city"}
    back = [
        *ask,
        message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": called.id, "content": "21 C"},
    ]
    again = client.chat.completions.create(model="small", messages=back, tools=[TOOL])  # type: ignore[arg-type,list-item]
    assert again.choices[0].message.content


def test_an_image_goes_through(client: OpenAI, stage: Stage) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="small",
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
                ],
            }
        ],
    )
    assert last_row(stage, raw.headers["tidegate-request-id"])["images"] == 1


def test_responses(client: OpenAI, stage: Stage) -> None:
    answer = client.responses.create(model="small", input="hello", instructions="Be brief.")
    assert answer.output_text
    with client.responses.stream(model="small", input="hello") as events:
        for _ in events:
            pass
        final = events.get_final_response()
    assert final.usage is not None
    assert final.usage.output_tokens > 0


def test_embeddings_cost_their_input_alone(client: OpenAI, stage: Stage) -> None:
    raw = client.embeddings.with_raw_response.create(model="small", input=["one", "two"])
    assert len(raw.parse().data) == 2
    row = last_row(stage, raw.headers["tidegate-request-id"])
    assert row["cost_nano"] == raw.parse().usage.prompt_tokens * 500


def test_completions(client: OpenAI) -> None:
    assert client.completions.create(model="small", prompt="Once upon").choices[0].text
    chunks = list(client.completions.create(model="small", prompt="Once upon", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)


def test_models_are_listed_as_the_sdk_reads_them(client: OpenAI) -> None:  # trap K3
    assert {"fast", "small", "gpt-small", "claude-x"} <= {model.id for model in client.models.list()}
    assert client.models.retrieve("fast").id == "fast"


@pytest.mark.parametrize("model", ["fast", "gpt-small", "small", "vllm/small"])
def test_every_exact_name_reaches_the_model(client: OpenAI, model: str) -> None:
    assert (
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": "x"}]).model
        == "small"
    )


def test_an_unknown_model_is_a_clean_404(client: OpenAI) -> None:  # trap K9
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "title"}])
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert caught.value.request_id == caught.value.response.headers["tidegate-request-id"]


def test_a_model_of_another_dialect_is_refused_by_name(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="claude-x", prompt="x")
    assert caught.value.code == "unsupported"
    assert "/v1/messages" in caught.value.message


def test_a_model_without_a_price_is_refused(client: OpenAI) -> None:  # trap M4
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="unpriced-model", messages=[{"role": "user", "content": "x"}])
    assert (caught.value.status_code, caught.value.code) == (402, "price_unknown")
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_a_provider_that_is_down_is_a_502_and_cost_nothing(client: OpenAI, stage: Stage) -> None:  # trap M7
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="dead", messages=[{"role": "user", "content": "x"}])
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_unreachable")
    assert caught.value.response.headers["x-should-retry"] == "true"
    row = last_row(stage, caught.value.response.headers["tidegate-request-id"])
    assert (row["outcome"], row["status"], row["sent"], row["cost_nano"]) == (
        "failed",
        "unreachable",
        "no",
        0,
    )


def test_a_providers_own_error_passes_unchanged(client: OpenAI, stage: Stage) -> None:
    script = '[[script {"status": 429, "headers": {"retry-after": "7"}, "error": {"code": "slow_down"}}]]'
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="small", messages=[{"role": "user", "content": script}])
    headers = caught.value.response.headers
    assert caught.value.code == "slow_down"
    assert (headers["retry-after"], headers["tidegate-error-source"]) == ("7", "upstream")
    row = last_row(stage, headers["tidegate-request-id"])
    assert (row["http"], row["error_class"], row["cost_nano"], row["cost_source"]) == (429, "rate", 0, "none")


def test_a_cut_stream_ends_in_an_error_and_not_in_an_answer(client: OpenAI) -> None:  # trap S6
    script = '[[script {"cut_after": 5}]]'
    stream = client.chat.completions.create(
        model="small", messages=[{"role": "user", "content": script}], stream=True
    )
    with stream, pytest.raises(openai.APIError) as caught:
        list(stream)
    assert caught.value.code == "upstream_truncated"


def test_bad_keys_say_what_is_wrong(stage: Stage) -> None:
    revoked = stage.served.key(name="short-lived")
    with stage.served.desk() as desk:
        desk.revoke_key(revoked.split("_")[1], "test")
    for key, code in ((revoked, "revoked_api_key"), ("sk-foreign", "invalid_api_key")):
        stage.served.wait_for(lambda key=key: stage.served.status("/v1/models", key) == 401)
        with (
            OpenAI(base_url=f"{stage.base_url}/v1", api_key=key, max_retries=3) as client,
            pytest.raises(openai.AuthenticationError) as caught,
        ):
            client.models.list()
        assert caught.value.code == code
        assert caught.value.response.headers["x-should-retry"] == "false"  # trap K1
