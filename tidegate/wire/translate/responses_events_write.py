"""Write events as a Responses stream."""

from collections.abc import Iterable

import msgspec

from tidegate.model import event as ev
from tidegate.model.reply import ErrorFacts
from tidegate.model.usage import Usage
from tidegate.wire.translate.error_words import error_object
from tidegate.wire.translate.responses_items import Said
from tidegate.wire.translate.responses_output import Output, cut_by, ended
from tidegate.wire.translate.responses_reply import NO_REASON, Echo, Head

PING = b": ping\n\n"

_encode = msgspec.json.Encoder().encode


class ResponsesWriter:
    """Gives whole SSE frames in the order that OpenAI's SDKs read them.

    `created_s` is the Unix time of the reply, `response_id` its id (`resp_...`), of which those of its items
    are made; `request` is what it repeats of the request. What a model thought goes out as reasoning items,
    signed as its provider must have it back (trap S11).
    """

    def __init__(self, *, created_s: int, response_id: str, request: Echo) -> None:
        self._head = Head(id=response_id, created_s=created_s, model="", request=request)
        self._output = Output(self._head.stem, request.namespaces)
        self._usage: Usage | None = None
        self._finish: ev.Finished | None = None
        self._sequence = 0
        self._is_over = False

    def event(self, event: ev.Event) -> bytes:  # noqa: PLR0911  # one kind, one line
        """Return the frames that an event gives; empty for one that another will say."""
        if self._is_over:
            return b""
        match event:
            case ev.Started(_, model):
                return self._begin(model)
            case ev.UsageSeen(report):
                self._usage = report.usage
            case ev.Finished():
                self._finish = event
            case ev.Ping():
                return PING
            case ev.Failed(error):
                return self._fail(error)
            case ev.Ended():
                return self._end()
            case _:
                return self._begin("") + self._frames(self._output.event(event))
        return b""

    def _begin(self, model: str) -> bytes:
        if self._sequence:
            return b""
        self._head = msgspec.structs.replace(self._head, model=model)
        response = self._head.begun()
        return self._frame("created", {"response": response}) + self._frame(
            "in_progress", {"response": response}
        )

    def _end(self) -> bytes:
        self._is_over = True
        finish = self._finish or NO_REASON
        out = self._begin("") + self._frames(ended(self._output, finish))
        response = self._head.ended(self._output, finish, self._usage)
        name = "incomplete" if cut_by(self._output, finish) else "completed"
        return out + self._frame(name, {"response": response})

    def _fail(self, error: ErrorFacts) -> bytes:
        """End with the error, and with the response that failed: clients look for one or the other.

        The error's fields stand at the top, as the API documents them, and in `error`, where the SDKs look.
        """
        self._is_over = True
        words = error_object(error)
        fields = {"code": words["code"], "message": words["message"], "param": words["param"], "error": words}
        out = self._begin("") + _frame("error", {"sequence_number": self._next(), **fields})
        return out + self._frame("failed", {"response": self._head.failed(self._output, error, self._usage)})

    def _frames(self, said: Iterable[Said]) -> bytes:
        return b"".join([self._frame(name, fields) for name, fields in said])

    def _frame(self, name: str, fields: dict[str, object]) -> bytes:
        return _frame(f"response.{name}", {"sequence_number": self._next(), **fields})

    def _next(self) -> int:
        number, self._sequence = self._sequence, self._sequence + 1
        return number


def _frame(name: str, fields: dict[str, object]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + _encode({"type": name, **fields}) + b"\n\n"
