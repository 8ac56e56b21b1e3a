"""What a row of `[[budgets]]` may say. `docs/reference/configuration.md` explains each field."""

from typing import Annotated, Literal

import msgspec

from tidegate.model.budget import Dimension, Mode

Label = Annotated[str, msgspec.Meta(extra={"kind": "label"})]
Labels = Annotated[tuple[Label, ...], msgspec.Meta(extra={"kind": "one or more"})]
"""A list of names, or one name alone."""

Unit = Annotated[str, msgspec.Meta(extra={"kind": "unit"})]
"""A currency's code, `tokens` or `calls`."""

YEAR_S = 31_536_000
LEAST_ROLLING_S = 20
"""So that each of the slices in which it is counted lasts a second."""


class BudgetRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much calls may spend within a time: exactly one of `window`, `every_s` and `rolling_s` is set.

    An empty `time_zone` is the report's. Values of `customer` and `user` in `match` are plain names. Shares
    are of the limit: `degrade_at` and `notify_at`.
    """

    name: Label
    limit: Annotated[str, msgspec.Meta(extra={"kind": "decimal"})]
    unit: Unit
    window: Literal["day", "week", "month", "year", "total"] | None = None
    every_s: Annotated[int, msgspec.Meta(ge=1, le=YEAR_S)] | None = None
    rolling_s: Annotated[int, msgspec.Meta(ge=LEAST_ROLLING_S, le=YEAR_S)] | None = None
    time_zone: str = ""
    match: dict[Dimension, Labels] = {}
    per: tuple[Dimension, ...] = ()
    mode: Mode = "hard"
    degrade_at: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.8
    degrade_to: Annotated[str, msgspec.Meta(extra={"kind": "name"})] | None = None
    notify_at: tuple[Annotated[float, msgspec.Meta(gt=0, le=10)], ...] = (0.5, 0.8, 1.0)
