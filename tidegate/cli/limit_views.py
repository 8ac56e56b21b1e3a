"""`tidegate report --limits`: what output limits of ours did to answers."""

from typing import Final

from tidegate.cli.sheet import Column, Row, Sheet
from tidegate.cli.view import Asked, span, told
from tidegate.control.output_cuts import Limited, limited
from tidegate.control.report import NONE
from tidegate.stores.sqlite.store import Store


def limits(store: Store, asked: Asked) -> Sheet:
    """Return the answers that were given a limit by us, and those that it cut."""
    found = limited(store, period=asked.period, tenant=asked.tenant)
    below = [told(asked.period), "only calls whose client set no limit; tokens with those of reasoning"]
    unknown = sum(one.cut for one in found if one.enough is None)
    if unknown:
        below.append(
            f"of {unknown} cut answers nobody knows how long they would have got: "
            "no larger limit was sent yet; the next one is twice as large"
        )
    return Sheet(
        view="limits",
        columns=_COLUMNS,
        rows=[_row(one) for one in found],
        total={"answers": sum(one.answers for one in found), "cut": sum(one.cut for one in found)},
        currency=None,
        below=below,
        facts=span(asked.period),
    )


_COLUMNS: Final = (
    Column("feature", "FEATURE", "text"),
    Column("model", "MODEL", "text"),
    Column("answers", "ANSWERS", "count"),
    Column("cut", "CUT", "count"),
    Column("longest", "LONGEST", "tokens"),
    Column("largest", "LIMIT", "tokens"),
    Column("largest_cut", "CUT AT", "tokens"),
    Column("enough", "ENOUGH", "tokens"),
)


def _row(one: Limited) -> Row:
    return {
        "feature": one.feature or NONE,
        "model": one.model or NONE,
        "answers": one.answers,
        "cut": one.cut,
        "longest": one.longest,
        "largest": one.largest,
        "largest_cut": one.largest_cut,
        "enough": one.enough,
    }
