"""A plain chat reply: the fold of its stream, which is one chunk long."""

from tidegate.model.provider import UsageRules
from tidegate.model.reply import ReplyFacts
from tidegate.wire.openai_chat.stream import ChatWatcher


def read_reply(raw: bytes, rules: UsageRules) -> ReplyFacts:
    """Return the facts of a whole reply; `complete` when it is one whole JSON object."""
    watcher = ChatWatcher(rules, injected_usage=False)
    watcher.read_whole(raw)
    return watcher.facts
