"""`python -m benchmarks.holding`: what budgets add to one call, in this process, with and without in turns.

Timed is the CPU of everything that budgets touch: planning, holding, the records with their shares, settling.
A text is counted exactly in a thread, and only where an estimate would refuse it; that is not in here.
"""

import asyncio
import gc
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from benchmarks import bodies
from benchmarks.bodies import Body
from benchmarks.scenarios import Figures
from tidegate.config.load import load
from tidegate.exchange.call import Call
from tidegate.exchange.funding import Funding
from tidegate.exchange.plan import Planner
from tidegate.model.budget import Budget, Window
from tidegate.model.identity import Key
from tidegate.model.record import Begin, End, Settled, encode
from tidegate.model.usage import Usage
from tidegate.providers.catalog import load as load_catalog
from tidegate.providers.targets import price_section
from tidegate.services.budgets import Budgets
from tidegate.services.clock import Clock
from tidegate.services.conversations import Conversations
from tidegate.services.deployments import survey
from tidegate.services.exact_tokens import ExactTokens
from tidegate.services.features import Features
from tidegate.services.fleet import Fleet
from tidegate.services.output_limits import OutputLimits
from tidegate.services.pseudonyms import Pseudonyms
from tidegate.services.state import State, state_of
from tidegate.services.tokens import Calibrations
from tidegate.stores.snapshot import Policies, Snapshot
from tidegate.wire.registry import CODECS

CALLS = 3_000
WARM_UP = 300
ALLOTMENT_US = 150.0
"""What a hold may add at the 99th percentile, for requests of up to 100 kB."""

PEPPER = bytes(32)
KEY = Key(id="bench", mac="", tenant="bench", team="letters")
CONFIGURATION = """
[[deployments]]
name = "fast"
provider = "vllm"
model = "fast"
base_url = "http://127.0.0.1:9/v1"
price = { currency = "USD", rates = { input_uncached = "0.5", cache_read = "0.1", output_text = "2" } }
"""
BUDGETS = (
    Budget(name="all", limit=1 << 60, unit="USD", window=Window("month", time_zone="Europe/Berlin")),
    Budget(
        name="team", limit=1 << 60, unit="USD", window=Window("day"), per=("team",), notify_permille=(800,)
    ),
    Budget(name="feature", limit=1 << 60, unit="tokens", window=Window("rolling", 86_400), per=("feature",)),
    Budget(name="key", limit=1 << 60, unit="calls", window=Window("fixed", 3_600), per=("key",)),
)
SETTLED = Settled(
    status="ok",
    http=200,
    usage=Usage(input_uncached=200, cache_read=0, output_text=120),
    usage_source="provider",
    cost_nano=340_000,
    cost_source="price",
)


@dataclass(frozen=True, slots=True)
class Held:
    """Microseconds of CPU for one size of request, by quantile, without budgets and with four of them."""

    label: str
    without_us: tuple[float, float]
    with_us: tuple[float, float]

    @property
    def added_p50_us(self) -> float:
        """What budgets add to the median call."""
        return self.with_us[0] - self.without_us[0]

    @property
    def added_p99_us(self) -> float:
        """What budgets add at the 99th percentile."""
        return self.with_us[1] - self.without_us[1]


class Desk:
    """What a call passes on its way to a provider and back, as a gateway wires it."""

    def __init__(self, state: State, budgets: Sequence[Budget]) -> None:
        clock = Clock()
        self._state = replace(state, budgets=tuple(budgets))
        held = Budgets(clock, on_crossed=lambda _standing, _permille: None)
        held.configure(budgets, (), lambda _base, _quote: None)
        fleet = Fleet(clock, Policies(), on_breaker=lambda _name, _event: None)
        calibrations = Calibrations()
        self._planner = Planner(Pseudonyms(PEPPER), calibrations, Features(), fleet, Conversations())
        self._funding = Funding(self._planner, held, OutputLimits(), ExactTokens())

    async def call(self, number: int, body: bytes) -> int:
        """Take one call from its request to its last record; give the nanoseconds of CPU it took."""
        at_us = time.time_ns() // 1000
        call = Call(
            id=f"call-{number}",
            surface="chat",
            key=KEY,
            headers=[],
            query=b"",
            body=body,
            at_us=at_us,
            started_s=0.0,
        )
        began_ns = time.thread_time_ns()
        asked = self._planner.read(call, CODECS["chat"])
        plan = self._funding.cheaper(self._planner.plan(asked, self._state))
        outbound = plan.outbounds[0]
        funded = await self._funding.fund(plan, outbound, elapsed_us=0)
        encode(
            Begin(
                seq=number,
                at=at_us,
                id=call.id,
                snapshot=1,
                surface=call.surface,
                who=asked.who,
                model_asked="fast",
                target=outbound.target,
                hold=funded.hold,
                measured=plan.measured,
                decisions=plan.decisions,
            )
        )
        last = self._funding.settle(plan, outbound, funded, SETTLED)
        encode(End(seq=number, at=at_us, id=call.id, outcome="ok", last=last))
        return time.thread_time_ns() - began_ns


def state() -> State:
    """One priced deployment, as a snapshot has it."""
    catalog = load_catalog()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "tidegate.toml"
        path.write_text(CONFIGURATION)
        settings = load(path)
    deployments, _ = survey(settings, catalog)
    prices = price_section(settings, catalog)
    snapshot = Snapshot(version=1, made_at_us=0, deployments=deployments, prices=prices)
    return state_of(snapshot, catalog, PEPPER, {})


async def measure(body: Body, calls: int = CALLS) -> Held:
    """Time calls of one body without budgets and with them, one after the other."""
    made = state()
    desks = (Desk(made, ()), Desk(made, BUDGETS))
    took_ns: tuple[list[int], list[int]] = ([], [])
    for number in range(WARM_UP):
        for desk in desks:
            await desk.call(number, body.raw)
    gc.collect()
    gc.freeze()
    try:
        for number in range(calls):
            for desk, into in zip(desks, took_ns, strict=True):
                into.append(await desk.call(number, body.raw))
    finally:
        gc.unfreeze()
    return Held(body.label, *(quantiles_us(values) for values in took_ns))


async def figures(body: Body) -> Figures:
    """The same as figures of a run."""
    found = await measure(body)
    return {
        "with_p50_us": found.with_us[0],
        "added_p50_us": found.added_p50_us,
        "added_p99_us": found.added_p99_us,
    }


def quantiles_us(values_ns: Sequence[int]) -> tuple[float, float]:
    """The median and the 99th percentile, in microseconds."""
    ordered = sorted(values_ns)
    at = math.ceil(0.99 * len(ordered)) - 1
    return ordered[len(ordered) // 2] / 1000, ordered[at] / 1000


def sizes() -> tuple[Body, ...]:
    """The bodies that are measured: up to 100 kB."""
    return bodies.small("fast"), bodies.large("fast"), bodies.largest("fast")


def lines(found: Sequence[Held]) -> list[str]:
    """A line a size: what is added, of what, and how it is reckoned."""
    return [
        f"hold, {one.label}: p50 {one.with_us[0]:.1f} - {one.without_us[0]:.1f} = {one.added_p50_us:.1f} us "
        f"({one.with_us[0] / one.without_us[0]:.2f} times the call without), p99 {one.with_us[1]:.1f} - "
        f"{one.without_us[1]:.1f} = {one.added_p99_us:.1f} us (at most {ALLOTMENT_US:g})"
        for one in found
    ]


@click.command()
@click.option("--calls", default=CALLS, show_default=True, type=click.IntRange(100, 1_000_000))
def main(*, calls: int) -> None:
    """Print what four budgets add to a call; ends with status 1 where it is more than is allotted."""
    found = [asyncio.run(measure(body, calls)) for body in sizes()]
    print("\n".join(lines(found)))
    if any(one.added_p99_us > ALLOTMENT_US for one in found):
        sys.exit(1)


if __name__ == "__main__":
    main()
