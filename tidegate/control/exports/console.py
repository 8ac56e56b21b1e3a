"""The tables that OpenAI's and Anthropic's consoles let one save: CSV, told apart by its headings.

Neither provider describes them. The headings are those of files that users showed in 2025 and 2026: OpenAI's
cost and activity exports, Anthropic's cost and usage exports. Columns may stand in any order, and further
ones are left alone; a table without those that are needed is refused.
"""

from collections.abc import Callable
from datetime import date
from zoneinfo import ZoneInfo

from tidegate.control.exports import anthropic_usage, openai_costs, openai_usage
from tidegate.control.exports.export import Export, Kind, Line, Provider
from tidegate.control.exports.pages import Repeats
from tidegate.control.exports.table import Row, Span, Table
from tidegate.model.errors import BadRequest
from tidegate.model.money import is_currency

_UTC = ZoneInfo("UTC")
_OPENAI_PARTS = (
    "input_cached_tokens",
    "input_cache_write_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
)
_ANTHROPIC_TOKENS: dict[Kind, str] = {
    "input": "usage_input_tokens_no_cache",
    "cache_read": "usage_input_tokens_cache_read",
    "cache_write_5m": "usage_input_tokens_cache_write_5m",
    "cache_write_1h": "usage_input_tokens_cache_write_1h",
    "output": "usage_output_tokens",
}


def read(provider: Provider, file: str, text: str, repeats: Repeats) -> Export:
    """Return the table. Raises BadRequest with the number of the line and the column at fault."""
    table = Table(file, text)
    for needed, also, reader in _FORMS[provider]:
        if all(table.find(name, name) for name in needed):
            for name in also:
                table.find(name, name)
            repeats.check_table(file, text)
            return reader(table)
    wanted = ", or ".join(", ".join(needed) for needed, _, _ in _FORMS[provider])
    raise BadRequest(
        f"{file} is neither JSON nor a table of this provider's console, which has the columns {wanted}; "
        "`tidegate reconcile csv` reads any other"
    )


def _openai_costs(table: Table) -> Export:
    spans: dict[Span, None] = {}
    lines, currencies = [], set()
    for row in table.rows():
        spans[span := _bucket(row)] = None
        if not row.text("amount_value"):
            continue
        currency = row.text("amount_currency").upper() or "USD"
        if not is_currency(currency):
            raise row.wrong("amount_currency", "no currency")
        currencies.add(currency)
        if len(currencies) > 1:
            raise row.wrong("amount_currency", "another than above; one currency at a time")
        lines.append(
            Line(
                since_us=span[0],
                until_us=span[1],
                model=openai_costs.model_of(row.name("line_item")),
                ids=row.names("api_key_id", "project_id"),
                nano=row.nano("amount_value"),
            )
        )
    return Export(lines=tuple(lines), spans=tuple(spans), currency="".join(currencies) or "USD")


def _openai_usage(table: Table) -> Export:
    spans: dict[Span, None] = {}
    lines = []
    for row in table.rows():
        spans[span := _bucket(row)] = None
        if not row.text("num_model_requests"):
            continue
        used = openai_usage.Used(
            input_tokens=row.count("input_tokens"),
            num_model_requests=row.count("num_model_requests"),
            object=openai_usage.OBJECTS[0],
            output_tokens=row.count("output_tokens"),
            model=row.name("model"),
            api_key_id=row.name("api_key_id"),
            project_id=row.name("project_id"),
            **{name: row.count(name) for name in _OPENAI_PARTS if row.text(name)},
        )
        try:
            lines.append(openai_usage.line(span, used))
        except ValueError as error:
            raise row.error(str(error)) from None
    return Export(
        lines=tuple(lines),
        spans=tuple(spans),
        kinds=openai_usage.TOLD,
        surfaces=openai_usage.COMPLETIONS,
    )


def _bucket(row: Row) -> Span:
    return row.count("start_time") * openai_usage.SECOND_US, row.count("end_time") * openai_usage.SECOND_US


def _anthropic_costs(table: Table) -> Export:
    """Return the export. `Claude Haiku 4.5` is `claude-haiku-4-5`; what has no model goes by its type."""
    rows, days = _by_day(table)
    lines = (
        Line(
            since_us=days[day][0],
            until_us=days[day][1],
            model=row.name("model").replace(" ", "-").replace(".", "-") or row.name("cost_type"),
            ids=_anthropic_ids(row),
            nano=row.nano("cost_usd"),
        )
        for day, row in rows
    )
    return Export(lines=tuple(lines), spans=tuple(days.values()), currency="USD")


def _anthropic_usage(table: Table) -> Export:
    rows, days = _by_day(table)
    lines = (
        Line(
            since_us=days[day][0],
            until_us=days[day][1],
            model=row.name("model_version"),
            ids=_anthropic_ids(row),
            tokens={kind: row.count(name) for kind, name in _ANTHROPIC_TOKENS.items()},
        )
        for day, row in rows
    )
    return Export(
        lines=tuple(lines),
        spans=tuple(days.values()),
        kinds=anthropic_usage.TOLD,
        surfaces=anthropic_usage.SURFACES,
    )


def _by_day(table: Table) -> tuple[list[tuple[date, Row]], dict[date, Span]]:
    """Return the rows with their days, and all days from the first to the last."""
    rows = [(row.day("usage_date_utc", _UTC), row) for row in table.rows()]
    return rows, table.days({day for day, _ in rows}, _UTC)


def _anthropic_ids(row: Row) -> tuple[str, ...]:
    """Return the id of the key where there is one, and the names of key and workspace."""
    return row.names("api_key_id", "api_key", "workspace")


_Form = tuple[tuple[str, ...], tuple[str, ...], Callable[[Table], Export]]
_FORMS: dict[Provider, tuple[_Form, ...]] = {
    "openai": (
        (
            ("start_time", "end_time", "amount_value"),
            ("amount_currency", "line_item", "api_key_id", "project_id"),
            _openai_costs,
        ),
        (
            ("start_time", "end_time", "num_model_requests", "input_tokens", "output_tokens"),
            ("model", "api_key_id", "project_id", *_OPENAI_PARTS),
            _openai_usage,
        ),
    ),
    "anthropic": (
        (
            ("usage_date_utc", "cost_usd"),
            ("model", "cost_type", "api_key_id", "api_key", "workspace"),
            _anthropic_costs,
        ),
        (
            ("usage_date_utc", *_ANTHROPIC_TOKENS.values()),
            ("model_version", "api_key_id", "api_key", "workspace"),
            _anthropic_usage,
        ),
    ),
}
"""By what is needed, what is read too, and who reads it."""
