"""The stock Anthropic SDK, with only base_url and key changed."""

from collections.abc import Iterator

import anthropic
import pytest
from anthropic import Anthropic

from tests.acceptance.conftest import Stage
from tests.acceptance.test_openai_sdk import PIXEL, last_row

TOOL = {"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}


@pytest.fixture(scope="module")
def client(stage: Stage) -> Iterator[Anthropic]:
    with Anthropic(base_url=stage.base_url, api_key=stage.key, max_retries=0) as made:
        yield made


def test_text(client: Anthropic, stage: Stage) -> None:
    raw = client.messages.with_raw_response.create(
        model="claude-x", max_tokens=50, system="Be brief.", messages=[{"role": "user", "content": "hello"}]
    )
    answer = raw.parse()
    assert answer.content[0].type == "text"
    row = last_row(stage, raw.headers["tidegate-request-id"])
    assert (row["surface"], row["outcome"], row["max_output"]) == ("messages", "ok", 50)
    assert (row["input_uncached"], row["output_text"]) == (
        answer.usage.input_tokens,
        answer.usage.output_tokens,
    )
    assert row["cost_nano"] == answer.usage.input_tokens * 500 + answer.usage.output_tokens * 2000


def test_a_stream_is_metered_from_its_own_events(client: Anthropic, stage: Stage) -> None:  # trap S3
    with client.messages.stream(
        model="claude-x", max_tokens=50, messages=[{"role": "user", "content": "hello"}]
    ) as events:
        text = events.get_final_text()
        final = events.get_final_message()
        request_id = events.response.headers["tidegate-request-id"]
    assert text
    assert last_row(stage, request_id)["output_text"] == final.usage.output_tokens


def test_a_tool_is_called_and_its_result_goes_back(client: Anthropic) -> None:
    ask = [{"role": "user", "content": 'Weather? [[script {"tool_call": {"name": "get_weather"}}]]'}]
    with client.messages.stream(model="claude-x", max_tokens=99, messages=ask, tools=[TOOL]) as events:  # type: ignore[arg-type,list-item]
        message = events.get_final_message()
    call = next(block for block in message.content if block.type == "tool_use")
    assert message.stop_reason == "tool_use"
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "21 C"}
    back = [*ask, {"role": "assistant", "content": message.content}, {"role": "user", "content": [result]}]
    again = client.messages.create(model="claude-x", max_tokens=99, messages=back, tools=[TOOL])  # type: ignore[arg-type,list-item]
    assert again.content[0].type == "text"


def test_an_image_goes_through(client: Anthropic, stage: Stage) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    ask = [{"role": "user", "content": [image, {"type": "text", "text": "What is this?"}]}]
    raw = client.messages.with_raw_response.create(
        model="claude-x",
        max_tokens=20,
        messages=ask,  # type: ignore[arg-type]
    )
    assert last_row(stage, raw.headers["tidegate-request-id"])["images"] == 1


def test_counting_tokens_costs_nothing(client: Anthropic, stage: Stage) -> None:  # trap K14
    raw = client.messages.with_raw_response.count_tokens(
        model="claude-x", messages=[{"role": "user", "content": "hello"}]
    )
    assert raw.parse().input_tokens > 0
    row = last_row(stage, raw.headers["tidegate-request-id"])
    assert (row["surface"], row["cost_nano"]) == ("count_tokens", 0)


def test_models_are_listed_as_the_sdk_reads_them(client: Anthropic) -> None:  # trap K3
    assert {"fast", "claude-x"} <= {model.id for model in client.models.list()}


def test_errors_are_the_dialects_own(client: Anthropic, stage: Stage) -> None:
    ask = {"max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
    with pytest.raises(anthropic.NotFoundError) as missing:
        client.messages.create(model="nope", **ask)  # type: ignore[call-overload]
    assert missing.value.body["error"]["type"] == "not_found_error"  # type: ignore[index]
    assert missing.value.request_id == missing.value.response.headers["tidegate-request-id"]
    with (
        Anthropic(base_url=stage.base_url, api_key="sk-ant-foreign", max_retries=0) as stranger,
        pytest.raises(anthropic.AuthenticationError),
    ):
        stranger.messages.create(model="claude-x", **ask)  # type: ignore[call-overload]


def test_a_cut_stream_raises(client: Anthropic) -> None:  # trap S6
    ask = [{"role": "user", "content": '[[script {"cut_after": 5}]]'}]
    with (
        pytest.raises(anthropic.APIStatusError),
        client.messages.stream(model="claude-x", max_tokens=50, messages=ask) as events,  # type: ignore[arg-type]
    ):
        events.get_final_message()


def test_an_overload_says_when_to_come_back(client: Anthropic) -> None:
    script = '[[script {"status": 529, "headers": {"retry-after": "3"}}]]'
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(model="claude-x", max_tokens=5, messages=[{"role": "user", "content": script}])
    assert (caught.value.status_code, caught.value.response.headers["retry-after"]) == (529, "3")
    assert caught.value.response.headers["x-should-retry"] == "true"
