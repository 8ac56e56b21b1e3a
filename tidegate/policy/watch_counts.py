"""How often something stood of late, in fixed memory; and a score that novelty takes down again."""


class Counts:
    """Counts of hashes over the last one to two generations, in two rows of bytes.

    Two hashes may share a place: a count may be too high, never too low. Keep `slots` (a power of two) four
    times a generation, and hardly one place in a thousand is shared by four.
    """

    __slots__ = ("_generation", "_left", "_mask", "_new", "_old")

    def __init__(self, slots: int, generation: int) -> None:
        assert slots & (slots - 1) == 0, "slots are a power of two"
        self._mask = slots - 1
        self._generation = self._left = generation
        self._old, self._new = bytearray(slots), bytearray(slots)

    def seen(self, hashed: int) -> int:
        """Count a hash; return how often it stood before, at most 255."""
        place = hashed & self._mask
        new, before = self._new, self._new[place]
        if before < 255:
            new[place] = before + 1
        before += self._old[place]
        self._left -= 1
        if not self._left:
            self._old, self._new, self._left = new, bytearray(len(new)), self._generation
        return min(before, 255)


class Quiet:
    """How long nothing new came: what is stale adds its length, what is new takes some away.

    `start` is where the quiet stretch began and `stale` how many stale things are in it. One hash of the
    stretch, the anchor, shows how far apart its repeats are.
    """

    __slots__ = ("_anchor", "_first", "_gaps", "_last", "length", "stale", "start")

    def __init__(self) -> None:
        self.length = 0.0
        self.stale = 0
        self.start = self._anchor = self._first = self._last = self._gaps = 0

    def add(self, length: float, hashed: int, at: int) -> None:
        """Count something stale that stands at `at`."""
        if not self.length:
            self.start = self._first = self._last = at
            self._anchor, self._gaps, self.stale = hashed, 0, 0
        elif hashed == self._anchor:
            self._last, self._gaps = at, self._gaps + 1
        self.length += length
        self.stale += 1

    def take(self, length: float) -> None:
        """Count something new, which pays for so much that is stale."""
        left = self.length - length
        self.length = left if left > 0 else 0.0

    @property
    def unit_chars(self) -> int:
        """About how far apart the repeats are; 0 where it is not known."""
        return (self._last - self._first) // self._gaps if self._gaps else 0
