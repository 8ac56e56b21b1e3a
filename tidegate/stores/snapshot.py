"""What the gateway must know, in one file that the control process replaces whole.

It holds no provider's secret and no key's text. A version only ever rises.
"""

import os
from pathlib import Path

import msgspec

from tidegate.model.budget import Budget, OutputLimitsMode, Raise
from tidegate.model.identity import Key
from tidegate.model.price import PriceSection
from tidegate.model.provider import Deployment
from tidegate.model.request import PassThroughMode
from tidegate.policy.balance import Mode
from tidegate.policy.breaker import BreakerPolicy
from tidegate.policy.rate import Limit
from tidegate.policy.resilience import ResiliencePolicy
from tidegate.policy.retry_budget import RetryBudgetPolicy
from tidegate.policy.spend_breaker import SpendPolicy

FORMAT = 1
NAME = "snapshot.json"
SEEN = "snapshot.seen"
"""Where gateways note the highest version they have acted on."""

MAX_BYTES = 256 * 1024 * 1024


class Policies(msgspec.Struct, frozen=True, kw_only=True):
    """How calls are spread and kept up."""

    resilience: ResiliencePolicy = ResiliencePolicy()
    breaker: BreakerPolicy = BreakerPolicy()
    retries: RetryBudgetPolicy = RetryBudgetPolicy()
    balance: Mode = "in_order"
    sticky: bool = True


class Scope(msgspec.Struct, frozen=True):
    """The limits of one scope: of those with a name, and of each of the others."""

    named: dict[str, tuple[Limit, ...]] = {}
    each: tuple[Limit, ...] = ()


class SpendRule(msgspec.Struct, frozen=True):
    """What one key may spend a minute. Amounts are nano-units of `currency`, None where only tokens count."""

    policy: SpendPolicy
    currency: str | None = None


class LastResort(msgspec.Struct, frozen=True, kw_only=True):
    """What follows when an alias's deployments have all failed: a model, then a text; empty for none."""

    model: str = ""
    message: str = ""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Keys and everything of the configuration that a running gateway takes, at one moment.

    `limits` are by scope (`team`), `spend_limits` by key, `last_resort` by alias. A call waits at most
    `budget_wait_us` for others to settle where their holds leave no room; `unpriced_hold_nano` are of
    `currency`. A reader ignores fields it
    does not know; a field that is added has a default.
    """

    version: int
    made_at_us: int
    keys: tuple[Key, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    aliases: dict[str, tuple[str, ...]] = {}
    prices: PriceSection = PriceSection()
    unpriced: str = "refuse"
    currency: str = "EUR"
    policies: Policies = Policies()
    limits: dict[str, Scope] = {}
    spend_limits: dict[str, SpendRule] = {}
    last_resort: dict[str, LastResort] = {}
    keep_alive_us: int = 10_000_000
    keep_responses_s: int = 86_400
    budgets: tuple[Budget, ...] = ()
    raises: tuple[Raise, ...] = ()
    budget_wait_us: int = 5_000_000
    output_limits: OutputLimitsMode = "learned"
    default_output_tokens: int = 4096
    unpriced_hold_nano: int | None = None
    passing: PassThroughMode = "metered"
    passing_shared: bool = False
    format: int = FORMAT


class SnapshotUnreadable(Exception):  # noqa: N818 - a fact, as in model.errors
    """The file is not a snapshot of a format that we read."""


_decode = msgspec.json.Decoder(Snapshot).decode


def write_snapshot(directory: Path, snapshot: Snapshot) -> None:
    """Replace the snapshot: a reader sees the old one or the new one, also after a power cut."""
    temporary = directory / f".{NAME}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(msgspec.json.encode(snapshot))
        opened.flush()
        os.fsync(opened.fileno())
    temporary.replace(directory / NAME)
    folder = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_snapshot(directory: Path) -> Snapshot | None:
    """The snapshot of a state directory; None where there is none. Raises SnapshotUnreadable."""
    try:
        raw = (directory / NAME).read_bytes()
    except FileNotFoundError:
        return None
    try:
        snapshot = _decode(raw)
    except msgspec.MsgspecError as error:
        raise SnapshotUnreadable(f"{NAME} cannot be read: {error}") from error
    if snapshot.format > FORMAT:
        raise SnapshotUnreadable(f"{NAME} has format {snapshot.format}, this Tidegate reads up to {FORMAT}")
    return snapshot


class SnapshotWatch:
    """Notices a replaced snapshot by its inode, size and time: one `stat` a look."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._seen: tuple[int, int, int] | None = None
        self._version = _highest_seen(directory)

    def look(self) -> Snapshot | None:
        """A snapshot that is new since the last look, else None.

        One that is older than any gateway here has acted on is passed over: a restored backup must not
        revive a revoked key. Raises SnapshotUnreadable once for each unreadable file.
        """
        try:
            found = (self._directory / NAME).stat()
        except FileNotFoundError:
            return None
        seen = (found.st_ino, found.st_size, found.st_mtime_ns)
        if seen == self._seen:
            return None
        self._seen = seen
        snapshot = read_snapshot(self._directory)
        if snapshot is None or snapshot.version < self._version:
            return None
        if snapshot.version > self._version:
            self._version = snapshot.version
            _note_seen(self._directory, snapshot.version)
        return snapshot


def _highest_seen(directory: Path) -> int:
    try:
        return int((directory / SEEN).read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return 0


def _note_seen(directory: Path, version: int) -> None:
    temporary = directory / f".{SEEN}.{os.getpid()}"
    temporary.write_text(str(version), encoding="ascii")
    temporary.replace(directory / SEEN)
