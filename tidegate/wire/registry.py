"""Every surface's codec, and the one that words an error before a surface is known."""

from tidegate.model.request import Dialect, Surface
from tidegate.wire import (
    anthropic_messages,
    openai_chat,
    openai_completions,
    openai_embeddings,
    openai_responses,
    passthrough,
)
from tidegate.wire.codec import Codec

CODECS: dict[Surface, Codec] = {
    "chat": openai_chat.CODEC,
    "completions": openai_completions.CODEC,
    "embeddings": openai_embeddings.CODEC,
    "responses": openai_responses.CODEC,
    "messages": anthropic_messages.CODEC,
    "count_tokens": anthropic_messages.COUNT_CODEC,
    "pass": passthrough.CODEC,
}


def error_codec(dialect: Dialect) -> Codec:
    """The codec that words errors of a dialect."""
    return CODECS["messages" if dialect == "anthropic" else "chat"]
