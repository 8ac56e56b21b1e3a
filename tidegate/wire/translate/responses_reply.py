"""The response object, which a stream's first and last events hold and a plain reply is."""

from collections.abc import Iterator

import msgspec

from tidegate.model import event as ev
from tidegate.model.message import RedactedThinking, Refusal, Text, Thinking, ToolUse
from tidegate.model.reply import ErrorFacts
from tidegate.model.usage import Usage
from tidegate.wire.body import Body
from tidegate.wire.translate.error_words import error_object, responses_error
from tidegate.wire.translate.namespaces import Namespaces, namespaces_of
from tidegate.wire.translate.responses_output import Content, Output, cut_by, ended
from tidegate.wire.translate.usage import responses_usage

NO_REASON: ev.Finished = ev.Finished("stop")
PREFIX = "resp_"

_NULL = msgspec.Raw(b"null")
_encode = msgspec.json.Encoder().encode


class Echo(msgspec.Struct, frozen=True, kw_only=True):
    """What a response repeats of its request: each field as the client wrote it, or OpenAI's default.

    `temperature` and `top_p` are null where the client did not say: the default is the other provider's.
    """

    namespaces: Namespaces
    instructions: msgspec.Raw = _NULL
    max_output_tokens: msgspec.Raw = _NULL
    max_tool_calls: msgspec.Raw = _NULL
    metadata: msgspec.Raw = msgspec.Raw(b"{}")
    parallel_tool_calls: msgspec.Raw = msgspec.Raw(b"true")
    previous_response_id: msgspec.Raw = _NULL
    prompt_cache_key: msgspec.Raw = _NULL
    reasoning: msgspec.Raw = msgspec.Raw(b'{"effort":null,"summary":null}')
    safety_identifier: msgspec.Raw = _NULL
    store: msgspec.Raw = msgspec.Raw(b"true")
    temperature: msgspec.Raw = _NULL
    text: msgspec.Raw = msgspec.Raw(b'{"format":{"type":"text"},"verbosity":"medium"}')
    tool_choice: msgspec.Raw = msgspec.Raw(b'"auto"')
    tools: msgspec.Raw = msgspec.Raw(b"[]")
    top_p: msgspec.Raw = _NULL
    truncation: msgspec.Raw = msgspec.Raw(b'"disabled"')
    user: msgspec.Raw = _NULL


ECHOED = tuple(name for name in Echo.__struct_fields__ if name != "namespaces")


def echo_of(body: Body) -> Echo:
    """Return what the response to a request repeats of it."""
    said = {name: msgspec.Raw(raw) for name in ECHOED if (raw := body.value(name)) is not None}
    return msgspec.structs.replace(Echo(namespaces=namespaces_of(body)), **said)


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What every response object of one reply says."""

    id: str
    created_s: int
    model: str
    request: Echo

    @property
    def stem(self) -> str:
        """What the ids of the reply's items are made of."""
        return self.id.removeprefix(PREFIX)

    def begun(self) -> dict[str, object]:
        """Return the response before it has any content."""
        return self._response("in_progress", [], None)

    def ended(self, output: Output, finish: ev.Finished, usage: Usage | None) -> dict[str, object]:
        """Return the response that is whole, or was cut by a limit or a filter."""
        reason = cut_by(output, finish)
        out = self._response("incomplete" if reason else "completed", output.items(), usage)
        if reason:
            out["incomplete_details"] = {"reason": reason}
        return out

    def failed(self, output: Output, error: ErrorFacts, usage: Usage | None) -> dict[str, object]:
        """Return the response that its provider ended with an error."""
        out = self._response("failed", output.items(), usage)
        words = error_object(error)
        code = words["code"] or words["type"]
        rate = "rate_limit_exceeded" if words["type"] == "rate_limit_error" else code
        out["error"] = {"code": rate, "message": error.message}
        return out

    def _response(
        self, status: str, items: list[dict[str, object]], usage: Usage | None
    ) -> dict[str, object]:
        out: dict[str, object] = {
            "id": self.id,
            "object": "response",
            "created_at": self.created_s,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "model": self.model,
            "output": items,
            "top_logprobs": 0,
            "usage": None if usage is None else responses_usage(usage),
        }
        return out | {name: getattr(self.request, name) for name in ECHOED}


def plain_response(reply: ev.Reply, *, created_s: int, response_id: str, request: Echo) -> bytes:
    """Return a reply as a plain response, the last one of its stream; an error body where it is one."""
    if reply.error is not None:
        return responses_error(reply.error, 500)
    head = Head(id=response_id, created_s=created_s, model=reply.model, request=request)
    output = Output(head.stem, request.namespaces)
    for event in _events(reply):
        for _ in output.event(event):
            pass
    finish = reply.finish or NO_REASON
    for _ in ended(output, finish):
        pass
    usage = None if reply.usage is None else reply.usage.usage
    return _encode(head.ended(output, finish, usage))


def _events(reply: ev.Reply) -> Iterator[Content]:
    """Yield the events of content that fold into a reply's parts."""
    for call, part in enumerate(reply.parts):
        match part:
            case Text(text=text):
                yield ev.TextDelta(text)
            case Refusal(text=text):
                yield ev.RefusalDelta(text)
            case Thinking(text=text, signature=signature):
                yield ev.ThinkingDelta(text)
                if signature:
                    yield ev.ThinkingSignature(signature)
            case RedactedThinking(data=data):
                yield ev.RedactedThinkingSeen(data)
            case ToolUse():
                yield ev.ToolStarted(call, part.id, part.name)
                yield ev.ToolArguments(call, part.arguments)
                yield ev.BlockEnded(call)
                continue
            case _:
                raise AssertionError(f"a reply holds no {type(part).__name__}")
        yield ev.BlockEnded()
