"""Answers under limits of ours: how long they got, how many such a limit cut, and which one cut none."""

from dataclasses import dataclass

from tidegate.control.period import Period
from tidegate.model.usage import OUTPUT_BUCKETS
from tidegate.stores.sqlite.store import Store, Value

CUT = '%"cut_by_our_limit"%'
"""How a flag stands in an attempt's list of them (`exchange/funding.py`)."""

_OUTPUT = " + ".join(f"COALESCE(a.{bucket}, 0)" for bucket in OUTPUT_BUCKETS)
_SQL = f"""SELECT COALESCE(r.feature, ''), COALESCE(a.model, ''), a.hold_output_tokens, COUNT(*),
SUM(COALESCE(a.flags, '') LIKE :cut), MAX({_OUTPUT})
FROM request r JOIN attempt a ON a.request_id = r.id AND a.n = r.last_attempt
WHERE r.at_us >= :since AND r.at_us < :until AND r.limit_source IN ('learned', 'default', 'budget')
AND a.status = 'ok' AND (:tenant IS NULL OR r.tenant = :tenant)
GROUP BY r.feature, a.model, a.hold_output_tokens ORDER BY r.feature, a.model, a.hold_output_tokens"""  # noqa: S608
"""What is held for an answer is what it was limited to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limited:
    """The answers of one feature by one model, in tokens.

    `largest_cut` is the largest limit that cut one, `enough` the smallest one beyond it that cut none; None
    where there is none such.
    """

    feature: str
    model: str
    answers: int
    cut: int
    longest: int
    largest: int
    largest_cut: int | None
    enough: int | None


def limited(store: Store, *, period: Period, tenant: str | None = None) -> list[Limited]:
    """Return what limits did, by feature and model, the most cut answers first."""
    values: dict[str, Value] = {
        "cut": CUT,
        "since": period.since_us,
        "until": period.until_us,
        "tenant": tenant,
    }
    by_place: dict[tuple[str, str], list[tuple[int, int, int, int]]] = {}
    for feature, model, limit, answers, cut, longest in store.rows_named(_SQL, values):
        facts = (int(str(limit)), int(str(answers)), int(str(cut)), int(str(longest)))
        by_place.setdefault((str(feature), str(model)), []).append(facts)
    found = [_of(feature, model, rows) for (feature, model), rows in by_place.items()]
    return sorted(found, key=lambda one: (-one.cut, -one.answers, one.feature, one.model))


def _of(feature: str, model: str, rows: list[tuple[int, int, int, int]]) -> Limited:
    """Sum up the limits of one place; `rows` are (limit, answers, cut, longest) by rising limit."""
    largest_cut = max((limit for limit, _, cut, _ in rows if cut), default=None)
    beyond = [limit for limit, *_ in rows if largest_cut is None or limit > largest_cut]
    return Limited(
        feature=feature,
        model=model,
        answers=sum(answers for _, answers, _, _ in rows),
        cut=sum(cut for _, _, cut, _ in rows),
        longest=max(longest for *_, longest in rows),
        largest=rows[-1][0],
        largest_cut=largest_cut,
        enough=min(beyond, default=None),
    )
