"""What is looked for in the tables: each source says what holds now, of the events that are its own."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tidegate.config.settings import Settings
from tidegate.control.wording import plain
from tidegate.model.alert import AlertEvent, Observation
from tidegate.model.money import shown
from tidegate.stores.sqlite import alert_queries
from tidegate.stores.sqlite.alert_queries import Called, Noted
from tidegate.stores.sqlite.store import Store

HOUR_US = 3_600_000_000
NOTED_US = 30 * 24 * HOUR_US
"""How far back a breaker, a refused key or a pause is looked for."""
SEEN_US = 6 * HOUR_US
"""How long a call without a price, or an answer that was not as expected, is told of."""
MOVES = "latest"
"""A model's name that ends so is meant to be served by another from time to time."""

_REFUSED: dict[AlertEvent, str] = {
    "key_refused": "The provider refuses the key of deployment {0}.",
    "wallet_refused": "The provider refuses calls of deployment {0} for want of money.",
}
_WHY = {
    "count": "too many of its last calls failed",
    "rate": "too large a share of its calls failed",
    "slow": "too many of its calls were slow",
    "probe": "a probe failed",
    "key": "its key was refused",
    "money": "its wallet was refused",
}


@dataclass(frozen=True, slots=True)
class Source:
    """Where observations come from.

    `look` gives all that holds at a moment (microseconds, UTC); what of `events` it does not give holds no
    more. It may read the store for a bounded time, at most every `every_us`, in a thread of its own.
    """

    events: frozenset[AlertEvent]
    look: Callable[[Store, Settings, int], Iterable[Observation]]
    every_us: int = 0


def note_sources() -> tuple[Source, ...]:
    """What gateways note, and what calls leave that had no price or drifted."""
    return (
        Source(frozenset({"breaker_open", "key_refused", "wallet_refused"}), deployments_in_trouble),
        Source(frozenset({"spend_paused"}), paused_keys),
        Source(frozenset({"unpriced_model"}), unpriced_models),
        Source(frozenset({"model_drift", "cost_drift"}), drifted_answers),
    )


def deployments_in_trouble(store: Store, settings: Settings, now_us: int) -> Iterator[Observation]:
    """Yield keys and wallets that are refused, and open breakers that have another cause."""
    known = {row.name for row in settings.deployments}
    since_us = now_us - NOTED_US
    with store.transaction():
        live = alert_queries.live_boots(store)
        breakers = list(alert_queries.notes(store, "breaker", since_us))
        refused = {
            (event, name): note
            for event in _REFUSED
            for name, note in _newest(alert_queries.notes(store, event, since_us)).items()
            if name in known
        }
        well = _well(store, breakers, min((note.at_us for note in refused.values()), default=None))
    told = set()
    for (event, name), note in refused.items():
        if well.get(name, 0) <= note.at_us:
            told.add(name)
            facts: dict[str, str | int] = {"deployment": name, "code": plain(str(note.facts.get("code", "")))}
            text = _REFUSED[event].format(name)
            yield Observation(event=event, subject=name, text=text, facts=facts)
    for name, opened in _open(breakers, live).items():
        by = str(opened.facts.get("by", ""))
        if name in known and name not in told and by not in ("key", "money"):
            yield _breaker(name, by, opened)


def _well(store: Store, breakers: Iterable[Noted], since_us: int | None) -> dict[str, int]:
    """When each deployment was last seen well: a call that ended so, or its breaker closed by probes."""
    if since_us is None:
        return {}
    well = alert_queries.last_well(store, since_us)
    for note in breakers:
        if note.facts.get("change") == "closed" and note.facts.get("by") == "probes":
            name = str(note.facts.get("deployment", ""))
            well[name] = max(well.get(name, 0), note.at_us)
    return well


def _newest(notes: Iterable[Noted]) -> dict[str, Noted]:
    """The first note of each deployment."""
    found: dict[str, Noted] = {}
    for note in notes:
        found.setdefault(str(note.facts.get("deployment", "")), note)
    return found


def _open(breakers: Iterable[Noted], live: set[str]) -> dict[str, Noted]:
    """Deployments whose breaker is not closed in a gateway that runs, with the note of its last opening."""
    state: dict[tuple[str, str], bool] = {}
    opened: dict[str, Noted] = {}
    for note in breakers:
        place = (note.boot, str(note.facts.get("deployment", "")))
        if note.boot not in live or not state.setdefault(place, note.facts.get("change") != "closed"):
            continue
        if note.facts.get("change") == "opened":
            opened.setdefault(place[1], note)
    return opened


def _breaker(name: str, by: str, note: Noted) -> Observation:
    facts: dict[str, str | int] = {
        "deployment": name,
        "by": by,
        "calls": _count(note, "calls"),
        "failures": _count(note, "failures"),
    }
    text = f"The breaker of deployment {name} is open: {_WHY.get(by, 'it failed')}."
    return Observation(event="breaker_open", subject=name, text=text, facts=facts)


def paused_keys(store: Store, _: Settings, now_us: int) -> Iterator[Observation]:
    """Yield keys that may not call because of what they spent."""
    with store.transaction():
        live = alert_queries.live_boots(store)
        newest: dict[tuple[str, str], Noted] = {}
        for note in alert_queries.notes(store, "spend_breaker", now_us - NOTED_US):
            if note.boot in live:
                newest.setdefault((note.boot, str(note.facts.get("key", ""))), note)
        paused = {key: note for (_, key), note in newest.items() if _pauses(note, now_us)}
        names = alert_queries.key_facts(store, list(paused))
    for key, note in paused.items():
        tenant, name, team = names.get(key, ("", "", ""))
        who = f"{plain(name)} ({key})" if name else key
        facts: dict[str, str | int] = {"key": key, "tenant": tenant, "by": str(note.facts.get("by", ""))}
        of = plain(tenant) or "no known tenant"
        text = f"Key {who} of {of} is paused for what it spent{_spent(note, facts)}."
        yield Observation(event="spend_paused", subject=key, text=text, facts=facts, team=team)


def _pauses(note: Noted, now_us: int) -> bool:
    cooldown_us = _count(note, "cooldown_us")
    is_over = cooldown_us > 0 and now_us >= note.at_us + cooldown_us
    return note.facts.get("change") == "opened" and not is_over


def _spent(note: Noted, facts: dict[str, str | int]) -> str:
    """What a note says of the amounts, in words; they are added to the facts."""
    measure, spent, allowed = note.facts.get("measure"), _count(note, "spent"), _count(note, "allowed")
    match measure:
        case "tokens":
            facts |= {"tokens": spent, "allowed_tokens": allowed}
            return f": {spent} tokens in a minute, where {allowed} are allowed"
        case "money":
            facts |= {"amount": shown(spent), "allowed_amount": shown(allowed)}
            return f": {shown(spent, 2)} in a minute, where {shown(allowed, 2)} is allowed"
        case _:
            return ""


def unpriced_models(store: Store, _: Settings, now_us: int) -> Iterator[Observation]:
    """Yield models that were called and whose price is not known."""
    with store.transaction():
        called = alert_queries.unpriced(store, now_us - SEEN_US)
        refused = alert_queries.refused_unpriced(store, now_us - SEEN_US)
    yield from (_unpriced(one, "its calls are let through, their cost is unknown") for one in called)
    yield from (_unpriced(one, "its calls are refused") for one in refused)


def _unpriced(called: Called, fate: str) -> Observation:
    text = f"No price is known for {plain(called.model)}: {fate}."
    return Observation(event="unpriced_model", subject=called.model, text=text, facts={"model": called.model})


def drifted_answers(store: Store, settings: Settings, now_us: int) -> Iterator[Observation]:
    """Yield deployments that answer with another model, or bill another cost, than is expected (M11, M18)."""
    known = {row.name for row in settings.deployments}
    for one in alert_queries.drifted(store, now_us - SEEN_US):
        if one.deployment not in known:
            continue
        facts: dict[str, str | int] = {"deployment": one.deployment, "model": one.model, "served": one.served}
        if one.by_model and not one.model.endswith(MOVES):
            text = (
                f"Deployment {one.deployment} answers with model {plain(one.served)} where"
                f" {plain(one.model)} is asked for."
            )
            subject = f"{one.deployment}, {one.model}: {one.served}"
            yield Observation(event="model_drift", subject=subject, text=text, facts=facts)
        if one.by_cost:
            text = (
                f"The provider of deployment {one.deployment} states another cost for {plain(one.model)} than"
                " the prices here say; what it states is recorded."
            )
            subject = f"{one.deployment}, {one.model}"
            yield Observation(event="cost_drift", subject=subject, text=text, facts=facts)


def _count(note: Noted, name: str) -> int:
    found = note.facts.get(name, 0)
    return found if isinstance(found, int) else 0
