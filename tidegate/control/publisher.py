"""Publishes what gateways must know: the configuration and the decisions, as one snapshot."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from tidegate.config.settings import Settings
from tidegate.control.registry import Registry
from tidegate.model.budget import Budget
from tidegate.model.errors import ConfigError, Unavailable
from tidegate.model.price import PriceSection
from tidegate.model.provider import Provider
from tidegate.providers.targets import price_section
from tidegate.services.budget_rules import (
    budget_wait_us_of,
    budgets_of,
    unpriced_hold_nano_of,
    with_pseudonyms,
)
from tidegate.services.clock import Clock
from tidegate.services.deployments import survey
from tidegate.services.policies import (
    keep_alive_us_of,
    last_resorts_of,
    policies_of,
    scopes_of,
    spend_rules_of,
)
from tidegate.stores.snapshot import Snapshot, SnapshotUnreadable, read_snapshot, write_snapshot


class Publisher:
    """Writes snapshots, each with a higher version than the one before, also across restarts."""

    def __init__(
        self, directory: Path, settings: Settings, catalog: Mapping[str, Provider], clock: Clock
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._catalog = catalog
        self._settings = settings
        self._version = _last_version(directory)
        self.is_behind = True

    @property
    def version(self) -> int:
        """The highest version that was given to a snapshot."""
        return self._version

    def configure(self, settings: Settings) -> None:
        """Take another configuration into the next snapshot."""
        self._settings, self.is_behind = settings, True

    def budgets(self, registry: Registry) -> tuple[Budget, ...]:
        """The budgets of the configuration, people in them by their pseudonyms."""
        known = registry.known
        budgets = budgets_of(self._settings)
        return tuple(with_pseudonyms(budget, known.tenants, known.pseudonyms) for budget in budgets)

    def publish_soon(self, registry: Registry) -> None:
        """Publish now, or say that it will be done when the disk takes it: the decision itself is kept.

        Raises Unavailable in the second case.
        """
        try:
            self.publish(registry)
        except OSError as error:
            raise Unavailable(
                f"The decision is recorded, but gateways cannot be told yet: {error.strerror}. "
                "It is tried again until it works."
            ) from error

    def publish(self, registry: Registry) -> Snapshot:
        """Write the snapshot in force from now on. Raises ConfigError when no deployment list can be made."""
        settings, self.is_behind = self._settings, True
        deployments, problems = survey(settings, self._catalog)
        errors = [problem for problem in problems if problem.level == "error"]
        if errors:
            raise ConfigError(errors[0].message, param=errors[0].path)
        now_us = self._clock.wall_us()
        # A restored backup may hold an old version: time keeps the new one above what gateways have seen.
        self._version = max(self._version + 1, now_us // 1_000_000)
        snapshot = Snapshot(
            version=self._version,
            made_at_us=now_us,
            keys=registry.keys,
            deployments=deployments,
            aliases=settings.aliases,
            prices=self._prices(registry),
            unpriced=settings.policy.unpriced,
            currency=settings.report.currency,
            policies=policies_of(settings),
            limits=scopes_of(settings),
            spend_limits=spend_rules_of(settings),
            last_resort=last_resorts_of(settings),
            keep_alive_us=keep_alive_us_of(settings),
            keep_responses_s=settings.policy.keep_responses_s,
            budgets=self.budgets(registry),
            raises=registry.raises_shipped(),
            budget_wait_us=budget_wait_us_of(settings),
            output_limits=settings.policy.output_limits,
            default_output_tokens=settings.policy.default_output_tokens,
            unpriced_hold_nano=unpriced_hold_nano_of(settings),
            passing=settings.policy.pass_through,
            passing_shared=settings.policy.pass_through_shared,
        )
        write_snapshot(self._directory, snapshot)
        self.is_behind = False
        return snapshot

    def _prices(self, registry: Registry) -> PriceSection:
        """The operator's prices, and the imported rates before the operator's: of one day the last holds."""
        section = price_section(self._settings, self._catalog)
        return msgspec.structs.replace(section, fx=(*registry.rates_shipped(), *section.fx))


def _last_version(directory: Path) -> int:
    try:
        last = read_snapshot(directory)
    except SnapshotUnreadable:
        return 0
    return last.version if last else 0
