"""What alerts look for in the tables. Each query reads a bounded number of rows, by an index."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from tidegate.stores.sqlite.store import Store, Value

MOST_NOTES = 5_000
MOST_CALLS = 5_000
MOST_THRESHOLDS = 10_000
"""Of one budget in the windows that count."""

_LIVE = """SELECT boot FROM journal_position WHERE source = 'gateway' AND finished = 0"""
_NOTES = """SELECT boot, seq, at_us, facts FROM note WHERE kind = ? AND at_us >= ?
ORDER BY at_us DESC, boot DESC, seq DESC LIMIT ?"""
_WELL = """SELECT a.deployment, MAX(a.at_us) FROM
(SELECT id FROM request WHERE at_us >= ? ORDER BY at_us DESC LIMIT ?) r
JOIN attempt a ON a.request_id = r.id WHERE a.status = 'ok' GROUP BY a.deployment"""
_UNPRICED = """SELECT provider, model, COUNT(*), MAX(at_us) FROM
(SELECT provider, model, at_us FROM attempt INDEXED BY attempt_unpriced
WHERE cost_source = 'unpriced' AND at_us >= ? ORDER BY at_us DESC LIMIT ?) GROUP BY provider, model"""
_REFUSED = """SELECT model_asked, COUNT(*), MAX(at_us) FROM
(SELECT model_asked, at_us FROM request INDEXED BY request_price_unknown
WHERE error_code = 'price_unknown' AND at_us >= ? ORDER BY at_us DESC LIMIT ?) GROUP BY model_asked"""
_SPENT = """SELECT r.tenant, r.team, a.currency, a.fx_id, SUM(a.cost_nano)
FROM request r JOIN attempt a ON a.request_id = r.id
WHERE r.at_us >= ? AND r.at_us < ? AND a.cost_nano > 0 GROUP BY r.tenant, r.team, a.currency, a.fx_id"""
_THRESHOLDS = """SELECT boot, MAX(at_us), facts FROM
(SELECT boot, at_us, facts FROM note INDEXED BY note_budget WHERE kind = 'budget_threshold'
AND json_extract(facts, '$.budget') = ? AND at_us >= ? ORDER BY at_us LIMIT ?)
GROUP BY json_extract(facts, '$.account'), json_extract(facts, '$.window_us'),
json_extract(facts, '$.permille')"""
_BUDGET_SPENT = "SELECT SUM(spent) FROM budget_spent WHERE account = ? AND window_us >= ?"
_DRIFTED = """SELECT deployment, model, model_served, instr(flags, 'model_drift') > 0,
instr(flags, 'cost_drift') > 0, MAX(at_us) FROM
(SELECT deployment, model, model_served, flags, at_us FROM attempt INDEXED BY attempt_drift
WHERE instr(flags, '_drift"') > 0 AND at_us >= ? ORDER BY at_us DESC LIMIT ?) GROUP BY 1, 2, 3, 4, 5"""
_KEYS = "SELECT tenant, name, team FROM virtual_key WHERE id = ?"


class Noted(NamedTuple):
    """One note of a gateway."""

    boot: str
    at_us: int
    facts: dict[str, str | int]


class Called(NamedTuple):
    """Calls of one model: how many, and when the last began."""

    model: str
    calls: int
    last_us: int


class Drifted(NamedTuple):
    """Answers of one deployment that were not as expected: of another model, or at another cost."""

    deployment: str
    model: str
    served: str
    by_model: bool
    by_cost: bool


class Sum(NamedTuple):
    """What one team of one tenant spent, of one currency at one rate."""

    tenant: str
    team: str
    currency: str
    fx_id: str
    nano: int


def live_boots(store: Store) -> set[str]:
    """Return the gateways that run, as far as the journals are read."""
    return {str(boot) for (boot,) in store.rows(_LIVE)}


def notes(store: Store, kind: str, since_us: int) -> Iterator[Noted]:
    """Yield the notes of a kind since a moment, newest first, `MOST_NOTES` at most."""
    for boot, _seq, at_us, facts in store.rows(_NOTES, (kind, since_us, MOST_NOTES)):
        yield Noted(str(boot), _whole(at_us), _facts(facts))


def last_well(store: Store, since_us: int) -> dict[str, int]:
    """Return when each deployment last began an attempt that ended well, of the last `MOST_CALLS` calls."""
    return {str(name): _whole(at_us) for name, at_us in store.rows(_WELL, (since_us, MOST_CALLS))}


def unpriced(store: Store, since_us: int) -> list[Called]:
    """Return the models (`provider/model`) that were called though no price was known."""
    rows = store.rows(_UNPRICED, (since_us, MOST_CALLS))
    return [Called(f"{place!s}/{model!s}", _whole(calls), _whole(at)) for place, model, calls, at in rows]


def refused_unpriced(store: Store, since_us: int) -> list[Called]:
    """Return the models, as clients asked for them, whose calls were refused because no price was known."""
    rows = store.rows(_REFUSED, (since_us, MOST_CALLS))
    return [Called(str(model or ""), _whole(calls), _whole(at)) for model, calls, at in rows]


def spent(store: Store, since_us: int, until_us: int) -> list[Sum]:
    """Return what calls that began in a stretch cost, by tenant and team. Reads all of its calls."""
    return [
        Sum(str(tenant or ""), str(team or ""), str(currency or ""), str(fx_id or ""), _whole(nano))
        for tenant, team, currency, fx_id, nano in store.rows(_SPENT, (since_us, until_us))
    ]


def thresholds(store: Store, budget: str, since_us: int, *, most: int = MOST_THRESHOLDS) -> Iterator[Noted]:
    """Yield what gateways noted since a moment of shares of a budget's limit, once for each window's share.

    Those that were noted first are read, so that what stands keeps its place among very many.
    """
    for boot, at_us, facts in store.rows(_THRESHOLDS, (budget, since_us, most)):
        yield Noted(str(boot), _whole(at_us), _facts(facts))


def budget_spent(store: Store, account: str, since_us: int) -> int:
    """Return what an account was charged in the windows that began at a moment or later."""
    for (spent,) in store.rows(_BUDGET_SPENT, (account, since_us)):
        return int(spent) if isinstance(spent, int | float) else 0
    return 0


def drifted(store: Store, since_us: int) -> list[Drifted]:
    """Return which deployments answered with another model than asked for, or at another cost than ours."""
    rows = store.rows(_DRIFTED, (since_us, MOST_CALLS))
    return [
        Drifted(str(place or ""), str(model or ""), str(served or ""), bool(by_model), bool(by_cost))
        for place, model, served, by_model, by_cost, _ in rows
    ]


def first_call_us(store: Store) -> int | None:
    """Return when the first call began; None where there is none."""
    for (at_us,) in store.rows("SELECT MIN(at_us) FROM request"):
        return at_us if isinstance(at_us, int) else None
    return None


def key_facts(store: Store, key_ids: Sequence[str]) -> dict[str, tuple[str, str, str]]:
    """Return (tenant, name, team) of virtual keys, by id."""
    found = {}
    for key_id in key_ids:
        for tenant, name, team in store.rows(_KEYS, (key_id,)):
            found[key_id] = (str(tenant or ""), str(name or ""), str(team or ""))
    return found


def _whole(value: Value) -> int:
    assert isinstance(value, int)
    return value


def _facts(value: Value) -> dict[str, str | int]:
    try:
        return msgspec.json.decode(str(value or "{}"), type=dict[str, str | int])
    except msgspec.DecodeError:
        return {}
