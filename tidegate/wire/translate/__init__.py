"""Translation between OpenAI's chat and Responses and Anthropic's messages, by way of one canonical model.

Requests: `read_chat`, `read_messages` and `read_responses` give a conversation, which `write_chat` and
`write_messages` say in another dialect's words. Replies: `ChatEvents` and `MessagesEvents` read a stream, or
a plain reply, into events, which `ChatWriter`, `MessagesWriter` and `ResponsesWriter` say again as a stream,
`plain_chat`, `plain_message` and `plain_response` as the fold of it. Clients may speak Responses; a provider
that does is asked by none but them.
"""

from tidegate.wire.translate.asked import Asked, Written, continued
from tidegate.wire.translate.chat_events_read import ChatEvents
from tidegate.wire.translate.chat_events_write import ChatWriter, plain_chat
from tidegate.wire.translate.chat_request_read import read_chat
from tidegate.wire.translate.chat_request_write import write_chat
from tidegate.wire.translate.error_words import chat_error, messages_error, responses_error
from tidegate.wire.translate.fold import Fold, fold
from tidegate.wire.translate.loss import Loss
from tidegate.wire.translate.messages_events_read import MessagesEvents
from tidegate.wire.translate.messages_events_write import MessagesWriter, plain_message
from tidegate.wire.translate.messages_request_read import read_messages
from tidegate.wire.translate.messages_request_write import write_messages
from tidegate.wire.translate.responses_events_write import ResponsesWriter
from tidegate.wire.translate.responses_reply import Echo, echo_of, plain_response
from tidegate.wire.translate.responses_request_read import read_responses

__all__ = [
    "Asked",
    "ChatEvents",
    "ChatWriter",
    "Echo",
    "Fold",
    "Loss",
    "MessagesEvents",
    "MessagesWriter",
    "ResponsesWriter",
    "Written",
    "chat_error",
    "continued",
    "echo_of",
    "fold",
    "messages_error",
    "plain_chat",
    "plain_message",
    "plain_response",
    "read_chat",
    "read_messages",
    "read_responses",
    "responses_error",
    "write_chat",
    "write_messages",
]
