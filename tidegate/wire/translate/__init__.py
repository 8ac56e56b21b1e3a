"""Translation between OpenAI's chat completions and Anthropic's messages, by way of one canonical model.

Requests: `read_chat` and `read_messages` give a conversation, which `write_chat` and `write_messages` say in
the other dialect's words. Replies: `ChatEvents` and `MessagesEvents` read a stream, or a plain reply, into
events, which `ChatWriter` and `MessagesWriter` say again as a stream, `plain_chat` and `plain_message` as the
fold of it.
"""

from tidegate.wire.translate.asked import Asked, Written
from tidegate.wire.translate.chat_events_read import ChatEvents
from tidegate.wire.translate.chat_events_write import ChatWriter, plain_chat
from tidegate.wire.translate.chat_request_read import read_chat
from tidegate.wire.translate.chat_request_write import write_chat
from tidegate.wire.translate.error_words import chat_error, messages_error
from tidegate.wire.translate.fold import Fold, fold
from tidegate.wire.translate.loss import Loss
from tidegate.wire.translate.messages_events_read import MessagesEvents
from tidegate.wire.translate.messages_events_write import MessagesWriter, plain_message
from tidegate.wire.translate.messages_request_read import read_messages
from tidegate.wire.translate.messages_request_write import write_messages

__all__ = [
    "Asked",
    "ChatEvents",
    "ChatWriter",
    "Fold",
    "Loss",
    "MessagesEvents",
    "MessagesWriter",
    "Written",
    "chat_error",
    "fold",
    "messages_error",
    "plain_chat",
    "plain_message",
    "read_chat",
    "read_messages",
    "write_chat",
    "write_messages",
]
