"""Read a request of the older completions surface: one prompt or several, as text or as token ids."""

from tidegate.model.request import Parts, RequestFacts
from tidegate.wire import fields
from tidegate.wire.body import Body
from tidegate.wire.openai_chat.request import answers, asks_usage
from tidegate.wire.openai_inputs import read_inputs


def read_request(body: Body) -> RequestFacts:
    """Return the facts of a request. Raises WrongType or BadRequest, naming the field's path.

    `n` counts every answer that is generated and billed: for each prompt the larger of `n` and `best_of`.
    A limit of 0 is allowed here: with `echo` it asks for the prompt's log probabilities.
    """
    limit = fields.output_limit(body, "max_tokens", least=0)
    prompts = read_inputs(body, "prompt")
    raw = body.value("prompt") or b""
    return RequestFacts(
        surface="completions",
        model=fields.model_of(body),
        stream=bool(body.get("stream", bool)),
        asks_usage=asks_usage(body),
        max_output=limit,
        max_output_field="max_tokens" if limit is not None else None,
        n=max(prompts.count, 1) * max(answers(body, "n"), answers(body, "best_of")),
        message_count=prompts.count,
        service_tier=fields.word_of(body, "service_tier"),
        temperature_zero=fields.is_zero(body, "temperature"),
        first_user=raw,
        prompt=(b"", b"", raw),
        parts=Parts(last_user=prompts.part),
        metadata=fields.string_map(body.value("metadata") or b""),
        metadata_user=fields.string_of(body, "user"),
    )
