"""How long answers get: the output limit of a feature at a model, learned from the answers before."""

from bisect import insort
from collections import OrderedDict, deque

ENOUGH = 100
"""Answers before a limit is learned from them."""
REMEMBERED = 512
MAX_FEATURES = 4096
MARGIN_PERMILLE = 1_500
LEAST_TOKENS = 256


class _Answers:
    """The sizes of the latest answers, in order of age and of size."""

    __slots__ = ("by_age", "by_size", "floor")

    def __init__(self) -> None:
        self.by_age: deque[int] = deque()
        self.by_size: list[int] = []
        self.floor = 0

    def add(self, tokens: int) -> None:
        self.by_age.append(tokens)
        insort(self.by_size, tokens)
        if len(self.by_age) > REMEMBERED:
            self.by_size.remove(self.by_age.popleft())

    @property
    def limit(self) -> int | None:
        """The 99th percentile with a margin; never below what an answer was cut at."""
        count = len(self.by_size)
        if count < ENOUGH:
            return None
        high = self.by_size[min(count - 1, count * 99 // 100)]
        return max(LEAST_TOKENS, high * MARGIN_PERMILLE // 1000, self.floor)


class OutputLimits:
    """Limits by tenant, feature and model, in tokens; the one used longest ago is forgotten first."""

    def __init__(self) -> None:
        self._answers: OrderedDict[tuple[str, str, str], _Answers] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def of(self, tenant: str, feature: str, model: str) -> int | None:
        """The limit for the next answer; None until there are enough to tell."""
        found = self._answers.get((tenant, feature, model))
        return None if found is None else found.limit

    def learn(self, tenant: str, feature: str, model: str, tokens: int, *, cut_at: int | None = None) -> None:
        """Take in an answer; one that a limit of ours cut raises the next one to twice that."""
        place = tenant, feature, model
        found = self._answers.get(place)
        if found is None:
            found = self._answers[place] = _Answers()
            if len(self._answers) > MAX_FEATURES:
                self._answers.popitem(last=False)
        self._answers.move_to_end(place)
        found.add(tokens)
        if cut_at is not None:
            found.floor = max(found.floor, 2 * cut_at)
