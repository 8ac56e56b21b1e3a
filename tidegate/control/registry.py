"""What people decide: keys, names, rates, raises. Each is a record in the journal before it is true."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from tidegate.control.exchange_rates import ImportedRates, RatesRequest, RatesTaken, records_of
from tidegate.control.raising import Known, Raised, RaiseRequest, Raises, raise_of, raised, reason_of
from tidegate.model.budget import Budget, Raise
from tidegate.model.errors import BadRequest, NotFound
from tidegate.model.identity import ATTRIBUTES, Key
from tidegate.model.money import Fx
from tidegate.model.price import PriceCard
from tidegate.model.record import (
    BudgetRaised,
    ControlRecord,
    FeatureNamed,
    KeyCreated,
    KeyRevoked,
    PriceListed,
    RateSet,
    RatesImported,
    decode_control,
    encode,
)
from tidegate.policy.attribute import clean
from tidegate.policy.price import day_of
from tidegate.services.clock import Clock
from tidegate.services.keys import mac_of, mint
from tidegate.services.pseudonyms import Pseudonyms
from tidegate.stores.journal import START, CorruptFrame, Reader, boots

MAX_OVERLAP_US = 30 * 86_400_000_000


class Decisions(Protocol):
    """The control journal, as the registry writes it."""

    def append(self, payload: bytes) -> None:
        """Return once the record is on disk."""
        ...


class KeyRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a person says of a new key. `expires_at_us` is microseconds since the epoch, UTC."""

    tenant: str
    name: str = ""
    project: str = ""
    team: str = ""
    region: str = ""
    models: tuple[str, ...] | None = None
    pinned: dict[str, str] = {}
    defaults: dict[str, str] = {}
    expires_at_us: int | None = None


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that was just made; `text` is shown once and kept nowhere."""

    key: Key
    text: str


class Registry:
    """The keys and feature names in force, as their records make them."""

    def __init__(self, journal: Decisions, pepper: bytes, clock: Clock) -> None:
        self._journal = journal
        self._pepper = pepper
        self._clock = clock
        self._keys: dict[str, Key] = {}
        self._listed: set[str] = set()
        self._imported = ImportedRates()
        self._raises = Raises()
        self._pseudonyms = Pseudonyms(pepper)
        self._seq = 0
        self.on_change: Callable[[], object] = lambda: None
        self.budgets: Callable[[], Sequence[Budget]] = tuple

    def replay(self, records: Iterable[ControlRecord]) -> None:
        """Take in the decisions of earlier processes, oldest first."""
        for record in records:
            self._apply(record)

    @property
    def keys(self) -> tuple[Key, ...]:
        """Every key, revoked and expired ones too, oldest first."""
        return tuple(self._keys.values())

    @property
    def known(self) -> Known:
        """What names of keys, tenants and people are understood by."""
        tenants = {key.tenant for key in self._keys.values() if key.tenant}
        return Known(self._keys, tenants, self._pseudonyms)

    def create_key(self, asked: KeyRequest, *, by: str) -> NewKey:
        """Make a key. Raises BadRequest for what no key can have."""
        _check(asked)
        key_id, text = mint()
        key = Key(
            id=key_id,
            mac=mac_of(text, self._pepper),
            tenant=asked.tenant,
            name=asked.name,
            project=asked.project,
            team=asked.team,
            region=asked.region,
            models=asked.models,
            pinned=asked.pinned,
            defaults=asked.defaults,
            created_at_us=self._now(),
            expires_at_us=asked.expires_at_us,
        )
        self._decide(KeyCreated(seq=self._next(), at=key.created_at_us, by=by, key=msgspec.to_builtins(key)))
        return NewKey(key=key, text=text)

    def revoke_key(self, key_id: str, *, by: str, reason: str = "", after_us: int = 0) -> Key:
        """End a key now, or `after_us` from now. Revoking again can only bring the end forward."""
        key = self._key(key_id)
        now_us = self._now()
        at_us = now_us + after_us
        if key.revoked_at_us is not None and key.revoked_at_us <= at_us:
            return key
        self._decide(
            KeyRevoked(
                seq=self._next(), at=now_us, by=by, key_id=key_id, revoked_at_us=at_us, reason=reason[:256]
            )
        )
        return self._keys[key_id]

    def rotate_key(self, key_id: str, *, by: str, overlap_us: int = 0) -> NewKey:
        """Make a key like this one, and end this one after an overlap. Raises NotFound, BadRequest."""
        old = self._key(key_id)
        if not 0 <= overlap_us <= MAX_OVERLAP_US:
            raise BadRequest("An overlap lasts from 0 seconds to 30 days.", param="overlap")
        if old.revoked_at_us is not None and old.revoked_at_us <= self._now():
            raise BadRequest(f"Key {key_id} is revoked; create a new one.", param="key")
        fields = {name: getattr(old, name) for name in KeyRequest.__struct_fields__}
        made = self.create_key(KeyRequest(**fields), by=by)
        self.revoke_key(key_id, by=by, reason=f"rotated to {made.key.id}", after_us=overlap_us)
        return made

    def name_feature(self, tenant: str, feature: str, name: str, *, by: str, from_us: int = 0) -> None:
        """Call a feature `name` in reports, from a moment on; 0 is for all time. Raises BadRequest.

        The tenant may be left empty where there is only one.
        """
        tenant = tenant or self._only_tenant()
        wanted = clean(name)
        if not wanted or not clean(feature):
            raise BadRequest("A feature and its name are 1 to 128 printable characters.", param="name")
        self._decide(
            FeatureNamed(
                seq=self._next(),
                at=self._now(),
                by=by,
                tenant=tenant,
                feature=feature,
                name=wanted,
                valid_from_us=from_us,
            )
        )

    def _key(self, key_id: str) -> Key:
        key = self._keys.get(key_id)
        if key is None:
            raise NotFound(f"There is no key {key_id[:32]!r}; `tidegate keys list` shows them.", param="key")
        return key

    def list_prices(self, cards: Iterable[tuple[str, PriceCard]], rates: Iterable[Fx], *, by: str) -> None:
        """Keep what is priced and converted with, once each, so that a pinned id can always be read."""
        for ident, card in cards:
            if ident not in self._listed:
                content = msgspec.json.encode(card).decode()
                self._keep(
                    PriceListed(seq=self._next(), at=self._now(), by=by, price_id=ident, content=content)
                )
        for rate in rates:
            if rate.id not in self._listed:
                self._keep(
                    RateSet(
                        seq=self._next(),
                        at=self._now(),
                        by=by,
                        fx_id=rate.id,
                        base=rate.base,
                        quote=rate.quote,
                        rate=rate.rate,
                        date=rate.date.isoformat(),
                        source=rate.source,
                    )
                )

    def import_rates(self, asked: RatesRequest, *, by: str) -> RatesTaken:
        """Keep the exchange rates of days that are not known yet. Raises BadRequest, and keeps none.

        A disk that fills on the way leaves whole records, oldest days first: the same import goes on there.
        """
        now_us = self._now()
        new = self._imported.news(asked, day_of(now_us))
        for record in records_of(new, asked.source, at=now_us, by=by):
            self._keep(msgspec.structs.replace(record, seq=self._next()))
        if new:
            self.on_change()
        return RatesTaken(added=len(new), known=len(asked.rates) - len(new))

    def rates_shipped(self) -> tuple[Fx, ...]:
        """Return the imported exchange rates that gateways need, oldest first."""
        return self._imported.shipped(day_of(self._now()))

    def raise_budget(self, asked: RaiseRequest, *, by: str) -> Raised:
        """Give one window of an account more, or less. Raises NotFound, BadRequest."""
        now_us, budgets = self._now(), self.budgets()
        more = raise_of(asked, budgets, self.known, now_us)
        made = raised(asked, budgets, more, self._raises, now_us)
        self._decide(
            BudgetRaised(
                seq=self._next(),
                at=now_us,
                by=by,
                account=more.account,
                window_us=more.window_us,
                amount=more.amount,
                reason=reason_of(asked),
            )
        )
        return made

    def raises_shipped(self) -> tuple[Raise, ...]:
        """Return what windows that still count were given."""
        return self._raises.shipped(self._now())

    def _now(self) -> int:
        return self._clock.wall_us()

    def _only_tenant(self) -> str:
        tenants = sorted(self.known.tenants)
        if len(tenants) == 1:
            return tenants[0]
        known = f"name one of {', '.join(tenants[:20])}" if tenants else "there is none yet"
        raise BadRequest(f"Whose feature? With {len(tenants)} tenants, {known}.", param="tenant")

    def _next(self) -> int:
        self._seq += 1
        return self._seq

    def _decide(self, record: ControlRecord) -> None:
        self._keep(record)
        self.on_change()

    def _keep(self, record: ControlRecord) -> None:
        self._journal.append(encode(record))
        self._apply(record)

    def _apply(self, record: ControlRecord) -> None:
        match record:
            case KeyCreated():
                key = msgspec.convert(record.key, Key)
                self._keys[key.id] = key
            case KeyRevoked():
                key = self._keys.get(record.key_id) or Key(id=record.key_id, mac="", tenant="")
                self._keys[key.id] = msgspec.structs.replace(key, revoked_at_us=record.revoked_at_us)
            case PriceListed():
                self._listed.add(record.price_id)
            case RateSet():
                self._listed.add(record.fx_id)
            case RatesImported():
                self._imported.replay(record)
            case BudgetRaised():
                self._raises.replay(record)
            case _:
                pass


def _check(asked: KeyRequest) -> None:
    for field in ("tenant", "name", "project", "team", "region"):
        value = getattr(asked, field)
        if value != clean(value):
            raise BadRequest(f"{field} must be at most 128 printable characters.", param=field)
    if not asked.tenant:
        raise BadRequest("A key belongs to a tenant; name one.", param="tenant")
    for field in ("pinned", "defaults"):
        for name, value in getattr(asked, field).items():
            if name not in ATTRIBUTES:
                known = ", ".join(ATTRIBUTES)
                raise BadRequest(f"{field} knows no {name!r}; it takes {known}.", param=f"{field}.{name}")
            if not value or value != clean(value):
                text = f"{field}.{name} must be 1 to 128 printable characters."
                raise BadRequest(text, param=f"{field}.{name}")


def decisions(root: Path) -> Iterable[ControlRecord]:
    """Every decision in the control journals, oldest first; damaged and unknown records are left out."""
    for boot in boots(root):
        with Reader(boot) as reader:
            position = START
            while True:
                try:
                    frames = reader.read(position, 1024)
                except CorruptFrame as damage:
                    position = reader.after(damage)
                    continue
                if not frames:
                    break
                for position, raw in frames:  # noqa: B007 - the last one is where to go on
                    try:
                        yield decode_control(raw)
                    except msgspec.DecodeError:
                        continue
