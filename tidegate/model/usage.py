"""What one attempt consumed, in buckets that never overlap."""

from operator import attrgetter
from typing import Literal

import msgspec

UsageSource = Literal["provider", "estimated", "mixed", "none"]
"""Who said it: the provider; our estimate; the provider in part and our estimate for the rest; nobody
(the attempt was never billed, so there is nothing to say)."""

INPUT_BUCKETS = (
    "input_uncached",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "input_audio",
    "input_image",
)
OUTPUT_BUCKETS = ("output_text", "reasoning", "output_audio")
TOKEN_BUCKETS = INPUT_BUCKETS + OUTPUT_BUCKETS
BUCKETS = (*TOKEN_BUCKETS, "searches")


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tokens one attempt consumed, in disjoint buckets; `searches` counts calls, not tokens.

    Anthropic counts this way. OpenAI and Gemini report cached tokens inside the prompt total, so their
    codecs subtract them once. None means the provider did not say; 0 means it said zero.
    """

    input_uncached: int | None = None
    cache_read: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    input_audio: int | None = None
    input_image: int | None = None
    output_text: int | None = None
    reasoning: int | None = None
    output_audio: int | None = None
    searches: int | None = None

    @property
    def input_total(self) -> int | None:
        """Every input token, however it was billed; None when nothing was said."""
        total = (
            (self.input_uncached or 0)
            + (self.cache_read or 0)
            + (self.cache_write_5m or 0)
            + (self.cache_write_1h or 0)
            + (self.input_audio or 0)
            + (self.input_image or 0)
        )
        return total or (None if _inputs(self) == _NO_INPUT_SAID else 0)

    @property
    def output_total(self) -> int | None:
        """Every output token, reasoning and audio included; None when nothing was said."""
        total = (self.output_text or 0) + (self.reasoning or 0) + (self.output_audio or 0)
        return total or (None if _outputs(self) == _NO_OUTPUT_SAID else 0)


_inputs, _NO_INPUT_SAID = attrgetter(*INPUT_BUCKETS), (None,) * len(INPUT_BUCKETS)
_outputs, _NO_OUTPUT_SAID = attrgetter(*OUTPUT_BUCKETS), (None,) * len(OUTPUT_BUCKETS)


class UsageReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a codec read of a reply's usage, and by which rule.

    `rule` names the arithmetic that was applied (`openai`, `openai/reasoning-outside`, `anthropic`, ...).
    `stated_input` and `stated_output` are the provider's own totals, which the buckets must sum to.
    `stated_cost` is the provider's own decimal text in `stated_currency` (trap M11), never a float.
    `anomalies` names what did not add up (`negative`, `total-mismatch`, `remainder-as-cache-write`, ...).
    """

    usage: Usage
    rule: str
    stated_input: int | None = None
    stated_output: int | None = None
    stated_cost: str | None = None
    stated_currency: str = "USD"
    anomalies: tuple[str, ...] = ()
