"""The steps of a run as loop detection sees them: each call of a tool, or word to the user, with its answer.

No text is kept, only keyed hashes of it: two of one tenant can be compared, those of two tenants cannot.
Steps are added as a conversation grows (`extended`); only the last `KEPT` are kept.
"""

from array import array
from collections import Counter
from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from tidegate.model.message import Document, Image, Message, Text, ToolResult, ToolUse
from tidegate.policy.outcome import is_nudge
from tidegate.policy.step_prints import (
    NO_ANSWER,
    Answer,
    answer_of,
    brief_answer,
    call_prints,
    exact_print,
    outline,
    text_prints,
)

KEPT = 64
KEPT_LINES = 1024
MAX_OPEN = 256
"""Calls that may wait for their results; of more the newest are remembered."""

MAX_TEXT = 4_096
READ_IN_FULL = 8
"""Where a run is met with more results, only those are read in full that may be equal to others.

Should such a one come again with another time or counter in it, that counts as its first time.
"""


class Step(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One step. Prints are keyed hashes.

    `call` is of the tool and its arguments, `form` of these but for single words (of a text: of its numbers).
    `number` counts the run's tool calls from 0; a word to the user has that of the next call. `words` are
    check sums of a text's words. `is_error`: whoever answered says that it brings nothing, as a user does who
    only says to go on. `known_lines`: all lines of the result stood in earlier ones.
    """

    number: int
    message: int
    call: int
    form: int = 0
    is_text: bool = False
    words: bytes = b""
    answer: Answer = NO_ANSWER
    is_error: bool = False
    known_lines: bool = False

    @property
    def result(self) -> int:
        """The print of what came back; 0 while nothing did."""
        return self.answer.result

    @property
    def unhelpful(self) -> bool:
        """Whether nothing came of it, by its words or by those who answered."""
        return self.is_error or self.answer.unhelpful


class Tail(msgspec.Struct, frozen=True, kw_only=True):
    """The last steps of a run, oldest first, and what is needed to go on.

    `messages` and `calls` count all of the run, `turn_calls` those of its newest turn, which is over once
    somebody answered. `open` are the calls without a result: (id, position among all steps). `dropped` steps
    are kept no more. `lines` are check sums of the lines that results had, packed.
    """

    steps: tuple[Step, ...] = ()
    messages: int = 0
    calls: int = 0
    turn_calls: int = 0
    turn_is_over: bool = True
    open: tuple[tuple[str, int], ...] = ()
    dropped: int = 0
    lines: bytes = b""


EMPTY = Tail()


def extended(tail: Tail, messages: Iterable[Message], key: bytes) -> Tail:
    """Return a tail with more messages of its run. `key` is the tenant's; the cost is that of what is new."""
    growing = _Growing(tail, key[:64])
    for message in messages:
        growing.take(message)
    return growing.tail()


class _Growing:
    """A tail while messages are added to it. `_came` are results by position, not read yet."""

    def __init__(self, tail: Tail, key: bytes) -> None:
        self._key = key
        self._before = tail
        self._steps = list(tail.steps)
        self._messages = tail.messages
        self._calls = tail.calls
        self._turn_calls = tail.turn_calls
        self._turn_is_over = tail.turn_is_over
        self._open = dict(tail.open)
        self._came: dict[int, tuple[str, bool]] = {}

    def take(self, message: Message) -> None:
        """Add one message. Text beside calls or results is wording and no step of its own."""
        texts: list[str] = []
        is_plain = True
        for part in message.parts:
            if isinstance(part, ToolUse):
                self._call(part)
                is_plain = False
            elif isinstance(part, ToolResult):
                self._result(part)
                is_plain = False
            elif isinstance(part, Text):
                texts.append(part.text)
        if message.role == "user":
            self._turn_is_over = True
        if is_plain and texts:
            text = "\n".join(texts)[:MAX_TEXT]
            if message.role == "assistant":
                self._word(text)
            elif message.role == "user" and self._is_word_open():
                self._came[len(self._steps) - 1] = text, is_nudge(text)
        self._messages += 1

    def tail(self) -> Tail:
        """Return what has grown; results of steps that are not kept are never read."""
        too_many = max(0, len(self._steps) - KEPT)
        lines = self._read(too_many)
        return Tail(
            steps=tuple(self._steps[too_many:]),
            messages=self._messages,
            calls=self._calls,
            turn_calls=self._turn_calls,
            turn_is_over=self._turn_is_over,
            open=tuple(self._open.items())[-MAX_OPEN:],
            dropped=self._before.dropped + too_many,
            lines=lines,
        )

    def _call(self, use: ToolUse) -> None:
        if self._turn_is_over:
            self._turn_calls, self._turn_is_over = 0, False
        if self._is_word_open():
            del self._steps[-1]  # it belongs to this turn, as wording
        self._open[use.id] = self._before.dropped + len(self._steps)
        self._append(*call_prints(self._key, use.name, use.arguments))
        self._calls += 1
        self._turn_calls += 1

    def _result(self, result: ToolResult) -> None:
        """Put a result to its call. One whose call was never seen is a step of its own (trap K10)."""
        at = self._open.pop(result.id, None)
        if at is None:
            at = self._before.dropped + len(self._steps)
            self._append(*call_prints(self._key, "", result.id))
            self._calls += 1
        if at >= self._before.dropped:
            text = "\n".join(map(_shown, result.parts))
            self._came[at - self._before.dropped] = text, result.is_error

    def _word(self, text: str) -> None:
        self._append(*text_prints(self._key, text))

    def _append(self, call: int, form: int, words: bytes | None = None) -> None:
        self._steps.append(
            Step(
                number=self._calls,
                message=self._messages,
                call=call,
                form=form,
                is_text=words is not None,
                words=words or b"",
            )
        )

    def _is_word_open(self) -> bool:
        """Whether the last step is a word to the user that nobody has answered."""
        at = len(self._steps) - 1
        return at >= 0 and self._steps[at].is_text and not self._steps[at].result and at not in self._came

    def _read(self, first: int) -> bytes:
        """Read the results that came to the steps from `first` on; return the lines that are known now.

        A result that was there before, to the letter, is not read again.
        """
        came = {at: found for at, found in self._came.items() if at >= first}
        if not came:
            return self._before.lines
        in_full = self._may_be_equal(came)
        known = array("I", self._before.lines)
        seen: set[int] = set()
        answers = {step.answer.exact: step.answer for step in self._before.steps}
        for at, (text, is_error) in came.items():
            exact = exact_print(self._key, text)
            answer = answers.get(exact)
            if answer is not None:
                has_known_lines = answer.has_lines
            else:
                read = answer_of(self._key, exact, text) if at in in_full else brief_answer(exact, text)
                answer, lines = read
                answers[exact] = answer
                seen = seen or set(known)
                has_known_lines = bool(lines) and seen.issuperset(lines)
                seen.update(lines)
                known.extend(lines)
            self._steps[at] = replace(
                self._steps[at], answer=answer, is_error=is_error, known_lines=has_known_lines
            )
        return known[-KEPT_LINES:].tobytes()

    def _may_be_equal(self, came: dict[int, tuple[str, bool]]) -> set[int]:
        """The results to read in full: all that add to a tail, or are few; else those that may recur."""
        if len(came) <= READ_IN_FULL or self._before.steps:
            return set(came)
        outlines = {at: outline(text) for at, (text, _) in came.items()}
        looks = Counter(outlines.values())
        calls = Counter(step.call for step in self._steps)
        return {at for at, look in outlines.items() if looks[look] > 1 or calls[self._steps[at].call] > 1}


def _shown(part: Text | Image | Document) -> str:
    return part.text if isinstance(part, Text) else part.data or part.url
