"""One channel of a reply - its text, or the arguments of one tool call - looked at in steps."""

from collections.abc import Iterator
from hashlib import blake2b

from tidegate.policy.estimate import raw_tokens
from tidegate.policy.watch_blank import Blank
from tidegate.policy.watch_lines import Lines
from tidegate.policy.watch_loop import KEPT_CHARS, Loop
from tidegate.policy.watch_rules import HASH_HEX, Channel, Found, Stop, WatchRules
from tidegate.policy.watch_shape import SAMPLE_CHARS, Texture, text_size, texture_of
from tidegate.policy.watch_words import Words

STEP_CHARS = 64
WARM_CHARS = 1_024
"""Words and lines are followed from here on, what stood before included: most replies never get here."""
SAMPLED_EVERY = 4 * STEP_CHARS
_ESCAPES = (("\\n", "\n "), ("\\t", "\t "), ("\\r", "\r "))
"""White space as JSON text writes it, replaced by as many characters."""


def keyed_hash(key: bytes, text: str) -> str:
    """Return 16 hex digits that nobody can guess at without the key; nothing where there is none."""
    if not key:
        return ""
    raw = text.encode("utf-8", "replace")
    return blake2b(raw, key=key[:64], digest_size=HASH_HEX // 2, person=b"tg-watch").hexdigest()


class Track:
    """Feeds the detectors with steps of `STEP_CHARS`, counted from the channel's start.

    So it does not matter how the text came. A step has one more where it would cut an escape of JSON.
    """

    __slots__ = (
        "_blank",
        "_channel",
        "_end",
        "_key",
        "_lines",
        "_loop",
        "_pending",
        "_rules",
        "_sampled",
        "_size",
        "_weight",
        "_weights",
        "_window",
        "_words",
    )

    def __init__(self, rules: WatchRules, key: bytes, channel: Channel) -> None:
        self._rules, self._key, self._channel = rules, key, channel
        self._pending = self._window = ""
        self._end = 0
        self._size = (0, 0)
        self._weights: dict[Texture, float] = {
            "prose": 1.0,
            "labels": 1 / rules.label_sparing,
            "rows": 1 / rules.row_sparing,
        }
        self._weight, self._sampled = 1.0, 0
        self._loop, self._blank = Loop(rules), Blank(rules)
        self._words: Words | None = None
        self._lines: Lines | None = None

    def feed(self, delta: str) -> Stop | None:
        """Take what came; most deltas complete no step."""
        pending = self._pending + delta
        if len(pending) <= STEP_CHARS:
            self._pending = pending
            return None
        return self._steps(pending)

    def _steps(self, pending: str) -> Stop | None:
        at, stop = 0, None
        while stop is None and len(pending) - at > STEP_CHARS:
            size = STEP_CHARS
            if self._channel == "arguments" and pending[at + size - 1] == "\\":
                size += 1
            stop = self._step(pending[at : at + size])
            at += size
        self._pending = pending[at:]
        return stop

    def _step(self, text: str) -> Stop | None:
        size, ascii_size = text_size(text)
        self._size = (self._size[0] + ascii_size, self._size[1] + size - ascii_size)
        self._end += len(text)
        if self._channel == "arguments":
            for escape, blank in _ESCAPES:
                text = text.replace(escape, blank)
        self._window = window = (self._window + text)[-KEPT_CHARS:]
        for found in self._detect(text, window):
            if found is not None and found.rule not in self._rules.off:
                return self._stop(found)
        return None

    def _detect(self, text: str, window: str) -> Iterator[Found | None]:
        """Ask every detector, the surest first."""
        end = self._end
        yield self._blank.step(text, end)
        yield self._loop.step(window, len(text), end)
        if end < WARM_CHARS:
            return
        if self._words is None or self._lines is None:
            self._words, self._lines, text = Words(self._rules), Lines(self._rules), window
        if end >= self._sampled + SAMPLED_EVERY:
            self._sampled = end
            self._weight = self._weights[texture_of(window[-SAMPLE_CHARS:])]
        yield self._words.step(text, end, self._weight)
        yield self._lines.step(text, end, self._weight)

    def _stop(self, found: Found) -> Stop:
        end, unit_chars = self._end, found.unit_chars
        onset = min(found.start + 2 * unit_chars, end)
        at_tokens = raw_tokens(*self._size)
        size, ascii_size = text_size(self._window)
        of_loop = raw_tokens(ascii_size, size - ascii_size) * (end - onset) // len(self._window)
        return Stop(
            rule=found.rule,
            channel=self._channel,
            onset_chars=onset,
            onset_tokens=max(0, at_tokens - of_loop),
            at_chars=end,
            at_tokens=at_tokens,
            unit_chars=unit_chars,
            repeats=found.repeats,
            hash=keyed_hash(self._key, self._window[-unit_chars:]),
        )
