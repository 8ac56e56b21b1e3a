"""What must hold of a soak: in the projection, at the providers, and in the journal."""

import json
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from benchmarks.soak.house import DEPLOYMENTS, House
from benchmarks.soak.traffic import BAD, STEP, Given
from tidegate.model.record import Begin, End, decode_gateway
from tidegate.stores.journal.frames import START
from tidegate.stores.journal.reader import Reader

ESTIMATES_WITHIN = 0.25
"""How far the sum of what was estimated may be from what was charged."""
ALARMS = (" ERROR ", " CRITICAL ", "Traceback", "Exception", "never awaited", "never retrieved", "Unclosed")
SHOWN = 5

Row = dict[str, Any]
Tokens = tuple[int, int]
"""Input and output."""
Place = tuple[str, str]
"""A call and a deployment."""


def rows(database: Path, sql: str, *values: Any) -> list[Row]:
    """Rows of the projection, read as another process would."""
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        connection.set_busy_timeout(5_000)
        found: list[Row] = []
        cursor = connection.execute(sql, values)
        for values_ in cursor:
            names = [column[0] for column in cursor.get_description()]
            found.append(dict(zip(names, values_, strict=True)))
        return found
    finally:
        connection.close()


def stats(port: int) -> dict[str, Any]:
    """What one provider counted."""
    counted: dict[str, Any] = _get(port, "/__stats")
    return counted


def waiting(port: int) -> int:
    """How many calls to come one provider has scripts for."""
    return int(_get(port, "/__scripts")["waiting"])


def give_scripts(port: int, method: str, raw: bytes | None = None) -> None:
    """Add to a provider's scripts (POST), or let it forget them (DELETE)."""
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/__scripts", data=raw, method=method)
    urllib.request.urlopen(asked, timeout=60).close()


def _get(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as reply:
        return json.load(reply)


def unclosed(house: House) -> int:
    """Calls in the projection that have a begin and no end."""
    return int(rows(house.database, "SELECT COUNT(*) AS n FROM request WHERE outcome IS NULL")[0]["n"])


def stuck(house: House, before_us: int) -> list[str]:
    """Calls that began before a time and are still open."""
    sql = "SELECT id FROM request WHERE outcome IS NULL AND at_us < ?"
    found = [row["id"] for row in rows(house.database, sql, before_us)]
    return [f"{len(found)} calls are open for too long: {found[:SHOWN]}"] if found else []


def log_alarms(log: Path) -> list[str]:
    """Lines of a log that tell of an error."""
    lines = log.read_text(errors="replace").splitlines()
    found = [line for line in lines if any(sign in line for sign in ALARMS)]
    return [f"{len(found)} error lines in {log.name}: {found[:SHOWN]}"] if found else []


def clients(calls: Sequence[Given]) -> list[str]:
    """Calls that ended as none may: unanswered, or with an answer that broke off without a word."""
    found = [(number, given) for number, given in enumerate(calls) if given.end in BAD]
    return [f"{len(found)} calls ended badly: {found[:SHOWN]}"] if found else []


def one_row_each(house: House, calls: Sequence[Given]) -> Iterator[str]:
    """Every call that its client heard of has exactly one row, the others at most one; all are closed."""
    found = rows(house.database, "SELECT id, step, outcome FROM request")
    idents = Counter(row["id"] for row in found)
    steps = Counter(row["step"] for row in found if row["step"] is not None)
    if missing := [given for given in calls if given.ident and idents[given.ident] != 1]:
        yield f"{len(missing)} answered calls have no row: {missing[:SHOWN]}"
    if many := [step for step, count in steps.items() if count > 1]:
        yield f"{len(many)} calls have several rows: {many[:SHOWN]}"
    known = {str(number) for number in range(len(calls))}
    if strange := [row["id"] for row in found if row["step"] not in known]:
        named = {given.ident for given in calls}
        strange = [ident for ident in strange if ident not in named]
        if strange:
            yield f"{len(strange)} rows of no call: {strange[:SHOWN]}"
    if still := [row["id"] for row in found if row["outcome"] is None]:
        yield f"{len(still)} calls are not settled: {still[:SHOWN]}"
    if interrupted := [row["id"] for row in found if row["outcome"] == "interrupted"]:
        yield f"{len(interrupted)} calls were interrupted by their own gateway: {interrupted[:SHOWN]}"
    unsettled = rows(house.database, "SELECT request_id, n FROM attempt WHERE status IS NULL")
    if unsettled:
        yield f"{len(unsettled)} attempts are not settled: {unsettled[:SHOWN]}"


def open_begins(house: House) -> Iterator[str]:
    """Every begin in the gateways' journals has one end; the holds hang on them."""
    begins: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    for boot in sorted(house.layout.gateway_journal.iterdir()):
        if not boot.is_dir():
            continue
        reader, position = Reader(boot), START
        try:
            while found := reader.read(position):
                position = found[-1][0]
                for _, payload in found:
                    match decode_gateway(payload):
                        case Begin(id=ident):
                            begins[ident] += 1
                        case End(id=ident):
                            ends[ident] += 1
                        case _:
                            pass
        finally:
            reader.close()
    if not begins:
        yield "the journal holds no call"
    if left := [ident for ident in begins if not ends[ident]]:
        yield f"{len(left)} holds are open: {left[:SHOWN]}"
    if twice := [ident for ident, count in ends.items() if count != 1 or begins[ident] != 1]:
        yield f"{len(twice)} calls were begun or ended twice: {twice[:SHOWN]}"


@dataclass(slots=True)
class Compared:
    """What was recorded against what providers charged, attempt by attempt; input and output together.

    `unsure`: recorded for attempts that cost nothing, and of which nobody could know that.
    """

    attempts: int = 0
    exact: int = 0
    skipped: int = 0
    charged: int = 0
    charged_estimated: int = 0
    recorded_estimated: int = 0
    unsure: int = 0
    problems: list[str] = field(default_factory=list)

    def shown(self) -> str:
        """Return one line."""
        return (
            f"{self.attempts:,} attempts compared, {self.exact:,} of them to the token, {self.skipped:,} not;"
            f" charged {self.charged:,} tokens; estimated {self.recorded_estimated:,} where "
            f"{self.charged_estimated:,} were charged, and {self.unsure:,} that may have been"
        )


def against_providers(house: House) -> Compared:
    """Compare attempts with what providers saw and charged."""
    compared = Compared()
    _compare_counts(house, compared)
    wrong: list[str] = []
    ours, theirs = _attempts(house), _bills(house)
    for place in ours.keys() | theirs.keys():
        attempts, bills = ours.get(place, []), theirs.get(place, [])
        if len(bills) > len(attempts):
            wrong.append(f"call {place[0]} reached {place[1]} {len(bills)} times, recorded {len(attempts)}")
        if len(bills) != len(attempts):  # one that may not have reached the provider did not
            compared.skipped += len(attempts)
            continue
        for attempt, bill in zip(attempts, bills, strict=True):
            if not _compare(attempt, bill, compared):
                wrong.append(f"call {place[0]} at {place[1]}: charged {bill}, recorded {_tokens(attempt)}")
    if wrong:
        compared.problems.append(
            f"{len(wrong)} attempts are recorded otherwise than charged: {wrong[:SHOWN]}"
        )
    off = abs(compared.recorded_estimated - compared.charged_estimated)
    if off > ESTIMATES_WITHIN * compared.charged_estimated:
        compared.problems.append(f"estimates are off by more than {ESTIMATES_WITHIN:.0%}")
    if not compared.exact:
        compared.problems.append("no attempt could be compared with a provider's bill")
    return compared


def _compare(attempt: Row, bill: Tokens, compared: Compared) -> bool:
    """Count one attempt in; False where its record contradicts the bill."""
    recorded = _tokens(attempt)
    compared.attempts += 1
    compared.charged += sum(bill)
    if attempt["usage_source"] in ("provider", "none"):
        compared.exact += 1
        return recorded == bill
    if any(bill):
        compared.charged_estimated += sum(bill)
        compared.recorded_estimated += sum(recorded)
        return True
    compared.unsure += sum(recorded)
    return "maybe_billed" in json.loads(attempt["flags"] or "[]")


def _compare_counts(house: House, compared: Compared) -> None:
    seen = sum(stats(port)["requests"] for port in house.providers)
    sent = rows(house.database, "SELECT sent, COUNT(*) AS n FROM attempt GROUP BY sent")
    sure = sum(row["n"] for row in sent if row["sent"] == "yes")
    perhaps = sure + sum(row["n"] for row in sent if row["sent"] == "maybe")
    if not sure <= seen <= perhaps:
        compared.problems.append(f"{sure} to {perhaps} attempts were sent, the providers saw {seen}")


def _bills(house: House) -> dict[Place, list[Tokens]]:
    """What providers charged for each call that they still know, in the order in which it came."""
    bills: dict[Place, list[Tokens]] = defaultdict(list)
    for name, port in zip(DEPLOYMENTS, house.providers, strict=True):
        for request in _get(port, "/__requests"):
            if found := STEP.search(request["body"]):
                bill = request["billed"]
                taken = bill["input"] + bill["cache_read"] + bill["cache_write"]
                bills[found[1], name].append((taken, bill["output"]))
    return bills


def _attempts(house: House) -> dict[Place, list[Row]]:
    found = rows(
        house.database,
        "SELECT step, deployment, usage_source, flags, input_uncached, cache_read, cache_write_5m,"
        " cache_write_1h, output_text, reasoning FROM attempt JOIN request ON request.id = request_id"
        " WHERE step IS NOT NULL AND sent <> 'no' ORDER BY request_id, n",
    )
    attempts: dict[Place, list[Row]] = defaultdict(list)
    for row in found:
        attempts[row["step"], row["deployment"]].append(row)
    return attempts


def _tokens(row: Row) -> Tokens:
    """Input and output of one attempt; what nobody knows counts as none."""
    taken = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h")
    return (
        sum(row[name] or 0 for name in taken),
        sum(row[name] or 0 for name in ("output_text", "reasoning")),
    )
