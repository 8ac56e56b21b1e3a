"""A provider's prompt cache: a long prefix that comes again is cheaper."""

from collections import OrderedDict

BLOCK_BYTES = 4096
BLOCK_TOKENS = 1024


class PromptCache:
    """Remembers prefixes in whole blocks of 1,024 tokens, the last `limit` of them."""

    def __init__(self, limit: int = 20_000) -> None:
        self._limit = limit
        self._seen: OrderedDict[int, None] = OrderedDict()

    def look(self, model: str, prompt: bytes) -> tuple[int, int]:
        """Return the tokens read from the cache and those written to it, and remember the prompt."""
        read = written = 0
        chain = hash(model)
        for end in range(BLOCK_BYTES, len(prompt) + 1, BLOCK_BYTES):
            chain = hash((chain, prompt[end - BLOCK_BYTES : end]))
            if chain in self._seen and not written:
                read += BLOCK_TOKENS
                self._seen.move_to_end(chain)
            else:
                written += BLOCK_TOKENS
                self._seen[chain] = None
        while len(self._seen) > self._limit:
            self._seen.popitem(last=False)
        return read, written
