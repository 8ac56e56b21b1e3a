"""Read an embeddings reply: its envelope and usage; the vectors are skipped."""

import msgspec

from tidegate.model.provider import UsageRules
from tidegate.model.reply import ReplyFacts
from tidegate.model.usage import UsageReport
from tidegate.wire.openai_chat.stream import MAX_NAME_CHARS
from tidegate.wire.openai_errors import error_in
from tidegate.wire.openai_usage import read_usage

_NONE = msgspec.Raw(b"")
_NULL = msgspec.Raw(b"null")


class _Reply(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    usage: msgspec.Raw = _NONE
    error: msgspec.Raw = _NONE
    data: msgspec.Raw = _NONE


_reply = msgspec.json.Decoder(_Reply)


def read_reply(raw: bytes, rules: UsageRules) -> ReplyFacts:
    """Return the facts of a whole reply; `complete` when it has the dialect's shape."""
    facts = ReplyFacts()
    try:
        reply = _reply.decode(raw)
    except (ValueError, RecursionError):
        facts.bad_frames = 1
        return facts
    facts.id, facts.model = (reply.id or "")[:MAX_NAME_CHARS], (reply.model or "")[:MAX_NAME_CHARS]
    facts.complete, facts.started = True, bool(reply.data) and reply.data != _NULL
    if reply.usage:
        facts.usage = _without_output(read_usage(reply.usage, rules, input_only=True))
    if reply.error:
        facts.error = error_in(reply.error)
    return facts


def _without_output(report: UsageReport | None) -> UsageReport | None:
    """Say that an embedding has no output: nothing of its price is unknown."""
    if report is None:
        return None
    return msgspec.structs.replace(report, usage=msgspec.structs.replace(report.usage, output_text=0))
