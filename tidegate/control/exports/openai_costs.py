"""OpenAI's costs: `GET /v1/organization/costs`, by day; with `group_by=line_item` by model and kind of token.

Source: the types of the `openai` package 3.54 (`types/admin/organization/usage_costs_response.py`), made from
OpenAI's own description of its API. An amount is in whole units of its currency, a JSON number by that
description and a decimal as text in answers that users saw (steipete/CodexBar issue 999, May 2026); either is
read digit by digit. How a line item is written OpenAI does not say; forms that users saw in 2026 are in
`model_of`.
"""

import re
from decimal import Decimal

import msgspec

from tidegate.control.exports.export import Export, Line, Name, nano_of
from tidegate.control.exports.openai_usage import SECOND_US, Time
from tidegate.control.exports.pages import Repeats, Saved
from tidegate.model.money import is_currency

OBJECT = "organization.costs.result"
_MODEL = re.compile(r"(?:[a-z]+ \| )?(.+?)(?: (?:text|image|audio))?, .+")


class _Amount(msgspec.Struct, frozen=True):
    value: Decimal | None = None
    currency: str | None = None


class _Result(msgspec.Struct, frozen=True):
    amount: _Amount | None = None
    line_item: Name | None = None
    project_id: Name | None = None
    api_key_id: Name | None = None


class _Bucket(msgspec.Struct, frozen=True):
    start_time: Time
    end_time: Time
    results: list[_Result]


class _Page(msgspec.Struct, frozen=True):
    data: list[_Bucket]
    has_more: bool = False


def model_of(line_item: str) -> str:
    """Return the model that a line item begins with, else all of it (`web search tool calls`).

    `gpt-5.4-2026-03-05, cached input`, `priority | gpt-5.4, input, long context`, `gpt-image-2 text, output`.
    """
    found = _MODEL.fullmatch(line_item)
    return line_item if found is None else found[1]


def read(saved: Saved, repeats: Repeats) -> Export:
    """Return one page. Raises BadRequest with the path of what is wrong."""
    page = saved.decoded(_Page)
    lines, spans, currencies = [], [], set()
    for at, bucket in enumerate(page.data):
        span = (bucket.start_time * SECOND_US, bucket.end_time * SECOND_US)
        spans.append(span)
        repeats.check(saved.place, at, *span, bucket.results)
        for n, result in enumerate(bucket.results):
            path = f"$.data[{at}].results[{n}].amount"
            amount = result.amount or _Amount()
            if amount.value is None:
                continue
            currency = (amount.currency or "usd").upper()
            try:
                nano = nano_of(amount.value)
            except ValueError as error:
                raise saved.place.error(f"{str(amount.value)[:40]} {error}", f"{path}.value") from None
            if not is_currency(currency):
                raise saved.place.error(f"{currency[:20]!r} is no currency", f"{path}.currency")
            currencies.add(currency)
            lines.append(
                Line(
                    since_us=span[0],
                    until_us=span[1],
                    model=model_of(result.line_item or ""),
                    ids=tuple(one for one in (result.api_key_id, result.project_id) if one),
                    nano=nano,
                )
            )
    if len(currencies) > 1:
        raise saved.place.error(f"amounts in {' and '.join(sorted(currencies))}; one currency at a time")
    return Export(
        lines=tuple(lines), spans=tuple(spans), currency="".join(currencies) or "USD", more=page.has_more
    )
