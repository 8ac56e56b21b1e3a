"""An answer of our own: an error in the client's dialect."""

from tidegate.exchange.call import Client
from tidegate.model.errors import TidegateError
from tidegate.wire.codec import Codec
from tidegate.wire.refusal import refusal_headers


async def send_refusal(client: Client, codec: Codec, error: TidegateError, request_id: str) -> int:
    """Send an error reply; give the bytes of its body."""
    body = codec.error_body(error, request_id)
    await client.reply(error.status, refusal_headers(error, request_id), body)
    return len(body)
