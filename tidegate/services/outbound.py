"""A deployment made ready to call: its addresses, headers and secret, worked out once."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from tidegate.model.message import TargetTraits
from tidegate.model.provider import Capabilities, Deployment, Provider, StreamUsage, Target
from tidegate.model.request import Surface
from tidegate.policy.resilience import Place
from tidegate.providers.catalog import capabilities, model_row, output_limit_field, stream_usage
from tidegate.providers.traits import traits_of


@dataclass(frozen=True, slots=True)
class Outbound:
    """What a call to one deployment needs. `urls` has an entry for each surface it speaks.

    `problem` says why it cannot be called (a key that is not set); empty when it can. `client_headers` are
    those of a client that go through. `target` is the deployment as a record names it, `asked_model` the
    model it stands for; the streams of `asks_usage` tell their usage only where it is asked for (trap S2).
    `through` maps each surface of a client to the one that is called for it: itself, or that of another
    dialect. `limit_fields` names, by surface, the field that limits an answer's length (trap
    M19). `abilities` is what the model takes, `traits` the same in the words of a translation; `place` is
    what a decision after a failure knows of it. `drains`: a reply whose client left is read on (trap M6).
    """

    deployment: Deployment
    provider: Provider
    urls: Mapping[Surface, str]
    headers: Mapping[str, str] = field(repr=False)
    secret: str = field(repr=False)
    problem: str = ""
    client_headers: frozenset[bytes] = frozenset()
    name: str = field(init=False)
    target: Target = field(init=False)
    asked_model: str = field(init=False)
    asks_usage: frozenset[Surface] = field(init=False)
    limit_fields: Mapping[Surface, str] = field(init=False)
    through: Mapping[Surface, Surface] = field(init=False)
    abilities: Capabilities = field(init=False)
    traits: TargetTraits = field(init=False)
    place: Place = field(init=False)
    drains: bool = field(init=False)

    def __post_init__(self) -> None:
        """Work out what follows from the deployment and its provider."""
        one, provider = self.deployment, self.provider
        asked = one.price_model or one.model
        target = Target(provider=provider.name, deployment=one.name, model=one.model, region=one.region)
        asks = [
            surface for surface in provider.paths if _stream_usage(one, provider, asked, surface) == "ask"
        ]
        object.__setattr__(self, "name", one.name)
        object.__setattr__(self, "target", target)
        object.__setattr__(self, "asked_model", asked)
        object.__setattr__(self, "asks_usage", frozenset(asks))
        object.__setattr__(self, "limit_fields", _limit_fields(provider, asked))
        object.__setattr__(self, "through", _through(self.urls))
        object.__setattr__(self, "abilities", capabilities(provider, asked))
        object.__setattr__(self, "traits", traits_of(provider, asked))
        row = model_row(provider, asked)
        context_tokens = row.context_tokens if row is not None else None
        wallet = f"{provider.name}:{one.secret or one.base_url}"
        place = Place(name=one.name, wallet=wallet, model=asked, context_tokens=context_tokens)
        object.__setattr__(self, "place", place)
        object.__setattr__(self, "drains", (one.disconnect or provider.disconnect) == "drain")

    def standing_for(self, model: str) -> "Outbound":
        """The same for another model, which is priced and recorded by that name; empty: nobody knows."""
        one = msgspec.structs.replace(self.deployment, model=model, price_model=model, names=(model,))
        return replace(self, deployment=one)

    def calling(self, url: str) -> "Outbound":
        """The same for a passed-through call to `url`."""
        return replace(self, urls={"pass": url})


def _limit_fields(provider: Provider, model: str) -> dict[Surface, str]:
    named = {surface: output_limit_field(provider, model, surface) for surface in provider.paths}
    return {surface: name for surface, name in named.items() if name is not None}


def _through(spoken: Collection[Surface]) -> dict[Surface, Surface]:
    """Which surface is called for a client's: chat and messages stand in for each other and for responses."""
    through: dict[Surface, Surface] = {surface: surface for surface in spoken}
    if "messages" in spoken:
        through.setdefault("chat", "messages")
    if "chat" in spoken:
        through.setdefault("messages", "chat")
        through.setdefault("responses", "chat")
    if "messages" in spoken:
        through.setdefault("responses", "messages")
    return through


def _stream_usage(deployment: Deployment, provider: Provider, model: str, surface: Surface) -> StreamUsage:
    """How a stream comes by its usage: by the operator's word, else by the catalogue's."""
    stated = deployment.stream_usage if surface in ("chat", "completions") else None
    return stated or stream_usage(provider, model, surface)
