"""A sudden change of spending: this hour against the same hour of the past weeks, by tenant and team."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from tidegate.config.settings import Settings
from tidegate.control.alert_sources import HOUR_US, Source
from tidegate.control.figures import Rates
from tidegate.control.wording import plain
from tidegate.model.alert import Observation
from tidegate.model.money import nano_of, shown
from tidegate.stores.sqlite import alert_queries, queries
from tidegate.stores.sqlite.alert_queries import Sum
from tidegate.stores.sqlite.store import Store

WEEK_US = 168 * HOUR_US
WEEKS = 4
SLOT_US = 300_000_000
SETTLED_US = 600_000_000
"""A stretch that ended so long ago is read once: its calls are over and their cost is known, but for few."""
EVERY_US = 60_000_000

Who = tuple[str, str]
"""Tenant and team; an empty team is none."""
Stretch = tuple[int, int]


class SpendJumps:
    """Looks for jumps, and remembers sums of stretches that are over.

    A look reads the calls of the last 15 minutes at most; and, in an hour in which somebody spends more than
    the minimum, once those of the same hour of four past weeks. An hour's jump is told until that hour and
    the next have passed without one, so that the start of an hour ends nothing.
    """

    def __init__(self) -> None:
        self._read: dict[Stretch, list[Sum]] = {}
        self._used: set[Stretch] = set()

    def source(self) -> Source:
        """What alerts ask."""
        return Source(frozenset({"spend_jump"}), self.look, EVERY_US)

    def look(self, store: Store, settings: Settings, now_us: int) -> Iterator[Observation]:
        """Yield each team that spends suddenly more, in this hour or the one before."""
        alerts, currency = settings.alerts, settings.report.currency
        if not alerts.spend_jump_ratio:
            return
        first_us = alert_queries.first_call_us(store)
        hour_us = now_us // HOUR_US * HOUR_US
        rates = Rates(queries.rates(store), currency)
        self._used.clear()
        found: dict[Who, Observation] = {}
        for start_us, until_us in ((hour_us - HOUR_US, hour_us), (hour_us, now_us)):
            weeks = [start_us - week * WEEK_US for week in range(1, WEEKS + 1)]
            past = [week for week in weeks if first_us is not None and first_us <= week]
            if len(past) >= alerts.spend_jump_min_weeks:
                spent = self._recent(store, start_us, until_us, now_us, rates)
                found |= self._jumps(store, settings, spent, past, now_us, rates)
        self._read = {stretch: sums for stretch, sums in self._read.items() if stretch in self._used}
        yield from found.values()

    def _jumps(
        self,
        store: Store,
        settings: Settings,
        spent: dict[Who, int],
        past: list[int],
        now_us: int,
        rates: Rates,
    ) -> dict[Who, Observation]:
        least = max(1, nano_of(settings.alerts.spend_jump_min_amount))
        much = {who: nano for who, nano in spent.items() if nano >= least}
        if not much:
            return {}
        permille = round(settings.alerts.spend_jump_ratio * 1000)
        hours = [self._sums(store, (week, week + HOUR_US), now_us, rates) for week in past]
        found = {}
        for who, nano in much.items():
            usual = median([hour.get(who, 0) for hour in hours])
            if nano * 1000 > permille * usual:
                found[who] = _jump(who, nano, usual, rates.to, len(past))
        return found

    def _recent(
        self, store: Store, since_us: int, until_us: int, now_us: int, rates: Rates
    ) -> dict[Who, int]:
        total: dict[Who, int] = {}
        for start_us in range(since_us, until_us, SLOT_US):
            stretch = (start_us, min(start_us + SLOT_US, until_us))
            for who, nano in self._sums(store, stretch, now_us, rates).items():
                total[who] = total.get(who, 0) + nano
        return total

    def _sums(self, store: Store, stretch: Stretch, now_us: int, rates: Rates) -> dict[Who, int]:
        """What each spent in a stretch; amounts without an exchange rate are left out."""
        sums = self._read.get(stretch)
        if sums is None:
            sums = alert_queries.spent(store, *stretch)
            if stretch[1] <= now_us - SETTLED_US:
                self._read[stretch] = sums
        self._used.add(stretch)
        day = datetime.fromtimestamp(stretch[0] // 1_000_000, UTC).date()
        total: dict[Who, int] = {}
        for one in sums:
            nano = rates.converted(one.nano, one.currency, one.fx_id, day)
            who = (one.tenant, one.team)
            total[who] = total.get(who, 0) + (nano or 0)
        return total


def median(amounts: Sequence[int]) -> int:
    """The middle amount, or half of the middle two; rounded down."""
    ordered, count = sorted(amounts), len(amounts)
    return (ordered[(count - 1) // 2] + ordered[count // 2]) // 2


def _jump(who: Who, nano: int, usual: int, currency: str, weeks: int) -> Observation:
    tenant, team = plain(who[0]), plain(who[1])
    name = f"Team {team} of {tenant}" if team else f"Tenant {tenant}, without a team,"
    times = f", {nano * 10 // usual / 10:g} times the usual" if usual else ", usually nothing"
    return Observation(
        event="spend_jump",
        subject=f"{who[0]}/{who[1]}",
        text=(
            f"{name} spent {shown(nano, 2)} {currency} within an hour{times}"
            f" (median of the same hour of {weeks} past weeks: {shown(usual, 2)} {currency})."
        ),
        facts={
            "tenant": tenant,
            "amount": shown(nano),
            "usual": shown(usual),
            "currency": currency,
            "weeks": weeks,
        },
        team=who[1],
    )
