"""Names of people and customers, as keyed pseudonyms; their plain text goes to one place of its own."""

import hmac
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b

from tidegate.model.identity import Attribution, Key
from tidegate.model.record import Who

PSEUDONYM_HEX = 24
REMEMBERED = 65_536

NewName = Callable[[str, str, str, str], None]
"""Called with (tenant, kind, pseudonym, plain) the first time this process meets a name."""


def who_of(key: Key) -> Who:
    """What a key alone says of a call whose labels were never read."""
    return Who(tenant=key.tenant, key=key.id, project=key.project, team=key.team)


class Pseudonyms:
    """Replaces a tenant's names by hashes under a key that is derived from the pepper for that tenant.

    Equal names of one tenant get equal pseudonyms; those of two tenants cannot be compared.
    """

    def __init__(self, pepper: bytes, on_new: NewName | None = None) -> None:
        self._on_new = on_new
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        self.tenant_key = lru_cache(maxsize=4096)(
            lambda tenant: hmac.digest(pepper, b"tenant\0" + str(tenant).encode(), "sha256")
        )

    def of(self, tenant: str, kind: str, plain: str) -> str:
        """The pseudonym of one name; empty for an empty name. `kind` keeps users and customers apart."""
        if not plain:
            return ""
        digest = blake2b(
            plain.encode("utf-8", "replace"),
            key=self.tenant_key(tenant),
            digest_size=PSEUDONYM_HEX // 2,
            person=kind.encode()[:16],
        )
        pseudonym = digest.hexdigest()
        if self._on_new is not None:
            self._announce(tenant, kind, pseudonym, plain)
        return pseudonym

    def who(self, key: Key, labels: Attribution) -> Who:
        """The labels of a call as its records keep them."""
        tenant, of = key.tenant, self.of
        return Who(
            tenant=tenant,
            key=key.id,
            project=key.project,
            team=labels.team,
            feature=labels.feature,
            feature_source=labels.feature_source,
            customer=of(tenant, "customer", labels.customer) if labels.customer else "",
            user=of(tenant, "user", labels.user) if labels.user else "",
            session=of(tenant, "session", labels.session) if labels.session else "",
            run=labels.run,
            step=labels.step,
            prompt=labels.prompt,
            environment=labels.environment,
            tags={name: of(tenant, f"tag:{name}", value) for name, value in labels.tags},
        )

    def _announce(self, tenant: str, kind: str, pseudonym: str, plain: str) -> None:
        seen = (tenant, pseudonym)
        if seen in self._seen:
            self._seen.move_to_end(seen)
            return
        self._seen[seen] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        assert self._on_new is not None
        self._on_new(tenant, kind, pseudonym, plain)
