"""Which of several deployments a call goes to, and in which order the others follow.

Those that are ready go first, by tier; within a tier by the operator's order, by weight or by latency.
A conversation keeps its deployment while that is ready, so that the provider's prompt cache and the tool
calls' ids stay good (trap R6). Those that cool down go last, soonest back first. The order is a function of
the recorded values alone: `replayed` gives it again.

Weighted order is weighted rendezvous hashing: each candidate scores -ln(u) / weight with u hashed from the
key and its name, lowest first. With a random draw as the key that is a weighted choice without replacement
(Efraimidis and Spirakis, 2006); with a conversation's digest as the key a candidate that comes or goes moves
no other conversation.
"""

from hashlib import blake2b
from math import exp, log
from typing import Literal, assert_never

import msgspec

from tidegate.model.record import Decision

SECOND_US = 1_000_000
Mode = Literal["in_order", "weight", "latency"]
MAX_CANDIDATES = 32
"""Candidates that are weighed and recorded; more of them follow as they stand."""

_HASH_BYTES = 6
_HASH_RANGE = 1 << 8 * _HASH_BYTES


class Candidate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A deployment that could take a call.

    `tier`: all of a lower one go before it. `weight` 0 is used only where nothing else is left. `latency_us`
    is measured to the first content, None where nothing was measured. `back_us` is how long it still cools
    down, 0 where it is ready: so is one whose breaker would let a probe through, or it would never be probed.
    """

    name: str
    tier: int = 0
    weight: int = 1
    latency_us: int | None = None
    running: int = 0
    back_us: int = 0


class Choice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that an order depends on. `draw` is a random integer, `sticky` a conversation's digest as text."""

    candidates: tuple[Candidate, ...]
    mode: Mode = "in_order"
    draw: int = 0
    sticky: str = ""


def order(choice: Choice) -> tuple[str, ...]:
    """Return the names of all candidates, the one to call first."""
    if len(choice.candidates) == 1:
        return (choice.candidates[0].name,)
    weighed, rest = choice.candidates[:MAX_CANDIDATES], choice.candidates[MAX_CANDIDATES:]
    ready = [one for one in weighed if one.back_us <= 0]
    cooling = [one for one in weighed if one.back_us > 0]
    names: list[str] = []
    for tier in sorted({one.tier for one in ready}):
        names += _within(choice, [one for one in ready if one.tier == tier])
    cooling.sort(key=lambda one: (one.back_us, one.tier))
    return (*names, *(one.name for one in cooling), *(one.name for one in rest))


def recorded(choice: Choice, names: tuple[str, ...]) -> Decision:
    """Return the choice as a record keeps it."""
    inputs: dict[str, str | int | None] = {
        "mode": choice.mode,
        "draw": choice.draw,
        "candidates": msgspec.json.encode(choice.candidates[:MAX_CANDIDATES]).decode(),
    }
    if choice.sticky:
        inputs["sticky"] = choice.sticky
    return Decision(name="balance", inputs=inputs, result=",".join(names[:MAX_CANDIDATES]))


def replayed(decision: Decision) -> tuple[str, ...]:
    """Order again from what `recorded` kept. Raises msgspec.ValidationError for another decision."""
    inputs = decision.inputs
    candidates = msgspec.json.decode(str(inputs.get("candidates")), type=tuple[Candidate, ...])
    values = {"mode": inputs.get("mode"), "draw": inputs.get("draw"), "sticky": inputs.get("sticky", "")}
    return order(msgspec.convert({**values, "candidates": candidates}, Choice))


def _within(choice: Choice, ready: list[Candidate]) -> list[str]:
    """Return the names of one tier's ready candidates in order."""
    if len(ready) == 1:
        return [ready[0].name]
    if choice.sticky:
        return [one.name for one in _ranked(ready, choice.sticky.encode())]
    match choice.mode:
        case "in_order":
            return [one.name for one in ready]
        case "weight":
            return [one.name for one in _ranked(ready, _key(choice.draw))]
        case "latency":
            first, second, *rest = _ranked(ready, _key(choice.draw))
            better = sorted((first, second), key=_cost)
            return [one.name for one in (*better, *sorted(rest, key=_cost))]
        case _:
            assert_never(choice.mode)


def _key(draw: int) -> bytes:
    return b"draw:%d" % draw


def _ranked(candidates: list[Candidate], key: bytes) -> list[Candidate]:
    return sorted(candidates, key=lambda one: (*_score(one, key), one.name))


def _score(one: Candidate, key: bytes) -> tuple[bool, float]:
    """Return the place of a candidate under a key: those without weight after all others."""
    digest = blake2b(one.name.encode(), digest_size=_HASH_BYTES, key=key[:64]).digest()
    unit = (int.from_bytes(digest) + 1) / (_HASH_RANGE + 1)
    return one.weight <= 0, -log(unit) / max(one.weight, 1)


def _cost(one: Candidate) -> tuple[bool, int]:
    """Return what waits at a candidate: its latency for each call it would then have. Unmeasured is free."""
    return one.weight <= 0, (one.latency_us or 0) * (one.running + 1)


class Latency(msgspec.Struct, frozen=True):
    """A latency that jumps up at once and comes down slowly (a peak-sensitive moving average)."""

    value_us: int
    at_us: int


def with_sample(latency: Latency | None, sample_us: int, now_us: int, *, decay_us: int) -> Latency:
    """Return the latency after one call; `decay_us` is the time in which the past's share falls to 1/e."""
    if latency is None or sample_us >= latency.value_us:
        return Latency(max(sample_us, 0), now_us)
    kept = _share(latency, now_us, decay_us)
    value_us = round(latency.value_us * kept + sample_us * (1 - kept))
    return Latency(max(value_us, 0), max(now_us, latency.at_us))


def latency_now(latency: Latency | None, now_us: int, *, decay_us: int) -> int | None:
    """Return the latency in microseconds, fallen since the last call, so that a slow one is tried again."""
    if latency is None:
        return None
    return round(latency.value_us * _share(latency, now_us, decay_us))


def _share(latency: Latency, now_us: int, decay_us: int) -> float:
    return exp(-max(now_us - latency.at_us, 0) / max(decay_us, 1))
