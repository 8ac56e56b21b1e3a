"""What our record says of a stretch of time, as a provider's export is compared with it.

An attempt belongs to the moment at which it began; one that was never sent, or refused, is not counted, since
no provider counts it.
"""

from collections.abc import Collection, Iterator

import msgspec

from tidegate.stores.sqlite.store import Row, Store, Value

LONGEST_CALL_US = 24 * 3_600_000_000
"""An attempt begins at most so long after its call."""

_BUCKETS = (
    *("input_uncached", "input_image", "input_audio", "cache_read", "cache_write_5m", "cache_write_1h"),
    *("output_text", "reasoning", "output_audio"),
)
_TOKENS = " + ".join(f"COALESCE(a.{bucket}, 0)" for bucket in _BUCKETS)
_SUMS = ", ".join(f"SUM(COALESCE(a.{bucket}, 0))" for bucket in _BUCKETS)
_HELD = "COALESCE(a.hold_input_tokens, 0) + COALESCE(a.hold_output_tokens, 0)"
_CLASS = """CASE WHEN a.cost_nano IS NULL THEN 'unpriced'
WHEN a.status = 'cancelled' OR r.outcome = 'cancelled' THEN 'cancelled'
WHEN a.cost_source IN ('estimated', 'ceiling') OR a.usage_source IN ('estimated', 'mixed')
  OR a.flags LIKE '%maybe_billed%' THEN 'estimated'
ELSE 'exact' END"""


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """Attempts of one model, deployment and kind, added up. `cls` says how sure their cost is.

    `room_nano` and `room_tokens` are how far their holds went above what they came to: what was estimated
    cannot have cost more than that.
    """

    deployment: str
    model: str
    model_served: str
    cls: str
    currency: str
    fx_id: str
    price_id: str
    running: int
    calls: int
    input_uncached: int
    input_image: int
    input_audio: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output_text: int
    reasoning: int
    output_audio: int
    nano: int
    room_nano: int
    room_tokens: int


_SELECT = f"""SELECT COALESCE(a.deployment, ''), COALESCE(a.model, ''), COALESCE(a.model_served, ''),
{_CLASS}, COALESCE(a.currency, ''), COALESCE(a.fx_id, ''), COALESCE(a.price_id, ''),
CASE WHEN a.status IS NULL THEN 1 ELSE 0 END, COUNT(*), {_SUMS}, SUM(COALESCE(a.cost_nano, 0)),
SUM(CASE WHEN a.hold_currency = a.currency AND a.hold_nano > a.cost_nano
  THEN a.hold_nano - a.cost_nano ELSE 0 END),
SUM(CASE WHEN {_HELD} > {_TOKENS} THEN {_HELD} - ({_TOKENS}) ELSE 0 END)
FROM request r JOIN attempt a ON a.request_id = r.id
WHERE r.at_us >= ? AND r.at_us < ? AND a.at_us >= ? AND a.at_us < ? AND COALESCE(a.cost_source, '') <> 'none'
"""  # noqa: S608
_GROUP = "GROUP BY 1, 2, 3, 4, 5, 6, 7, 8"


def recorded(
    store: Store,
    since_us: int,
    until_us: int,
    *,
    providers: Collection[str] = (),
    deployments: Collection[str] = (),
    surfaces: Collection[str] | None = None,
) -> Iterator[Recorded]:
    """Yield the attempts that began in a stretch: of these providers, deployments, routes; empty is all."""
    values: list[Value] = [since_us - LONGEST_CALL_US, until_us, since_us, until_us]
    sql = _SELECT
    for column, wanted in (
        ("a.provider", providers),
        ("a.deployment", deployments),
        ("r.surface", surfaces or ()),
    ):
        if wanted:
            sql += f"AND {column} IN ({', '.join('?' * len(wanted))})\n"
            values += sorted(wanted)
    names = Recorded.__struct_fields__
    for row in store.rows(sql + _GROUP, values):
        yield msgspec.convert(dict(zip(names, row, strict=True)), Recorded)


def providers(store: Store) -> list[str]:
    """Return the providers that were ever called."""
    rows: Iterator[Row] = store.rows("SELECT DISTINCT provider FROM attempt WHERE provider IS NOT NULL")
    return sorted(str(provider) for (provider,) in rows)
