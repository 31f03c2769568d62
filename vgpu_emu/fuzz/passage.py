"""What carries chains between guest and VMM, and an oracle on it: all arrive, once, and as they were sent."""

from collections.abc import Mapping

from vgpu_emu.fuzz.model.case import Finding
from vgpu_emu.link.chain import Chain, Used


class Wire:
    """What carries chains between guest and VMM: each method gets what is sent and gives what arrives, in order."""

    def available(self, chain: Chain) -> list[Chain]:
        return [chain]

    def used(self, used: Used) -> list[Used]:
        return [used]

    def idle(self) -> list[Used]:
        """Nobody has anything to send just now: what was held back until then arrives."""
        return []


class Passage:
    """What is on its way. In which order it arrives, virtio leaves open."""

    def __init__(self) -> None:
        self._chains: dict[tuple[int, int], Chain] = {}
        self._used: dict[tuple[int, int], Used] = {}

    def sends(self, chain: Chain) -> None:
        self._chains[chain.queue, chain.head] = chain

    def arrives(self, chain: Chain) -> None:
        """Raises Finding."""
        sent = self._chains.pop((chain.queue, chain.head), None)
        if sent is None:
            raise Finding("I19", f"chain {chain.head} was made available once, and has arrived again")
        if chain != sent:
            raise Finding("I6", f"chain {chain.head} has arrived otherwise than it was sent")

    def answers(self, used: Used) -> None:
        self._used[used.queue, used.head] = used

    def returns(self, used: Used) -> None:
        """Raises Finding."""
        given = self._used.pop((used.queue, used.head), None)
        if given is None:
            raise Finding("I19", f"chain {used.head} has come back, and the device did not give it back")
        if used != given:
            raise Finding("I6", f"the answer to chain {used.head} has arrived otherwise than it was given")

    def clear(self) -> None:
        """Queues are emptied."""
        self._chains.clear()
        self._used.clear()

    def arrived(self) -> None:
        """Nothing is on its way any more. Raises Finding."""
        self._lost("is lost on its way to the device", self._chains)
        self._lost("is lost on its way to the driver", self._used)

    def _lost(self, how: str, left: Mapping[tuple[int, int], object]) -> None:
        for _queue, head in left:
            raise Finding("I19", f"chain {head} {how}")
