"""The next kick, waited for beside the scheduler for a moment.

A guest that waits for an answer kicks again some microseconds after it has got it. To hand that wait to the event loop
and back costs more than the command; so whoever takes kicks looks for the next one itself, as hosts poll for a moment
before they let a virtual CPU sleep. Everybody else's descriptors are looked at too, and get their turn.
"""

import select
from collections.abc import Iterable

#: milliseconds without a kick, and kicks in a row, after which everybody else gets a turn
_MOMENT, _TURNS = 1, 128


class KickWatch:
    """kick: an eventfd. others: descriptors that somebody else waits for; -1 is none."""

    def __init__(self, kick: int, others: Iterable[int]) -> None:
        self._poll = select.poll()
        for fileno in {kick, *others} - {-1}:
            self._poll.register(fileno, select.POLLIN)
        self._kick = kick
        self._left = _TURNS

    def kicked(self) -> bool:
        """Wait for a moment. True: there is a kick, and nothing else to do."""
        self._left -= 1
        if self._left < 0:
            return False
        return [fileno for fileno, _ in self._poll.poll(_MOMENT)] == [self._kick]
