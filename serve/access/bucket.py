"""A token bucket: so much a minute, as a burst or steadily."""

from __future__ import annotations

# Whoever waited as long as was said is let in, whatever the last bit of the sum is.
_NOTHING = 1e-6


class Bucket:
    """Holds what may be taken: `size` at first and at most, filled at `size` a minute. Times are seconds of one clock.

    It may be taken below empty, where what something costs is known only when it is over; then it is filled up from
    there, so that over any time no more than `size` and `size` a minute is taken, but for what was under way.
    """

    def __init__(self, size: int, now: float) -> None:
        self.size = size
        self._level = float(size)
        self._at = now

    def level(self, now: float) -> float:
        """What may be taken; below 0: how much too much was."""
        if now > self._at:
            self._level = min(float(self.size), self._level + (now - self._at) * self.size / 60)
            self._at = now
        return self._level

    def take(self, amount: float, now: float) -> None:
        """Take it, whatever is there."""
        self._level = self.level(now) - amount

    def wait(self, level: float, now: float) -> float:
        """Seconds until so much is there; 0: now."""
        missing = level - self.level(now)
        return 0.0 if missing < _NOTHING else missing * 60 / self.size
