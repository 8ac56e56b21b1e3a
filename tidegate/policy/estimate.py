"""How many tokens a text probably is, from its bytes alone.

Counting exactly costs 140-230 us for 4,000 characters and stalls the loop on large bodies (trap M13), so
the data path estimates, and corrects the estimate by what providers billed.
"""

import msgspec

from tidegate.model.request import Parts

ASCII_BYTES_PER_TOKEN_MILLI = 3900
OTHER_BYTES_PER_TOKEN_MILLI = 2700
TOKENS_PER_MESSAGE = 4
TOKENS_PER_IMAGE = 800
"""A mid-sized image costs several hundred tokens at every provider that publishes its rule."""

NOTHING = (0, 0)
MIN_RATIO_MILLI, MAX_RATIO_MILLI = 500, 2500
WEIGHT = 16
"""A billed call moves the ratio by a sixteenth of its error."""
MIN_TOKENS_TO_LEARN = 64


class Calibration(msgspec.Struct, frozen=True):
    """The correction for one model: estimate times `ratio_milli` / 1000, learned from `calls` bills."""

    ratio_milli: int = 1000
    calls: int = 0

    @property
    def label(self) -> str:
        """How a record names it, so that an estimate can be made again."""
        return f"bytes-1:{self.ratio_milli}:{self.calls}"


UNCALIBRATED = Calibration()


def raw_tokens(ascii_bytes: int, other_bytes: int) -> int:
    """Tokens before correction, rounded up."""
    milli = ascii_bytes * 1_000_000 // ASCII_BYTES_PER_TOKEN_MILLI
    milli += other_bytes * 1_000_000 // OTHER_BYTES_PER_TOKEN_MILLI
    return -(-milli // 1000)


def corrected(tokens: int, calibration: Calibration) -> int:
    """`tokens` times the model's ratio, rounded up."""
    return -(-tokens * calibration.ratio_milli // 1000)


class Estimate(msgspec.Struct, frozen=True):
    """What a prompt probably is: `raw` tokens in all before correction, message frames and images included.

    `parts` are (bytes, corrected tokens) of system, tools, history, tool results and last user turn.
    """

    parts: tuple[tuple[int, int], ...]
    raw: int


def estimated(parts: Parts, calibration: Calibration, *, messages: int, images: int) -> Estimate:
    """The estimate for a whole prompt, part by part."""
    total, pairs = messages * TOKENS_PER_MESSAGE + images * TOKENS_PER_IMAGE, []
    ratio_milli = calibration.ratio_milli
    for part in (parts.system, parts.tools, parts.history, parts.tool_results, parts.last_user):
        if part.size_bytes == 0:
            pairs.append(NOTHING)
            continue
        raw = raw_tokens(part.ascii_bytes, part.text_bytes - part.ascii_bytes)
        total += raw
        pairs.append((part.size_bytes, -(-raw * ratio_milli // 1000)))
    return Estimate(tuple(pairs), total)


def learn(calibration: Calibration, *, estimated_raw: int, billed: int) -> Calibration:
    """The calibration after one bill: a clamped moving average; tiny calls teach nothing."""
    if estimated_raw < MIN_TOKENS_TO_LEARN or billed <= 0:
        return calibration
    seen = billed * 1000 // estimated_raw
    if not MIN_RATIO_MILLI <= seen <= MAX_RATIO_MILLI:
        seen = MIN_RATIO_MILLI if seen < MIN_RATIO_MILLI else MAX_RATIO_MILLI
    ratio_milli, calls = calibration.ratio_milli, calibration.calls + 1
    moved = ratio_milli + (seen - ratio_milli) // min(calls, WEIGHT)
    return Calibration(moved, calls)
