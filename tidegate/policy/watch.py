"""Is this stream degenerating? Pure: fed what a model writes, it says when to stop, and why.

What is found depends on the text alone and not on how it was cut into deltas (`watch_track`). A delta costs a
concatenation, and every 64 characters one look at the end of the text; memory is bounded whatever comes.
"""

from tidegate.policy.watch_rules import Channel, Rule, Stop, WatchRules
from tidegate.policy.watch_texts import StopTexts
from tidegate.policy.watch_track import Track, keyed_hash

__all__ = ["Rule", "Stop", "StreamWatch", "WatchRules"]


class StreamWatch:
    """Watches one choice of one reply; several choices need one each.

    Every method returns why to stop, or None to go on; once there is a reason it stays. `key` keys the hashes
    of what repeated: the tenant's.
    """

    __slots__ = ("_arguments", "_calls", "_key", "_rules", "_stop", "_text")

    def __init__(self, rules: WatchRules, key: bytes = b"") -> None:
        self._rules, self._key = rules, key
        self._calls = 0
        self._stop: Stop | None = None
        self._text = _Channel(rules, key, "text")
        self._arguments = _Channel(rules, key, "arguments")

    def text(self, delta: str) -> Stop | None:
        """Take some of the answer, of its refusal or of what the model thinks."""
        if self._stop is None:
            self._stop = self._text.feed(delta)
        return self._stop

    def tool_call(self) -> Stop | None:
        """Count a call that begins. Parallel calls may be alike, so its arguments are looked at alone."""
        self._calls += 1
        self._arguments = _Channel(self._rules, self._key, "arguments")
        return self._limit("fan_out", self._calls, self._rules.max_tool_calls)

    def tool_arguments(self, delta: str) -> Stop | None:
        """Take some of the arguments of the call that began last."""
        if self._stop is None:
            self._stop = self._arguments.feed(delta)
        return self._stop

    def tokens(self, total: int) -> Stop | None:
        """Take how many tokens the reply has so far, counted or estimated."""
        return self._limit("output_limit", total, self._rules.max_output_tokens)

    def spent(self, nano: int) -> Stop | None:
        """Take what the reply has cost so far, in nano-units of the currency of the limit."""
        return self._limit("money_limit", nano, self._rules.max_spent_nano)

    def _limit(self, rule: Rule, reached: int, limit: int | None) -> Stop | None:
        if self._stop is None and limit is not None and reached > limit and rule not in self._rules.off:
            self._stop = Stop(rule=rule, repeats=reached)
        return self._stop


class _Channel:
    """A track, and the stop texts in it."""

    __slots__ = ("_key", "_name", "_rules", "_texts", "_track")

    def __init__(self, rules: WatchRules, key: bytes, name: Channel) -> None:
        self._rules, self._key, self._name = rules, key, name
        self._track = Track(rules, key, name)
        wanted = rules.stop_texts if "stop_rule" not in rules.off else ()
        self._texts = StopTexts(wanted) if wanted else None

    def feed(self, delta: str) -> Stop | None:
        """Take a delta; of two reasons the one that stands first counts."""
        stop = self._track.feed(delta)
        if self._texts is None or (found := self._texts.feed(delta)) is None:
            return stop
        end, tokens, place = found
        if stop is not None and stop.at_chars < end:
            return stop
        return Stop(
            rule="stop_rule",
            channel=self._name,
            onset_chars=end,
            onset_tokens=tokens,
            at_chars=end,
            at_tokens=tokens,
            repeats=place + 1,
            hash=keyed_hash(self._key, self._rules.stop_texts[place]),
        )
