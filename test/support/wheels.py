# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a base moves, read off the record of what turns its wheels."""

from __future__ import annotations

from collections.abc import Sequence
import time

from support.bounds import Load
from support.bridge_process import WINDOW
from support.drive import observe, wait_for
from support.raw_client import RawClient
from support.viam_server import ViamServer


class Wheels:
    """
    What turns the wheels of a base, as the record has it; its times are those of effects.

    :param movers: the names of the base's motors in the record, its own if it has none there
    :param takes: how long its Stop takes, in s
    """

    def __init__(
        self,
        server: ViamServer,
        base: str,
        load: Load,
        movers: Sequence[str] = (),
        takes: float = 0.0,
    ) -> None:
        self.topic = f'/{base}/cmd_vel'
        self.takes = takes
        self._server, self._name, self._load = server, base, load
        self._movers = tuple(movers) or (base,)

    def rests(self, since: float = 0.0) -> list[float]:
        """Return when the base came to rest, since then."""
        return [at for at, moving in self._changes() if not moving and at >= since]

    @property
    def moving(self) -> bool:
        """Whether the base moves now."""
        return bool(self._changes() and self._changes()[-1][1])

    def wait_moving(self) -> float:
        """Wait until the base moves, and return since when."""
        wait_for(lambda: self.moving, f'{self._name} moves')
        return self._changes()[-1][0]

    def wait_rest(self, since: float, seconds: float) -> float:
        """Wait until the base came to rest, hold it to so many seconds, and return when."""
        rest = float(wait_for(lambda: self.rests(since), f'{self._name} comes to rest')[0])
        self._load.hold(rest - since, seconds, since, rest, f'the rest of {self._name}')
        return rest

    def keeps_moving(self, since: float, seconds: float) -> None:
        """Watch for so many seconds that the base does not rest; nor did it since then."""
        observe(seconds, lambda: self._driven_on(since))
        moving = self.moving
        self._driven_on(since)
        self._expect(moving, 'rests')

    def keeps_still(self, seconds: float) -> None:
        """Watch for so many seconds that the base does not move, and ask it in the end."""
        observe(seconds, lambda: self._expect(not self.moving, 'moves'))
        with RawClient(self._server.address) as raw:
            self._expect(not raw.is_moving(self._name), 'says that it moves')

    def _driven_on(self, since: float) -> None:
        """Assert that the base did not rest; a publisher that a stall holds up lapses, though."""
        if self.rests(since):
            what = f'{self._name} rested: {self._changes()[-10:]}'
            raise self._load.failure(what, since, time.monotonic(), WINDOW / 2)

    def _expect(self, true: bool, what: str) -> None:
        assert true, f'{self._name} {what}: {self._changes()[-10:]}'

    def _changes(self) -> list[tuple[float, bool]]:
        """Return when the base began to move or came to rest, and which of both."""
        turning = dict.fromkeys(self._movers, False)
        changes: list[tuple[float, bool]] = []
        for entry in self._server.record.calls():
            if entry.base in turning and entry.takes_effect:
                turning[entry.base] = entry.is_motion
                moving = any(turning.values())
                if moving != bool(changes and changes[-1][1]):
                    changes.append((entry.t, moving))
        return changes
