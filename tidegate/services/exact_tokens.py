"""How many tokens a prompt has, counted: only where its estimate would refuse a call (trap M13)."""

import asyncio
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tidegate.model.request import RequestFacts
from tidegate.services.prompt_texts import PromptTexts
from tidegate.wire.measure import text_size

if TYPE_CHECKING:
    from tiktoken import Encoding

    from tidegate.services.encodings import Name

AT_ONCE = 2
"""Counts that run at the same time. They let go of the interpreter's lock, so the event loop goes on."""
MAX_OPEN = 64
"""Counts that run or wait; beyond, a call keeps its estimate."""
PATIENCE_S = 2.0
"""A count that takes longer, waiting included, is given up."""
MAX_PROMPT_BYTES = 8_000_000
"""A prompt above this is not looked at: reading it holds the interpreter's lock, some ms for each level."""
MAX_TEXT_BYTES = 1_000_000
"""More text is not counted: this much takes up to half a second."""

CHUNK_CHARS = 16_384
"""Longer texts are counted in parts: of a million spaces tiktoken 0.14 panics (the stack of its patterns)."""
_SLACK_CHARS = 1_024
_END_OF_WORD = re.compile(r"\S(?= )")


class ExactTokens:
    """Counts prompts in threads of its own. An encoding is loaded when it is first needed."""

    def __init__(self, *, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._workers = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="tokens")
        self._open = 0
        self._loading = threading.Lock()
        self._loaded: dict[Name, Encoding] = {}

    async def count(self, model: str, facts: RequestFacts) -> int | None:
        """The tokens of a prompt at a model, in the place of `Estimate.raw`; None where it is not counted.

        For models whose provider publishes no tokenizer it is o200k's count times a first ratio, which a
        `Calibration` of its own may correct.
        """
        if self._open >= MAX_OPEN or sum(map(len, facts.prompt)) > MAX_PROMPT_BYTES:
            return None
        self._open += 1
        try:
            async with asyncio.timeout(self._patience_s):
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._workers, self._counted, model, facts)
        except TimeoutError:
            return None
        finally:
            self._open -= 1

    def _counted(self, model: str, facts: RequestFacts) -> int | None:
        from tidegate.services.encodings import ruler_of  # noqa: PLC0415 - tiktoken, when first needed

        prompt = PromptTexts(facts)
        if sum(text_size(text)[0] for text in prompt.texts) > MAX_TEXT_BYTES:
            return None
        ruler = ruler_of(model)
        encoding = self._encoding(ruler.encoding)
        tokens = sum(len(encoding.encode_ordinary(part)) for text in prompt.texts for part in parts_of(text))
        before_tools = ruler.tools_tokens if facts.has_tools else 0
        return -(-tokens * ruler.ratio_milli // 1000) + prompt.tokens + before_tools

    def _encoding(self, name: "Name") -> "Encoding":
        from tidegate.services.encodings import load  # noqa: PLC0415 - tiktoken, when first needed

        with self._loading:
            if name not in self._loaded:
                self._loaded[name] = load(name)
            return self._loaded[name]


def parts_of(text: str) -> Iterator[str]:
    """A text in parts of at most CHUNK_CHARS that have as many tokens as the whole.

    It is cut between a word and a space, where both encodings always cut. Where no word ends in the last
    1,024 characters of a part it is cut anyway, which may add a few tokens.
    """
    at = 0
    while len(text) - at > CHUNK_CHARS:
        end = at + CHUNK_CHARS
        word = _END_OF_WORD.search(text, end - _SLACK_CHARS, end)
        cut = word.end() if word else end
        yield text[at:cut]
        at = cut
    yield text[at:]
