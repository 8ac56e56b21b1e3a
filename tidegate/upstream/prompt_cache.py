"""A provider's prompt cache: a long prefix that comes again is cheaper, for a time."""

import re
from collections import OrderedDict
from dataclasses import dataclass

from tidegate.upstream.words import TOKEN_CHARS

BLOCK_TOKENS = 1024
BLOCK_BYTES = BLOCK_TOKENS * TOKEN_CHARS
HOUR = 12
"""How much longer than an ordinary mark, of 5 minutes, one of an hour holds."""

MARK = re.compile(
    rb',\s*"cache_control"\s*:\s*(\{[^{}]*\})|(?<=\{)\s*"cache_control"\s*:\s*(\{[^{}]*\})\s*,?\s*'
)


@dataclass(frozen=True, slots=True)
class Rules:
    """How a provider caches. `marked`: only up to the client's last mark. Blocks are counted in tokens."""

    marked: bool = False
    min_tokens: int = BLOCK_TOKENS
    block_tokens: int = BLOCK_TOKENS
    ttl_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Found:
    """Tokens of a prompt by what the cache did with them. `written_1h` is a part of `written`."""

    read: int = 0
    written: int = 0
    written_1h: int = 0


NOTHING = Found()
AUTOMATIC = Rules()


class PromptCache:
    """Remembers prefixes in whole blocks, the last `limit` of them, each until its time is over."""

    def __init__(self, limit: int = 20_000) -> None:
        self._limit = limit
        self._until_s: OrderedDict[int, float] = OrderedDict()

    def clear(self) -> None:
        """Forget every prefix."""
        self._until_s.clear()

    def look(self, model: str, prompt: bytes, now_s: float, rules: Rules = AUTOMATIC) -> Found:
        """Return what is read and written of a prompt, and remember it. A read makes a block new again."""
        block = rules.block_tokens * TOKEN_CHARS
        marks: list[tuple[int, bool]] = []
        if rules.marked:
            prompt, marks = _marks(prompt)
            prompt = prompt[: marks[-1][0]] if marks else b""
        if len(prompt) < max(block, rules.min_tokens * TOKEN_CHARS):
            return NOTHING
        read = written = hour = 0
        chain = hash((model, block))
        for end in range(block, len(prompt) + 1, block):
            chain = hash((chain, prompt[end - block : end]))
            long = rules.marked and next(longer for at, longer in marks if at >= end)
            if not written and self._until_s.get(chain, now_s) > now_s:
                read += rules.block_tokens
            else:
                written += rules.block_tokens
                hour += rules.block_tokens * long
            self._until_s[chain] = now_s + rules.ttl_s * (HOUR if long else 1)
            self._until_s.move_to_end(chain)
        while len(self._until_s) > self._limit:
            self._until_s.popitem(last=False)
        return Found(read, written, hour)


def _marks(prompt: bytes) -> tuple[bytes, list[tuple[int, bool]]]:
    """Return a prompt without its marks, and where each stood and whether it is one of an hour.

    A mark moves on from call to call while the text before it stays what it was.
    """
    kept, marks, at = bytearray(), [], 0
    for found in MARK.finditer(prompt):
        kept += prompt[at : found.start()]
        marks.append((len(kept), b'"1h"' in (found[1] or found[2])))
        at = found.end()
    kept += prompt[at:]
    return bytes(kept), marks
