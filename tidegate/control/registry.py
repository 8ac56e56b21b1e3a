"""What people decide: keys and names. Each decision is a record in the control journal before it is true."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

import msgspec

from tidegate.model.errors import BadRequest, NotFound
from tidegate.model.identity import ATTRIBUTES, Key
from tidegate.model.money import Fx
from tidegate.model.price import PriceCard
from tidegate.model.record import (
    ControlRecord,
    FeatureNamed,
    KeyCreated,
    KeyRevoked,
    PriceListed,
    RateSet,
    decode_control,
    encode,
)
from tidegate.policy.attribute import clean
from tidegate.services.clock import Clock
from tidegate.services.keys import mac_of, mint
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
        self._seq = 0
        self.on_change: Callable[[], object] = lambda: None

    def replay(self, records: Iterable[ControlRecord]) -> None:
        """Take in the decisions of earlier processes, oldest first."""
        for record in records:
            self._apply(record)

    @property
    def keys(self) -> tuple[Key, ...]:
        """Every key, revoked and expired ones too, oldest first."""
        return tuple(self._keys.values())

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

    def _now(self) -> int:
        return self._clock.wall_us()

    def _only_tenant(self) -> str:
        tenants = sorted({key.tenant for key in self._keys.values()})
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
