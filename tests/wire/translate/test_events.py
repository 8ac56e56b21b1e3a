"""Replies in odd pieces, and what is left when they end."""

import json
from typing import Any

import pytest

from tidegate.model import event as ev
from tidegate.model.message import Opaque, RedactedThinking, Text, Thinking, ToolUse
from tidegate.model.provider import UsageRules
from tidegate.model.reply import ErrorFacts
from tidegate.wire.sse import FrameReader
from tidegate.wire.translate import (
    ChatEvents,
    ChatWriter,
    Fold,
    MessagesEvents,
    MessagesWriter,
    chat_error,
    fold,
    messages_error,
    plain_chat,
    plain_message,
)


def chunks(*deltas: Any, finish: str = "tool_calls") -> ev.Reply:
    """The fold of a chat stream."""
    reader = ChatEvents(UsageRules(), fallback_id="req_1")
    events: list[ev.Event] = []
    for delta in deltas:
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        events += reader.event(b"", json.dumps({"id": "c1", "model": "m", "choices": [choice]}).encode())
    last = {"index": 0, "delta": {}, "finish_reason": finish}
    events += reader.event(b"", json.dumps({"id": "c1", "model": "m", "choices": [last]}).encode())
    return fold([*events, *reader.event(b"", b"[DONE]"), *reader.close()])


def calls(*pieces: tuple[int | None, str | None, str | None, Any]) -> list[tuple[str, str, str]]:
    """The calls that deltas add up to; each piece is (index, id, name, arguments)."""
    deltas = [
        {"tool_calls": [{"index": index, "id": ident, "function": {"name": name, "arguments": arguments}}]}
        for index, ident, name, arguments in pieces
    ]
    parts = chunks(*deltas).parts
    return [(part.id, part.name, part.arguments) for part in parts if isinstance(part, ToolUse)]


ODD_CALLS: dict[str, tuple[list[Any], list[tuple[str, str, str]]]] = {
    "the id comes once": (
        [(0, "a", "f", ""), (0, None, None, '{"x"'), (0, None, None, ":1}")],
        [("a", "f", '{"x":1}')],
    ),
    "the id comes always": ([(0, "a", "f", '{"x"'), (0, "a", "f", ":1}")], [("a", "f", '{"x":1}')]),
    "the id is empty after the first": ([(0, "a", "f", ""), (0, "", "", "{}")], [("a", "f", "{}")]),
    "the name comes late": ([(0, "a", None, '{"x":'), (0, None, "f", "1}")], [("a", "f", '{"x":1}')]),
    "the arguments come in the last delta only": (
        [(0, "a", "f", ""), (0, "a", "f", "{}")],
        [("a", "f", "{}")],
    ),
    "the arguments are repeated whole": (
        [(0, "a", "f", '{"x":1}'), (0, "a", "f", '{"x":1}')],
        [("a", "f", '{"x":1}')],
    ),
    "no arguments at all": ([(0, "a", "f", None)], [("a", "f", "{}")]),
    "arguments as an object": ([(0, "a", "f", {"x": 1})], [("a", "f", '{"x": 1}')]),
    "two ids at one index": (
        [(0, "a", "f", '{"x":1}'), (0, "b", "g", "{}")],
        [("a", "f", '{"x":1}'), ("b", "g", "{}")],
    ),
    "no index": ([(None, "a", "f", "{}"), (None, "b", "g", "{}")], [("a", "f", "{}"), ("b", "g", "{}")]),
    "no ids": (
        [(0, None, "f", '{"x":1}'), (0, None, "f", '{"x":1, "y":2}')],
        [("call_c1_0", "f", '{"x":1}'), ("call_c1_1", "f", '{"x":1, "y":2}')],
    ),
    "in turns": (
        [(0, "a", "f", '{"x":'), (1, "b", "g", '{"y":'), (0, None, None, "1}"), (1, None, None, "2}")],
        [("a", "f", '{"x":1}'), ("b", "g", '{"y":2}')],
    ),
    "no name ever": ([(0, "a", None, "{}")], []),
}


@pytest.mark.parametrize("case", ODD_CALLS)
def test_calls_in_odd_pieces_add_up(case: str) -> None:
    # trap S10
    pieces, expected = ODD_CALLS[case]
    assert calls(*pieces) == expected


def test_a_stop_after_a_call_is_a_call() -> None:
    call = {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]}
    assert chunks(call, finish="stop").finish == ev.Finished("tool")
    assert chunks({"content": "x"}, finish="tool_calls").finish == ev.Finished("stop")
    assert chunks({"content": "x"}, finish="eos").finish == ev.Finished("stop")


def test_a_call_without_a_reply_id_is_named_after_the_request() -> None:
    reader = ChatEvents(UsageRules(), fallback_id="req_1")
    call = {"index": 0, "function": {"name": "f", "arguments": "{}"}}
    chunk = {"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    reply = fold([*reader.event(b"", json.dumps(chunk).encode()), *reader.close()])
    assert reply.id == "req_1"
    assert isinstance(reply.parts[0], ToolUse)
    assert reply.parts[0].id == "call_req_1_0"


def test_what_google_signs_is_kept_for_its_call() -> None:
    # trap S11
    extra = {"google": {"thought_signature": "s"}}
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}, "extra_content": extra}
    body = {
        "id": "c",
        "model": "m",
        "choices": [{"message": {"tool_calls": [call]}, "finish_reason": "stop"}],
    }
    folding = Fold()
    for event in ChatEvents(UsageRules()).plain(json.dumps(body).encode()):
        folding.event(event)
    (kept,) = folding.kept()["a"]
    assert isinstance(kept, Opaque)
    assert (kept.name, json.loads(bytes(kept.raw))) == ("extra_content", extra)


def test_thinking_signed_by_anthropic_comes_through_openrouter() -> None:
    details = [
        {"type": "reasoning.text", "text": "Hm.", "format": "anthropic-claude-v1"},
        {"type": "reasoning.text", "signature": "s", "format": "anthropic-claude-v1"},
        {"type": "reasoning.encrypted", "data": "r", "format": "anthropic-claude-v1"},
        {"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1"},
    ]
    parts = chunks({"reasoning_details": details}, {"content": "Ulm."}, finish="stop").parts
    assert parts == (Thinking(text="Hm.", signature="s"), RedactedThinking(data="r"), Text(text="Ulm."))


def test_what_no_event_can_hold_is_listed() -> None:
    reader = ChatEvents(UsageRules())
    message = {"content": "x", "annotations": [{}], "audio": {"id": "a"}, "images": [1]}
    reader.plain(
        json.dumps({"id": "c", "choices": [{"message": message, "logprobs": {"content": []}}]}).encode()
    )
    assert reader.lost == ["logprobs", "audio", "images", "annotations"]
    messages = MessagesEvents()
    blocks = [{"type": "server_tool_use"}, {"type": "text", "text": "x", "citations": [{}]}]
    messages.plain(json.dumps({"type": "message", "content": blocks}).encode())
    assert messages.lost == ["server_tool_use", "citations"]


@pytest.mark.parametrize(
    "raw", [b"<html>Bad gateway</html>", b"[]", b"{}", b'{"error":{"message":"no"}}', b'"x"', b""]
)
def test_a_plain_reply_that_is_none_is_an_error(raw: bytes) -> None:
    # trap S12
    for reader in (ChatEvents(UsageRules()), MessagesEvents()):
        reply = fold(reader.plain(raw))
        assert reply.error is not None
        assert not reply.whole
        assert "error" in json.loads(plain_chat(reply, created_s=1))
        assert json.loads(plain_message(reply))["type"] == "error"


def test_content_may_be_a_list_of_parts() -> None:
    content = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Ulm."}, 7, {"type": "x"}]
    parts = chunks({"content": content}, {"content": {"text": "x"}}, finish="stop").parts
    assert parts == (Thinking(text="Hm."), Text(text="Ulm."))


def test_an_error_event_is_one_whatever_it_holds() -> None:
    # trap S12
    for data in (b"gone", b'{"id":"c"}', b'{"error":{"message":"gone"}}'):
        reader = ChatEvents(UsageRules())
        events = [*reader.event(b"error", data), *reader.event(b"", b"[DONE]"), *reader.close()]
        assert [type(event) for event in events] == [ev.Failed]
    messages = MessagesEvents()
    assert [type(event) for event in messages.event(b"error", b"gone")] == [ev.Failed]
    assert messages.event(b"message_stop", b'{"type":"message_stop"}') == []


def test_redacted_thinking_is_a_block_of_its_own_streamed_and_plain() -> None:
    events: list[ev.Event] = [
        ev.Started("a", "m"),
        ev.RedactedThinkingSeen("r"),
        ev.RedactedThinkingSeen("q"),
        ev.ThinkingSignature("s"),
        ev.TextDelta("x"),
        ev.Finished("stop"),
        ev.Ended(),
    ]
    writer, reader = MessagesWriter(), MessagesEvents()
    raw = b"".join(writer.event(event) for event in events)
    streamed = [event for frame in FrameReader().feed(raw) for event in reader.event(frame.event, frame.data)]
    plain = MessagesEvents().plain(plain_message(fold(events)))
    kinds = ["RedactedThinking", "RedactedThinking", "Thinking", "Text"]
    for found in (streamed, plain):
        assert [type(part).__name__ for part in fold(found).parts] == kinds


@pytest.mark.parametrize("word", ["error", "insufficient_system_resource"])
def test_a_finish_that_says_it_failed_is_an_error(word: str) -> None:
    # trap S12
    reply = chunks({"content": "Half"}, finish=word)
    assert reply.error is not None
    assert not reply.whole


def test_nothing_follows_an_error() -> None:
    # traps S6, S12
    for writer in (MessagesWriter(), ChatWriter(created_s=1, asks_usage=True)):
        writer.event(ev.Started("a", "m"))
        assert b"error" in writer.event(ev.Failed(ErrorFacts(message="no")))
        assert writer.event(ev.TextDelta("x")) + writer.event(ev.Ended()) == b""


def test_a_stream_without_a_start_is_given_one() -> None:
    assert MessagesWriter().event(ev.TextDelta("x")).startswith(b"event: message_start\n")
    assert b'"role":"assistant"' in ChatWriter(created_s=1, asks_usage=False).event(ev.TextDelta("x"))


def test_usage_is_sent_only_to_who_asked() -> None:
    # trap S2
    events: list[ev.Event] = [ev.Started("a", "m"), ev.TextDelta("x"), ev.Finished("stop"), ev.Ended()]
    writer = ChatWriter(created_s=1, asks_usage=False)
    assert b"usage" not in b"".join(writer.event(event) for event in events)


def test_a_ping_is_what_the_clients_dialect_ignores() -> None:
    # trap S8
    assert MessagesWriter().event(ev.Ping()).startswith(b"event: ping\n")
    assert ChatWriter(created_s=1, asks_usage=True).event(ev.Ping()).startswith(b":")


def error(kind: str = "", code: str = "") -> ErrorFacts:
    return ErrorFacts(type=kind, code=code, message="m")


OVERLOADED, INVALID = "overloaded_error", "invalid_request_error"
ERRORS = [
    (error(OVERLOADED), "server_error", OVERLOADED, 529, OVERLOADED),
    (error("rate_limit_exceeded"), "rate_limit_exceeded", None, 429, "rate_limit_error"),
    (error("insufficient_quota", "c"), "insufficient_quota", "c", 429, "billing_error"),
    (error(), "server_error", None, 400, INVALID),
    (error(INVALID), INVALID, None, 400, INVALID),
]


@pytest.mark.parametrize(("facts", "kind", "code", "status", "own"), ERRORS)
def test_an_error_has_a_type_that_each_sdk_knows(
    facts: ErrorFacts, kind: str, code: str | None, status: int, own: str
) -> None:
    chat = json.loads(chat_error(facts))["error"]
    assert (chat["type"], chat["code"], chat["message"]) == (kind, code, "m")
    assert json.loads(messages_error(facts, status=status))["error"]["type"] == own
