"""Whether a run goes in circles, from the tail of its conversation alone.

Only the end of the tail is judged: a loop that the agent left by itself is none. Every count goes back to the
last step that brought anything new, so that polling that moves on, paging, tests after an edit and retries
that succeed end it. The cost is bounded by `steps.KEPT`.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile

import msgspec

from tidegate.policy.loop_rules import DEFAULT, Level, Limits, LoopRules, Rule, Trip
from tidegate.policy.steps import Step, Tail

EVIDENCE = 16
"""Steps that a trip names at most."""

LEAST_CALLS = 3
"""Different calls with one result before their result is what repeats."""


class _Found(msgspec.Struct, frozen=True):
    """What a rule counted, in rounds or steps, at which places; where one has to wait, more is allowed."""

    rule: Rule
    places: Sequence[int]
    limits: Limits
    count: int
    period: int = 1


def judge(tail: Tail, rules: LoopRules = DEFAULT) -> tuple[Trip, ...]:
    """Return what the tail of a run shows, once for each rule, what is to be stopped first."""
    steps = [step for step in tail.steps if step.result or step.is_text]
    if not _may_repeat(steps):
        return ()
    view = _View(steps, rules)
    trips = [trip for found in _found(view) if (trip := _trip(view, found)) is not None]
    trips.sort(key=lambda trip: trip.level != "enforce")
    return tuple({trip.rule: trip for trip in reversed(trips)}.values())[::-1]


def _may_repeat(steps: Sequence[Step]) -> bool:
    """Whether anything of the last step was there before; cheap, since of most steps nothing was."""
    if len(steps) < 2:
        return False
    last = steps[-1]
    if last.is_text or last.known_lines:
        return True
    return any(step.call == last.call or step.result == last.result for step in steps[:-1])


class _View:
    """The answered steps, and of each what was known before it.

    `pairs` are (call, result). A step is `stale` if it brings nothing new: its result, or all lines of it,
    were seen, and it was made before, or failed; or it failed before and fails again. It is `idle` if it is
    stale or failed, or is a word to the user with a known reply: that changes nothing.
    """

    def __init__(self, steps: Sequence[Step], rules: LoopRules) -> None:
        self.steps = steps
        self.rules = rules
        self.pairs = [(step.call, step.result) for step in steps]
        self.stale: list[bool] = []
        self.idle: list[bool] = []
        calls: set[int] = set()
        failed: set[int] = set()
        results: set[int] = set()
        for step in steps:
            is_known = step.result in results
            fails_again = step.unhelpful and step.call in failed
            if step.is_text:
                stale = step.call in calls and (is_known or step.unhelpful)
            else:
                known = is_known and (step.call in calls or step.unhelpful)
                stale = known or step.known_lines or fails_again
            self.stale.append(stale)
            self.idle.append(stale or step.unhelpful or (step.is_text and is_known))
            calls.add(step.call)
            results.add(step.result)
            if step.unhelpful:
                failed.add(step.call)

    def trailing(self, marks: Iterable[bool]) -> Sequence[int]:
        """The places at the end that are marked without a gap; `marks` come from the newest step on."""
        count = sum(1 for _ in takewhile(bool, marks))
        return range(len(self.steps) - count, len(self.steps))


def _trip(view: _View, found: _Found) -> Trip | None:
    """Return a trip where a count reaches its limits."""
    waits = any(view.steps[place].answer.waiting for place in found.places)
    patience = view.rules.thresholds.patience * found.period if waits else 0
    level: Level
    if found.limits.enforce and found.count >= found.limits.enforce + patience:
        level = "enforce"
    elif found.limits.notice and found.count >= found.limits.notice + patience:
        level = "notice"
    else:
        return None
    steps = [view.steps[place] for place in found.places]
    newest = steps[-EVIDENCE:]
    return Trip(
        rule=found.rule,
        level=level,
        count=found.count,
        period=found.period,
        calls=tuple(step.number for step in newest),
        messages=tuple(step.message for step in newest),
        prints=tuple(dict.fromkeys(f"{one:016x}" for step in newest for one in (step.call, step.result))),
        known_from=steps[min(found.period, len(steps) - 1)].number,
        at=steps[-1].number,
    )


def _found(view: _View) -> Iterator[_Found]:
    """Every rule's count, the plainest first."""
    limits, last = view.rules.thresholds, view.steps[-1]
    row = view.trailing(pair == view.pairs[-1] for pair in reversed(view.pairs))
    if last.is_text:
        yield _Found("same_text", row, limits.same_text, len(row))
        alike = _alike(view)
        yield _Found("same_text", alike, limits.same_text, len(alike))
    else:
        yield _Found("same_call", row, limits.same_call, len(row))
        again = _again(view)
        yield _Found("same_call_again", again, limits.same_call_again, len(again))
        failing = view.trailing(step.call == last.call and step.unhelpful for step in reversed(view.steps))
        yield _Found("failing_call", failing, limits.failing_call, len(failing))
        same = _same_result(view)
        limit = limits.same_result if last.unhelpful else limits.same_good_result
        yield _Found("same_result", same, limit, len(same))
    yield from _cycles(view)
    stale = view.trailing(reversed(view.stale))
    yield _Found("nothing_new", stale, limits.nothing_new, len(stale))


def _again(view: _View) -> Sequence[int]:
    """The places of the last pair, back to the last step that changed anything."""
    pair, size = view.pairs[-1], len(view.pairs)
    places: list[int] = []
    for at in range(size - 1, max(-1, size - 1 - view.rules.within), -1):
        if view.pairs[at] == pair:
            places.append(at)
        elif not view.idle[at]:
            break
    return places[::-1]


def _same_result(view: _View) -> Sequence[int]:
    """The last steps in a row with one result, where they are of several calls.

    A good result counts if it is equal to the letter, and says neither that something was done nor, in a few
    characters, how it is with each of several things.
    """
    last = view.steps[-1]
    if last.unhelpful:
        places = view.trailing(
            step.result == last.result and not step.is_text for step in reversed(view.steps)
        )
    elif last.answer.done:
        return ()
    else:
        places = view.trailing(
            step.answer.exact == last.answer.exact and not step.is_text for step in reversed(view.steps)
        )
        forms = {view.steps[place].form for place in places}
        if last.answer.is_short and last.form and len(forms) == 1:
            return ()
    calls = {view.steps[place].call for place in places}
    return places if len(calls) >= LEAST_CALLS else ()


def _cycles(view: _View) -> Iterator[_Found]:
    """Each period of 2 and more steps that fills at least one more round at the end."""
    pairs, size = view.pairs, len(view.pairs)
    for period in range(2, min(view.rules.longest_cycle, size // 2) + 1):
        if pairs[-1] != pairs[-1 - period] or pairs[-1] == pairs[-2]:
            continue
        count = 0
        while count + period < size and pairs[size - 1 - count] == pairs[size - 1 - count - period]:
            count += 1
        if count >= period:
            yield _Found(
                "cycle", range(size - count - period, size), view.rules.thresholds.cycle, count, period
            )


def _alike(view: _View) -> Sequence[int]:
    """The places of texts that are nearly the last one, back to the last reply that was anything new."""
    newest, size = view.steps[-1], len(view.steps)
    last = set(array("I", newest.words))
    places: list[int] = []
    for at in range(size - 1, max(-1, size - 1 - view.rules.within), -1):
        step = view.steps[at]
        if not step.is_text:
            break
        words = set(array("I", step.words))
        is_alike = 1000 * len(words & last) >= view.rules.alike_permille * len(words | last) > 0
        if is_alike and step.form == newest.form:
            places.append(at)
        if not view.idle[at]:
            break
    return places[::-1]
