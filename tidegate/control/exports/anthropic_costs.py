"""Anthropic's costs: `GET /v1/organizations/cost_report`, by day; with `group_by[]=description` by model.

Source: Anthropic's reference of the Admin API, "Get Cost Report" (platform.claude.com/docs, read in November
2026). An amount is a decimal as text in the lowest unit of its currency: "123.45" in USD is 1.2345 dollars.
Costs of the priority tier are not in it.
"""

from decimal import Decimal

import msgspec

from tidegate.control.exports.anthropic_usage import Moment
from tidegate.control.exports.export import Export, Line, Name, nano_of
from tidegate.control.exports.pages import Repeats, Saved, moment_us
from tidegate.model.money import is_currency

CENTS = 100


class _Result(msgspec.Struct, frozen=True):
    amount: Decimal
    currency: str = "USD"
    model: Name | None = None
    description: Name | None = None
    cost_type: Name | None = None
    workspace_id: Name | None = None


class _Bucket(msgspec.Struct, frozen=True):
    starting_at: Moment
    ending_at: Moment
    results: list[_Result]


class _Page(msgspec.Struct, frozen=True):
    data: list[_Bucket]
    has_more: bool = False


def read(saved: Saved, repeats: Repeats) -> Export:
    """Return one page. Raises BadRequest with the path of what is wrong."""
    page = saved.decoded(_Page)
    lines, spans, currencies = [], [], set()
    for at, bucket in enumerate(page.data):
        span = (moment_us(bucket.starting_at), moment_us(bucket.ending_at))
        spans.append(span)
        repeats.check(saved.place, at, *span, bucket.results)
        for n, result in enumerate(bucket.results):
            path = f"$.data[{at}].results[{n}]"
            try:
                nano = nano_of(result.amount, divisor=CENTS)
            except ValueError as error:
                raise saved.place.error(f"{str(result.amount)[:40]} {error}", f"{path}.amount") from None
            currency = result.currency.upper()
            if not is_currency(currency):
                raise saved.place.error(f"{currency[:20]!r} is no currency", f"{path}.currency")
            currencies.add(currency)
            lines.append(
                Line(
                    since_us=span[0],
                    until_us=span[1],
                    model=result.model or result.description or result.cost_type or "",
                    ids=() if result.workspace_id is None else (result.workspace_id,),
                    nano=nano,
                )
            )
    if len(currencies) > 1:
        raise saved.place.error(f"amounts in {' and '.join(sorted(currencies))}; one currency at a time")
    return Export(
        lines=tuple(lines), spans=tuple(spans), currency="".join(currencies) or "USD", more=page.has_more
    )
