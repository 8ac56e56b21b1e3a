"""Charges as the FinOps Open Cost and Usage Specification has them: FOCUS 1.2, dataset Cost and Usage.

Source: `specification/columns/` of the repository FinOps-Open-Cost-and-Usage-Spec/FOCUS_Spec, read in
November 2026. All columns that 1.2 makes mandatory are here, and of the others those that we know something
for; ours begin with `x_`. A row is one day (UTC), one owner, one price and one kind of unit. What is billed
in the rows adds up to what was billed, to the nano-unit.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from typing import Final

import msgspec

from tidegate.control.cells import FEE, Cell, cell_of, list_rates, rounded, shared_out, worth
from tidegate.control.period import Period, zone_of
from tidegate.control.report import card_contents, stretches
from tidegate.model.money import shown
from tidegate.model.price import PriceCard
from tidegate.model.usage import BUCKETS
from tidegate.stores.sqlite import queries
from tidegate.stores.sqlite.period_queries import FOCUS_FIELDS, PeriodQueries
from tidegate.stores.sqlite.store import Store

COLUMNS: Final = (
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency"),
    *("BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription"),
    *("ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit"),
    *("ContractedCost", "ContractedUnitPrice", "EffectiveCost", "InvoiceIssuerName", "ListCost"),
    *("ListUnitPrice", "PricingCategory", "PricingQuantity", "PricingUnit", "ProviderName"),
    *("PublisherName", "RegionId", "RegionName", "ServiceCategory", "ServiceName"),
    *("ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceId", "SubAccountId", "SubAccountName"),
    *("SubAccountType", "Tags", "x_CostSource", "x_Model", "x_PriceId", "x_Attempts"),
)

Charge = dict[str, str]
"""A row by its columns; a text that is empty is null."""


@dataclass(frozen=True, slots=True)
class Owned:
    """Billed attempts and whose they are, by `FOCUS_FIELDS`."""

    owner: Mapping[str, str]
    cell: Cell
    source: str


@dataclass(frozen=True, slots=True)
class Billed:
    """All that was billed in a period, its cards, and how many attempts have a cost that nobody knows."""

    charges: tuple[Owned, ...]
    cards: Mapping[str, PriceCard]
    left_out: int


def billed(store: Store, period: Period, tenant: str | None = None) -> Billed:
    """Return what was billed for calls that began in `period`, by UTC days."""
    days = Period(period.since_us, period.until_us, zone_of("UTC"))
    found = []
    with store.transaction():
        asked = PeriodQueries(store, (), tenant)
        names = queries.feature_names(store)
        turns = sorted({since for named in names.values() for since, _ in named})
        for day, since_us, until_us in stretches(store, days, turns):
            for whose, kind, sums in asked.focus(since_us, until_us):
                owner = dict(zip(FOCUS_FIELDS, map(str, whose), strict=True))
                for from_us, name in names.get((owner["tenant"], owner["feature"]), ()):
                    if from_us <= since_us:
                        owner["feature"] = name
                found.append(Owned(owner, cell_of(day, kind, sums), str(kind[-1])))
        left_out = asked.left_out(period.since_us, period.until_us)
        return Billed(tuple(found), card_contents(store), left_out)


def charges(owned: Iterable[Owned], cards: Mapping[str, PriceCard]) -> Iterator[Charge]:
    """Yield the rows: usage by kind of unit, and what a provider stated below (Credit) or above its list."""
    for one in owned:
        yield from _rows(one, cards.get(one.cell.price_id))


def _rows(one: Owned, card: PriceCard | None) -> Iterator[Charge]:
    cell = one.cell
    rates = None if card is None or card.currency != cell.currency else list_rates(card)
    at_list = rounded(worth(cell.units, rates)) if rates else cell.cost_nano
    usage = at_list if cell.stated else cell.cost_nano
    weights = [
        count * rate if rates and at_list else Fraction(count)
        for count, rate in zip(cell.units, rates or [Fraction(0)] * len(cell.units), strict=True)
    ]
    if not (rates and at_list) and any(cell.tokens):
        weights[FEE] = Fraction(0)
    shares = shared_out(usage, weights)
    for at, (count, share) in enumerate(zip(cell.units, shares, strict=True)):
        if share or (count and weights[at]):
            yield _usage(one, card if rates else None, at, share)
    if usage != cell.cost_nano:
        yield _credit(one, cell.cost_nano - usage)


def _usage(one: Owned, card: PriceCard | None, at: int, nano: int) -> Charge:
    count = one.cell.units[at]
    name = "request" if at == FEE else BUCKETS[at]
    unit = {"request": "Requests", "searches": "Searches"}.get(name, "Tokens")
    row = _common(one, nano) | {
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "ChargeDescription": f"{one.cell.model}: {name.replace('_', ' ')}",
        "ConsumedQuantity": str(count),
        "ConsumedUnit": unit,
        "PricingQuantity": str(count),
        "PricingUnit": unit,
        "PricingCategory": "Standard",
        "SkuId": f"{one.cell.provider}/{one.cell.model}/{name}",
        "SkuMeter": name,
        "SkuPriceId": f"{one.cell.provider}/{one.cell.model}/{name}",
    }
    if card is not None:
        rate = list_rates(card)[at]
        price, cost = _decimal(rate), _decimal(count * rate)
        row |= {"ContractedCost": cost, "ContractedUnitPrice": price}
        row |= {} if card.override else {"ListCost": cost, "ListUnitPrice": price}
        row |= {"SkuPriceId": _sku_price(one.cell, card, name)}
    return row


def _sku_price(cell: Cell, card: PriceCard, name: str) -> str:
    """Return what names a price without its amount or dates, so that it stays the same when those change."""
    conditions = [card.processing, card.region, f"over-{card.input_over}" if card.input_over else ""]
    return "/".join((cell.provider, cell.model, name, *filter(None, conditions)))


def _credit(one: Owned, nano: int) -> Charge:
    below = nano < 0
    return _common(one, nano) | {
        "ChargeCategory": "Credit" if below else "Adjustment",
        "ChargeFrequency": "Usage-Based",
        "ChargeDescription": f"{one.cell.model}: stated {'below' if below else 'above'} the price list",
    }


def _common(one: Owned, nano: int) -> Charge:
    """Return what every row has. Without unit prices all four costs are what was billed."""
    cell, owner = one.cell, one.owner
    start = datetime.combine(cell.day, time(), UTC)
    month = start.replace(day=1)
    tags = {name: owner[name] for name in ("feature", "team", "project", "customer", "environment", "key")}
    row = dict.fromkeys(COLUMNS, "")
    row |= {
        "BilledCost": shown(nano),
        "EffectiveCost": shown(nano),
        "ContractedCost": shown(nano),
        "ListCost": shown(nano),
        "BillingAccountId": cell.provider,
        "BillingAccountName": cell.provider,
        "BillingAccountType": "Provider account",
        "BillingCurrency": cell.currency,
        "BillingPeriodStart": _moment(month),
        "BillingPeriodEnd": _moment((month + timedelta(days=32)).replace(day=1)),
        "ChargePeriodStart": _moment(start),
        "ChargePeriodEnd": _moment(start + timedelta(days=1)),
        "InvoiceIssuerName": cell.provider,
        "ProviderName": cell.provider,
        "PublisherName": cell.provider,
        "RegionId": owner["region"],
        "RegionName": owner["region"],
        "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI",
        "ServiceName": f"{cell.provider} inference",
        "SubAccountId": owner["tenant"],
        "SubAccountName": owner["tenant"],
        "SubAccountType": "Tenant",
        "Tags": msgspec.json.encode({name: value for name, value in tags.items() if value}).decode(),
        "x_CostSource": one.source,
        "x_Model": cell.model,
        "x_PriceId": cell.price_id,
        "x_Attempts": str(cell.attempts),
    }
    return row


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _decimal(nano: Fraction) -> str:
    """Return nano-units as an exact decimal of whole units; prices have no other denominators than tens."""
    number, places = nano / 10**9, 0
    while number.denominator != 1:
        number, places = number * 10, places + 1
    digits = str(number.numerator).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}" if places else digits
