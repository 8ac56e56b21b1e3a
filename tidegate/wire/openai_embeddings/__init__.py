"""OpenAI's embeddings: `POST /v1/embeddings`. Nothing of it is streamed."""

from tidegate.model.provider import UsageRules
from tidegate.model.reply import ReplyFacts
from tidegate.model.request import RequestFacts, Surface
from tidegate.wire.body import Body
from tidegate.wire.codec import Codec
from tidegate.wire.openai_chat import ChatCodec
from tidegate.wire.openai_embeddings.reply import read_reply
from tidegate.wire.openai_embeddings.request import read_request


class EmbeddingsCodec(ChatCodec):
    """The embeddings surface: its own requests and replies, errors as everywhere in OpenAI's dialects."""

    surface: Surface = "embeddings"

    def read_request(self, body: Body) -> RequestFacts:
        """Return the facts of a request. Raises WrongType or BadRequest, naming the field's path."""
        return read_request(body)

    def read_reply(self, raw: bytes, rules: UsageRules) -> ReplyFacts:
        """Return the facts of a whole plain reply."""
        return read_reply(raw, rules)


CODEC: Codec = EmbeddingsCodec()
