"""Every recorded Responses request in the words of chat and of messages, and recorded replies given back.

The check of requests looks at the client's JSON and at ours, and knows nothing of our readers.
"""

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.wire.translate.test_recorded import (
    ABLE,
    DIALECTS,
    SHAPES,
    TRAFFIC,
    events_of,
    exchanges,
    is_listed,
    is_there,
    leaves,
    refusal,
    requests,
    words_of,
)
from tidegate.model import event as ev
from tidegate.model.errors import Unsupported
from tidegate.model.message import Part, Text
from tidegate.model.usage import Usage
from tidegate.wire.body import Body
from tidegate.wire.sse import FrameReader
from tidegate.wire.translate import (
    ResponsesWriter,
    Written,
    echo_of,
    fold,
    plain_response,
    read_responses,
    write_chat,
    write_messages,
)

DIALECT = "openai_responses"
WRITE: list[Callable[..., Written]] = [write_chat, write_messages]
OWN_SHAPES = re.compile(r"^input\[\d+\]\.(id|status)$|^previous_response_id$|^text\.format\.strict$")
"""An item's own name and state, which say nothing to a model; and what the caller is given apart."""

pytestmark = pytest.mark.skipif(not TRAFFIC.is_dir(), reason="no recorded traffic (TIDEGATE_DATA)")


@pytest.mark.parametrize("write", WRITE)
def test_every_value_of_a_request_goes_over_or_is_listed(write: Callable[..., Written]) -> None:
    carried, listed, missing = 0, Counter[str](), Counter[str]()
    for ident, asked in requests(DIALECT):
        try:
            read = read_responses(Body.parse(msgspec.json.encode(asked)))
            written = write(read, ABLE, model="m", drop_unsupported=True)
        except Unsupported as error:
            listed[error.param or ""] += 1
            continue
        paths = (*written.dropped, *written.adapted)
        values, text = words_of(written.body)
        for path, value in leaves(asked):
            if is_listed(path, paths):
                listed[re.sub(r"\d+", "#", path)] += 1
            elif SHAPES.search(path) or OWN_SHAPES.search(path):
                continue
            elif is_there(path, value, values, text):
                carried += 1
            else:
                missing[f"{ident} {path} {str(value)[:60]!r}"] += 1
    print(f"\n{carried} values carried, {listed.total()} listed: {listed.most_common(12)}")
    assert not missing
    assert carried > 5_000
    assert listed.total() < carried / 3


@pytest.mark.parametrize("write", WRITE)
def test_every_request_is_taken_whole_or_refused_by_name(write: Callable[..., Written]) -> None:
    # trap V3
    taken, refused = 0, Counter[str]()
    for ident, asked in requests(DIALECT):
        param, message = refusal(read_responses(Body.parse(msgspec.json.encode(asked))), write)
        if message:
            assert param, ident
            assert param in message, ident
            refused[re.sub(r"\d+", "#", param)] += 1
        else:
            taken += 1
    print(f"\n{taken} taken, {refused.total()} refused: {refused.most_common(12)}")
    assert taken / (taken + refused.total()) > 0.8


def test_a_recorded_second_call_names_the_response_it_goes_on_from() -> None:
    # trap K10
    found = [read_responses(Body.parse(msgspec.json.encode(asked))) for _, asked in requests(DIALECT)]
    assert len([asked for asked in found if asked.previous_id]) > 5


ASKED = Body.parse(b'{"model":"m","input":"Hi"}')


def said(parts: tuple[Part, ...]) -> list[Part]:
    """Parts without where they were read and without empty texts, which no item holds."""
    found = [msgspec.structs.replace(part, at="") for part in parts]
    return [part for part in found if not (isinstance(part, Text) and not part.text)]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_reply_goes_over_and_its_items_come_back(dialect: str) -> None:
    # traps M1, S10, S11
    seen: Counter[str] = Counter()
    for exchange in exchanges(dialect):
        if not exchange["reply"].get("body_text"):
            continue
        events, _ = events_of(dialect, exchange)
        reply = fold(events)
        if not reply.whole:
            continue
        request = echo_of(ASKED)
        writer = ResponsesWriter(created_s=1, response_id="resp_1", request=request)
        raw = b"".join(writer.event(event) for event in events)
        last = json.loads(FrameReader().feed(raw)[-1].data)["response"]
        plain = json.loads(plain_response(reply, created_s=1, response_id="resp_1", request=request))
        assert plain == last, exchange["id"]
        assert last["model"] == reply.model, exchange["id"]
        assert counted(last) == usage_of(reply), exchange["id"]
        body = {"model": "m", "input": [{"role": "user", "content": "Hi"}, *last["output"]]}
        turns = read_responses(Body.parse(msgspec.json.encode(body))).turns[1:]
        assert [part for turn in turns for part in said(turn.parts)] == said(reply.parts), exchange["id"]
        seen["whole"] += 1
        seen.update(item["type"] for item in last["output"])
        seen["signed"] += sum(
            1 for item in last["output"] if str(item.get("encrypted_content")).startswith("tidegate.")
        )
    print(f"\n{dialect}: {seen}")
    assert seen["whole"] > {"openai_chat": 1_400, "anthropic_messages": 790}[dialect]
    assert seen["function_call"] > {"openai_chat": 350, "anthropic_messages": 200}[dialect]
    assert dialect == "openai_chat" or seen["signed"] > 10


def counted(response: dict[str, Any]) -> tuple[int, ...]:
    usage = response["usage"] or {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    return usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]


def usage_of(reply: ev.Reply) -> tuple[int, ...]:
    usage = reply.usage.usage if reply.usage is not None else Usage()
    given, made = usage.input_total or 0, usage.output_total or 0
    return given, made, given + made
