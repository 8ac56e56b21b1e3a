"""A reply as the gateway sees it: pieces of text and of tool arguments, one after another."""

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from tidegate.policy.watch import Stop, StreamWatch, WatchRules


class Piece(NamedTuple):
    """One delta; a `call` begins a tool call and has no text."""

    kind: Literal["text", "arguments", "call"]
    text: str = ""


class Replayed(NamedTuple):
    """What became of a reply: the stop, if any, and after how many of its pieces."""

    stop: Stop | None
    pieces: int


_TOKEN = re.compile(
    r"\n+|[ \t]{1,16}(?=[ \t])|[ \t]?[^\W\d_]{1,6}|[^\W\d_]{1,6}|\s?\d{1,3}|\s?[^\w\s]{1,2}|.", re.DOTALL
)


def tokens(text: str) -> list[str]:
    """Cut text into pieces of about a token: part of a word with its space, up to three digits, a mark."""
    return _TOKEN.findall(text)


def as_stream(text: str, kind: Literal["text", "arguments"] = "text") -> list[Piece]:
    """A whole text as a stream of token-sized pieces."""
    return [Piece(kind, token) for token in tokens(text)]


def replay(pieces: Iterable[Piece], rules: WatchRules) -> Replayed:
    """Feed a watch until it stops or the reply is over."""
    watch, number = StreamWatch(rules, b"benchmark"), 0
    for piece in pieces:
        number += 1
        match piece.kind:
            case "text":
                stop = watch.text(piece.text)
            case "arguments":
                stop = watch.tool_arguments(piece.text)
            case _:
                stop = watch.tool_call()
        if stop is not None:
            return Replayed(stop, number)
    return Replayed(None, number)
