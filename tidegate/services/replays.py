"""Calls that come again because they failed: seen, counted, and in the end slowed down (trap K8).

Agents and SDKs repeat a failed call many times, each layer on its own. The same question of the same key and
session, asked again within a minute of a failure, is a replay. One that was answered is none, however often
it is asked.
"""

from collections import OrderedDict

from tidegate.model.errors import RateLimited
from tidegate.model.record import Decision

SECOND_US = 1_000_000
WINDOW_US = 60 * SECOND_US
MAX_FAILURES = 10
"""Failures of one question within the window after which it has to wait."""
MAX_QUESTIONS = 16_384

Question = tuple[str, str, str]
"""A key's id, a session or the empty text, and the exact hash of the request."""


class Replays:
    """Questions that failed of late. The table is bounded: the one that failed longest ago goes first."""

    def __init__(self, *, max_failures: int = MAX_FAILURES, max_questions: int = MAX_QUESTIONS) -> None:
        self._max_failures = max_failures
        self._max_questions = max_questions
        self._failed: OrderedDict[Question, tuple[int, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failed)

    def check(self, question: Question, now_us: int) -> tuple[Decision, ...]:
        """Say for the record how often this failed just now. Raises RateLimited where it was too often."""
        if not self._failed:
            return ()
        count, since_us = self._failed.get(question, (0, 0))
        if not count:
            return ()
        if not 0 <= now_us - since_us < WINDOW_US:  # a clock that goes back keeps nobody out
            del self._failed[question]
            return ()
        if count >= self._max_failures:
            wait_s = -(-(since_us + WINDOW_US - now_us) // SECOND_US)
            raise RateLimited(
                f"This very request failed {count} times within a minute; it is taken again in {wait_s} s.",
                retry_after_s=wait_s,
                facts={"failures": count},
            )
        return (Decision(name="replay", inputs={"failures": count}, result="let through"),)

    def ended(self, question: Question, now_us: int, *, failed: bool) -> None:
        """Take in how a call ended. The window runs from its first failure; an answer ends it."""
        known = self._failed.get(question) if self._failed else None
        if not failed:
            if known is not None:
                del self._failed[question]
            return
        count, since_us = known or (0, now_us)
        if not 0 <= now_us - since_us < WINDOW_US:
            count, since_us = 0, now_us
        self._failed[question] = (count + 1, since_us)
        self._failed.move_to_end(question)
        if len(self._failed) > self._max_questions:
            self._failed.popitem(last=False)
