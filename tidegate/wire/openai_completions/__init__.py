"""OpenAI's older completions: `POST /v1/completions`."""

from tidegate.model.request import RequestFacts, Surface
from tidegate.wire.body import Body
from tidegate.wire.codec import Codec
from tidegate.wire.openai_chat import ChatCodec
from tidegate.wire.openai_completions.request import read_request


class CompletionsCodec(ChatCodec):
    """The completions surface: its own requests; replies differ from chat's only in a choice's `text`."""

    surface: Surface = "completions"

    def read_request(self, body: Body) -> RequestFacts:
        """Return the facts of a request. Raises WrongType or BadRequest, naming the field's path."""
        return read_request(body)


CODEC: Codec = CompletionsCodec()
