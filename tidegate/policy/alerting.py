"""When an alert is told: once when it starts, now and then while it goes on, once when it is over.

| phase | on | next | message |
|---|---|---|---|
| (none), resolved | it holds | firing | started |
| firing | it holds, `remind_us` after the last message | firing | reminder |
| firing | it holds no more | clearing | |
| clearing | it holds again | firing | |
| clearing | it has not held for the calm time | resolved | recovered |
| resolved | nothing for `REST_US` | (none) | |

The calm time is `calm_us`, and twice as long for each time that the alert came back within `REST_US` of its
end, up to `MOST_FLAPS` times: what goes on and off is one alert that lasts.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from tidegate.model.alert import AlertEvent, MessageKind, Observation

HOUR_US = 3_600_000_000
REST_US = 6 * HOUR_US
MOST_FLAPS = 5
MOST_OF_AN_EVENT = 20
"""More alerts of one event than this become one: a flood of names must not become a flood of messages."""
MOST_OF_BUDGETS = 100
"""The same of thresholds: a budget has several, and at the end of a month most of them stand."""
OTHERS = "(others)"

Key = tuple[AlertEvent, str]
Phase = Literal["firing", "clearing", "resolved"]


class AlertPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often an alert is told. A `remind_us` of 0 reminds of nothing."""

    calm_us: int = 60_000_000
    remind_us: int = 24 * HOUR_US


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of one alert. `about` is what was seen last.

    `turned_us` is when the phase began; `told_us` when a message was made last.
    """

    about: Observation
    phase: Phase
    since_us: int
    turned_us: int
    told_us: int
    flaps: int = 0


Step = tuple[Standing | None, MessageKind | None]
"""What is remembered from now on (None: nothing), and the message that is due."""


def seen(standing: Standing | None, about: Observation, now_us: int, policy: AlertPolicy) -> Step:
    """Take in that it holds now."""
    if standing is None or standing.phase == "resolved":
        back = standing is not None and now_us - standing.turned_us < REST_US
        flaps = min(standing.flaps + 1, MOST_FLAPS) if standing is not None and back else 0
        fresh = Standing(
            about=about, phase="firing", since_us=now_us, turned_us=now_us, told_us=now_us, flaps=flaps
        )
        return fresh, "started"
    turned_us = standing.turned_us if standing.phase == "firing" else now_us
    goes_on = msgspec.structs.replace(
        standing, about=about, phase="firing", turned_us=turned_us, told_us=min(standing.told_us, now_us)
    )
    if policy.remind_us and now_us - goes_on.told_us >= policy.remind_us:
        return msgspec.structs.replace(goes_on, told_us=now_us), "reminder"
    return goes_on, None


def not_seen(standing: Standing, now_us: int, policy: AlertPolicy) -> Step:
    """Take in that it does not hold now; a clock that went back starts the calm time again."""
    match standing.phase:
        case "firing":
            return _turned(standing, "clearing", now_us), None
        case "clearing":
            if now_us < standing.turned_us:
                return _turned(standing, "clearing", now_us), None
            if now_us - standing.turned_us < policy.calm_us << standing.flaps:
                return standing, None
            over = _turned(standing, "resolved", now_us)
            return msgspec.structs.replace(over, told_us=now_us), "recovered"
        case "resolved":
            rests = 0 <= now_us - standing.turned_us < REST_US
            return (standing if rests else None), None


def step(
    standings: Mapping[Key, Standing],
    observations: Iterable[Observation],
    looked_for: frozenset[AlertEvent],
    now_us: int,
    policy: AlertPolicy,
) -> tuple[dict[Key, Standing], list[tuple[MessageKind, Standing]]]:
    """Take in one look at everything; return what stands now, and what is to be told, in order.

    What is in `looked_for` and was not seen does not hold; of other events nothing is known, so their
    alerts stay as they are.
    """
    now = {one.key: one for one in _bounded(standings, observations)}
    after, told = dict(standings), list[tuple[MessageKind, Standing]]()
    for key in [*standings, *(key for key in now if key not in standings)]:
        before = standings.get(key)
        if key in now:
            standing, kind = seen(before, now[key], now_us, policy)
        elif key[0] in looked_for and before is not None:
            standing, kind = not_seen(before, now_us, policy)
        else:
            continue
        if standing is None:
            del after[key]
            continue
        after[key] = standing
        if kind is not None:
            told.append((kind, standing))
    return after, told


def most_of(event: AlertEvent) -> int:
    """How many alerts of an event stand one by one."""
    return MOST_OF_BUDGETS if event == "budget_threshold" else MOST_OF_AN_EVENT


def _bounded(standings: Mapping[Key, Standing], observations: Iterable[Observation]) -> Iterator[Observation]:
    """Yield observations, those beyond what may stand of an event as one."""
    room: dict[AlertEvent, int] = {}
    for event, subject in standings:
        room[event] = room.get(event, most_of(event)) - (subject != OTHERS)
    more: dict[AlertEvent, int] = {}
    for one in observations:
        if one.key in standings:
            yield one
        elif room.setdefault(one.event, most_of(one.event)) > 0:
            room[one.event] -= 1
            yield one
        else:
            more[one.event] = more.get(one.event, 0) + 1
    for event, count in more.items():
        text = f"There are more alerts of this kind than are told one by one: {event}."
        yield Observation(event=event, subject=OTHERS, text=text, facts={"alerts": count})


def _turned(standing: Standing, phase: Phase, now_us: int) -> Standing:
    return msgspec.structs.replace(standing, phase=phase, turned_us=now_us)
