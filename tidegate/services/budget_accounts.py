"""The sums of budgets' accounts: what is spent and held of each, by window."""

from dataclasses import dataclass, field

from tidegate.model.budget import Budget
from tidegate.policy.budget import SECOND_US, Standing, slice_us, window_of


@dataclass(slots=True)
class Spell:
    """One window of one account."""

    spent: int = 0
    held: int = 0
    raised: int = 0


@dataclass(slots=True)
class Sums:
    """What is known of one account by name. `latest_us` is the last window that it was in."""

    spells: dict[int, Spell] = field(default_factory=dict)
    latest_us: int = 0

    def of(self, window_us: int) -> Spell:
        """The sums of a window, made where there are none."""
        found = self.spells.get(window_us)
        if found is None:
            found = self.spells[window_us] = Spell()
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """One budget for one set of values."""

    budget: Budget
    name: str
    sums: Sums

    def standing(self, now_us: int) -> Standing:
        """How it stands now. A clock that goes back reopens no window (case F18)."""
        budget, window, sums = self.budget, self.budget.window, self.sums
        window_us, end_us = window_of(window, now_us)
        if window_us < sums.latest_us:
            window_us, end_us = window_of(window, sums.latest_us)
        elif window_us > sums.latest_us:
            sums.latest_us = window_us
            _forget(sums.spells, window_us - window.seconds * SECOND_US)
        resets_us: int | None = end_us
        if window.kind == "rolling":
            spent, held, raised, resets_us = self._rolling(window_us)
        else:
            spell = sums.spells.get(window_us)
            spent, held, raised = (spell.spent, spell.held, spell.raised) if spell else (0, 0, 0)
            if window.kind == "total":
                resets_us = None
        return Standing(
            budget=budget,
            account=self.name,
            limit=budget.limit + raised,
            spent=spent,
            held=held,
            window_us=window_us,
            resets_us=resets_us,
        )

    def is_idle(self, now_us: int) -> bool:
        """Whether nothing of it counts any more, so that forgetting it changes nothing."""
        standing = self.standing(now_us)
        return not (standing.spent or any(one.held for one in self.sums.spells.values()))

    def _rolling(self, window_us: int) -> tuple[int, int, int, int]:
        """Sums over the slices that count, everything held, and when the oldest slice comes free."""
        window = self.budget.window
        span_us = window.seconds * SECOND_US
        spent = held = raised = 0
        first_us = window_us
        for start_us, spell in self.sums.spells.items():
            held += spell.held
            if start_us >= window_us - span_us:
                spent, raised = spent + spell.spent, raised + spell.raised
                if spell.spent:
                    first_us = min(first_us, start_us)
        return spent, held, raised, first_us + span_us + slice_us(window)


def _forget(spells: dict[int, Spell], before_us: int) -> None:
    """Drop windows that are over and hold nothing."""
    for start_us in [at for at, spell in spells.items() if at < before_us and not spell.held]:
        del spells[start_us]
