"""Looks for what is worth telling, and makes messages: for the log, and for each target that wants them."""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence

import msgspec

from tidegate.config.settings import Alerts as AlertSettings
from tidegate.config.settings import AlertTarget, Settings
from tidegate.control.alert_sources import Source, note_sources
from tidegate.control.budget_alerts import budget_sources
from tidegate.control.spend_jumps import SpendJumps
from tidegate.control.wording import plain, sentence
from tidegate.model.alert import AlertEvent, Message, MessageKind, Observation
from tidegate.model.ids import uuid7
from tidegate.policy.alerting import AlertPolicy, Standing, step
from tidegate.services.clock import Clock
from tidegate.stores.sqlite.alert_book import AlertBook
from tidegate.stores.sqlite.store import Store

log = logging.getLogger("tidegate.alerts")

SECOND_US = 1_000_000
MOST_SUBJECT, MOST_TEXT = 200, 500


def own_sources() -> tuple[Source, ...]:
    """What Tidegate looks for by itself; sums of spending are remembered between looks."""
    return (*note_sources(), SpendJumps().source(), *budget_sources())


def policy_of(section: AlertSettings) -> AlertPolicy:
    """The pure part's settings."""
    return AlertPolicy(
        calm_us=round(section.calm_s * SECOND_US), remind_us=round(section.remind_s * SECOND_US)
    )


def wants(target: AlertTarget, about: Observation) -> bool:
    """Whether a target is told of it: by its event, and by its team where the target names teams."""
    return (not target.events or about.event in target.events) and (
        not target.teams or about.team in target.teams
    )


class Alerts:
    """Asks all sources, and keeps what stands and what is to be sent in one transaction."""

    def __init__(self, settings: Callable[[], Settings], clock: Clock, sources: Sequence[Source]) -> None:
        self._settings = settings
        self._clock = clock
        self._sources = sources
        self._asked_us: dict[int, int] = {}

    def look(self, store: Store, book: AlertBook) -> None:
        """Look once. A source that fails is logged, and its alerts stay as they are."""
        settings, now_us = self._settings(), self._clock.wall_us()
        observations: list[Observation] = []
        looked_for: set[AlertEvent] = set()
        for at, source in enumerate(self._sources):
            if not self._is_due(at, source, now_us):
                continue
            try:
                found = [_clean(one) for one in source.look(store, settings, now_us)]
            except Exception:  # a task boundary: a source may be anybody's
                log.exception("alerts cannot look for %s", ", ".join(sorted(source.events)))
                continue
            observations += found
            looked_for |= source.events
        self._keep(book, settings, observations, frozenset(looked_for), now_us)

    def _is_due(self, at: int, source: Source, now_us: int) -> bool:
        last_us = self._asked_us.get(at)
        if last_us is not None and 0 <= now_us - last_us < source.every_us:
            return False
        self._asked_us[at] = now_us
        return True

    def _keep(
        self,
        book: AlertBook,
        settings: Settings,
        observations: Sequence[Observation],
        looked_for: frozenset[AlertEvent],
        now_us: int,
    ) -> None:
        before = book.standings()
        after, told = step(before, observations, looked_for, now_us, policy_of(settings.alerts))
        messages = [self._message(kind, standing, now_us) for kind, standing in told]
        given_up = book.keep(before, after, list(_addressed(messages, settings.alerts.targets)))
        for message in messages:
            level = logging.INFO if message.kind == "recovered" else logging.WARNING
            log.log(level, "%s", sentence(message))
        if given_up:
            log.error("%d older messages to targets that do not answer are given up", given_up)

    def _message(self, kind: MessageKind, standing: Standing, now_us: int) -> Message:
        return Message(
            id=message_id(self._clock, now_us),
            kind=kind,
            about=standing.about,
            since_us=standing.since_us,
            at_us=now_us,
        )


def message_id(clock: Clock, now_us: int) -> str:
    """A new message's id; it sorts by time and holds no full stop."""
    return "msg_" + uuid7(now_us, clock.random_bits(62)).replace("-", "")


def _clean(one: Observation) -> Observation:
    """The observation in lines that steer nothing, whoever made it."""
    facts = {
        name: plain(value, MOST_SUBJECT) if isinstance(value, str) else value
        for name, value in one.facts.items()
    }
    return msgspec.structs.replace(
        one, subject=_name(one.subject), text=plain(one.text, MOST_TEXT), facts=facts
    )


def _name(subject: str) -> str:
    """A subject as a short line; where that is not all of it, with what tells it from others."""
    short = plain(subject, MOST_SUBJECT)
    if short == subject:
        return subject
    return f"{short} #{hashlib.sha256(subject.encode()).hexdigest()[:8]}"


def _addressed(messages: Sequence[Message], targets: Sequence[AlertTarget]) -> Iterator[tuple[str, Message]]:
    for message in messages:
        for target in targets:
            if wants(target, message.about):
                yield target.name, message
