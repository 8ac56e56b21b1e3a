"""The demo's applications, with the stock SDKs: only base_url and key are Tidegate's."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from tidegate.cli.demo import texts

TIMEOUT_S = 120.0
LEAVE_AFTER = 6
"""Pieces of a stream after which the impatient reader hangs up."""

Outcome = Literal["ok", "cancelled", "refused"]
LABELS, ORDERS, BLURBS = "tickets", "orders", "blurbs"
UNKNOWN_MODEL = "small-v2"
BLURB_TOKENS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an application got. Tokens are what its SDK was told; `input_tokens` holds cached ones too."""

    text: str
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One call to be made, and how it must end."""

    feature: str
    what: str
    asks: str
    call: Callable[[], Answer]
    expects: Outcome = "ok"

    @property
    def sends_nothing(self) -> bool:
        """Whether its application sends no header of ours, so that its feature is found by its look."""
        return self.feature == BLURBS


@dataclass(frozen=True, slots=True)
class Done:
    """A call that was made."""

    step: Step
    outcome: Outcome | Literal["failed"]
    answer: Answer
    seconds: float


class Support:
    """Team support: labels tickets over chat completions and reads order mails over messages."""

    def __init__(self, base_url: str, key: str, model: str) -> None:
        from anthropic import Anthropic  # noqa: PLC0415 - the SDKs are an extra, imported when traffic is sent
        from openai import OpenAI  # noqa: PLC0415

        # No retries: each call that is sent is to be found in the report.
        self._openai: Any = OpenAI(base_url=f"{base_url}/v1", api_key=key, timeout=TIMEOUT_S, max_retries=0)
        self._anthropic: Any = Anthropic(base_url=base_url, api_key=key, timeout=TIMEOUT_S, max_retries=0)
        self._model = model

    def label(self, ticket: str, model: str = "") -> Answer:
        """Name product and problem of a ticket, as JSON that a schema holds."""
        messages = [{"role": "system", "content": texts.LABEL_SYSTEM}]
        for example, product, problem in texts.LABEL_EXAMPLES:
            labels = json.dumps({"product": product, "problem": problem})
            messages += [{"role": "user", "content": example}, {"role": "assistant", "content": labels}]
        word = {"type": "string", "maxLength": 24}
        schema = {
            "type": "object",
            "properties": {"product": word, "problem": word},
            "required": ["product", "problem"],
            "additionalProperties": False,
        }
        reply = self._openai.chat.completions.create(
            model=model or self._model,
            messages=[*messages, {"role": "user", "content": ticket}],
            max_completion_tokens=40,
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "labels", "schema": schema, "strict": True},
            },
            extra_headers={"tidegate-feature": LABELS},
        )
        return _of_chat(reply.choices[0].message.content or "", reply.usage)

    def extract(self, mail: str, *, stream: bool) -> Answer:
        """Read quantity, article and city out of a mail."""
        messages = []
        for example, order in texts.ORDER_EXAMPLES:
            messages += [{"role": "user", "content": example}, {"role": "assistant", "content": order}]
        asked = {
            "model": self._model,
            "system": texts.ORDER_SYSTEM,
            "messages": [*messages, {"role": "user", "content": mail}],
            "max_tokens": 24,
            "extra_headers": {"tidegate-feature": ORDERS},
        }
        if stream:
            with self._anthropic.messages.stream(**asked) as events:
                message = events.get_final_message()
        else:
            message = self._anthropic.messages.create(**asked)
        usage = message.usage
        cached = usage.cache_read_input_tokens or 0
        return Answer(
            text="".join(block.text for block in message.content if block.type == "text"),
            input_tokens=usage.input_tokens + cached,
            cached_tokens=cached,
            output_tokens=usage.output_tokens,
        )

    def close(self) -> None:
        """Close the connections."""
        self._openai.close()
        self._anthropic.close()


class Marketing:
    """Team marketing: an application nobody touched. It sends no header of ours."""

    def __init__(self, base_url: str, key: str, model: str) -> None:
        from openai import OpenAI  # noqa: PLC0415 - as above

        self._openai: Any = OpenAI(base_url=f"{base_url}/v1", api_key=key, timeout=TIMEOUT_S, max_retries=0)
        self._model = model

    def describe(self, product: str, *, stream: bool) -> Answer:
        """Describe a product over the responses API."""
        asked = {
            "model": self._model,
            "instructions": texts.BLURB_SYSTEM,
            "input": _description(product),
            "max_output_tokens": BLURB_TOKENS,
        }
        if not stream:
            reply = self._openai.responses.create(**asked)
            return _of_response(reply.output_text, reply)
        text, reply = "", None
        # Not the SDK's own accumulator: it needs indices that llama.cpp leaves out of its events.
        with self._openai.responses.create(**asked, stream=True) as events:
            for event in events:
                match event.type:
                    case "response.output_text.delta":
                        text += event.delta
                    case "response.completed" | "response.incomplete":
                        reply = event.response
                    case _:
                        pass
        return _of_response(text, reply)

    def describe_in_chat(self, product: str) -> Answer:
        """Describe a product over streamed chat completions."""
        text, usage = "", None
        with self._stream(_description(product), BLURB_TOKENS) as chunks:
            for chunk in chunks:
                text += "".join(choice.delta.content or "" for choice in chunk.choices)
                usage = chunk.usage or usage
        return _of_chat(text, usage)

    def leave_early(self) -> Answer:
        """Ask for a long text and hang up after its first words, as a reader does who closes the page."""
        text = ""
        with self._stream(texts.LONG_REQUEST, 300) as chunks:
            for seen, chunk in enumerate(chunks):
                text += "".join(choice.delta.content or "" for choice in chunk.choices)
                if seen >= LEAVE_AFTER:
                    break
        return Answer(text=text)

    def _stream(self, asked: str, max_tokens: int) -> Any:
        return self._openai.chat.completions.create(
            model=self._model,
            messages=[
                {"role": "system", "content": texts.BLURB_SYSTEM},
                {"role": "user", "content": asked},
            ],
            max_completion_tokens=max_tokens,
            stream=True,
            stream_options={"include_usage": True},
        )

    def close(self) -> None:
        """Close the connections."""
        self._openai.close()


def steps(support: Support, marketing: Marketing) -> list[Step]:
    """Return the calls of the day, in order."""
    plan = [
        Step(LABELS, "chat completions", ticket, partial(support.label, ticket)) for ticket in texts.TICKETS
    ]
    first = texts.TICKETS[0]
    wrong = partial(support.label, first, UNKNOWN_MODEL)
    plan.append(Step(LABELS, "a model that does not exist", first, wrong, "refused"))
    for mails, stream in ((texts.MAILS[:3], False), (texts.MAILS[3:], True)):
        what = f"messages{', streamed' if stream else ''}"
        plan += [Step(ORDERS, what, mail, partial(support.extract, mail, stream=stream)) for mail in mails]
    for products, stream in ((texts.PRODUCTS[:2], False), (texts.PRODUCTS[2:4], True)):
        what = f"responses{', streamed' if stream else ''}"
        plan += [Step(BLURBS, what, one, partial(marketing.describe, one, stream=stream)) for one in products]
    chat = "chat completions, streamed"
    plan += [Step(BLURBS, chat, one, partial(marketing.describe_in_chat, one)) for one in texts.PRODUCTS[4:]]
    plan.append(Step(BLURBS, "a reader who hangs up", texts.LONG_REQUEST, marketing.leave_early, "cancelled"))
    return plan


def run(todo: Sequence[Step]) -> Iterator[Done]:
    """Make the calls one after another, yielding each when it is over."""
    from openai import NotFoundError  # noqa: PLC0415 - as above

    for step in todo:
        started_s = time.monotonic()
        outcome: Outcome | Literal["failed"]
        try:
            answer = step.call()
            outcome = "cancelled" if step.expects == "cancelled" else "ok"
        except NotFoundError as error:
            answer, outcome = Answer(text=str(error)), "refused"
        except Exception as error:  # noqa: BLE001 - an application may fail in any way; it is told in the result
            answer, outcome = Answer(text=f"{type(error).__name__}: {error}"), "failed"
        yield Done(step, outcome, answer, time.monotonic() - started_s)


def _description(product: str) -> str:
    return f"Describe this product: {product}"


def _of_response(text: str, reply: Any) -> Answer:
    if reply is None or reply.usage is None:
        return Answer(text=text)
    return Answer(
        text=text,
        input_tokens=reply.usage.input_tokens,
        cached_tokens=reply.usage.input_tokens_details.cached_tokens or 0,
        output_tokens=reply.usage.output_tokens,
    )


def _of_chat(text: str, usage: Any) -> Answer:
    if usage is None:
        return Answer(text=text)
    details = usage.prompt_tokens_details
    return Answer(
        text=text,
        input_tokens=usage.prompt_tokens,
        cached_tokens=(details.cached_tokens or 0) if details else 0,
        output_tokens=usage.completion_tokens,
    )
