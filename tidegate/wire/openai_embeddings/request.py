"""Read an embeddings request: texts or token ids in, nothing generated."""

from tidegate.model.request import Parts, RequestFacts
from tidegate.wire import fields
from tidegate.wire.body import Body
from tidegate.wire.openai_inputs import read_inputs


def read_request(body: Body) -> RequestFacts:
    """Return the facts of a request. Raises WrongType or BadRequest, naming the field's path."""
    inputs = read_inputs(body, "input")
    raw = body.value("input") or b""
    return RequestFacts(
        surface="embeddings",
        model=fields.model_of(body),
        message_count=inputs.count,
        service_tier=fields.word_of(body, "service_tier"),
        first_user=raw,
        prompt=(b"", b"", raw),
        parts=Parts(last_user=inputs.part),
        metadata=fields.string_map(body.value("metadata") or b""),
        metadata_user=fields.string_of(body, "user"),
    )
