# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The machine sessions of one machine: one for every client session.

- R11: a machine session is started when its client's first command is about to go out, is kept
  alive by the commands themselves and by heartbeats while the client session is alive, and is left
  to lapse afterwards: there is no EndSession. A client's next session resumes it once the stops of
  its bases are final. A machine has at most ``max_sessions`` of them, ended ones and starts that
  had no answer included.
- R13: one that the machine no longer knows is started anew, resuming the old id. Answers for an id
  that was replaced are ignored.
- R15: a machine that has no sessions is driven only with ``allow_unsupervised``.

Pure: time is handed in, calls are named by numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import heapq

from viam_session_bridge.bounds import BoundedDict
from viam_session_bridge.configuration.model import MachineConfiguration
from viam_session_bridge.core.events import (
    MachineEvent,
    MachineSessionExpired,
    MachineSessionFailed,
    MachineSessionStarted,
    Unsupervised,
)
from viam_session_bridge.core.requests import Answer, Outcome
from viam_session_bridge.core.timing import NEVER

LONGEST_WINDOW = 60.0  # s, viam-server's upper bound: assumed until the machine's own is known
BEATS_PER_WINDOW = 5  # as Viam's SDKs do
STARTED_REMEMBERED = 2048  # ids, more than a machine lists

Stopped = Callable[[str], bool]


@dataclass
class MachineSession:
    """
    The machine session of a client session.

    :param sid: its id, empty until it was started
    :param resume: the id to resume at the start
    :param used: s, when it was last used or heartbeated, by the time of handing over
    :param ended: whether the client session ended; it then only waits to lapse
    """

    client: str
    session: int
    sid: str = ''
    resume: str = ''
    used: float = 0.0
    ended: bool = False
    starting: bool = False
    beat_entry: int = 0  # which of the heap's entries counts


class MachineSessions:
    """All machine sessions of one machine."""

    def __init__(self, machine: MachineConfiguration, events: list[MachineEvent]) -> None:
        """Start without any; what happens is added to ``events``."""
        self.machine = machine.name
        self.window = 0.0  # s, the machine's; 0 until it is known
        self.unsupervised = False  # it has no sessions, and is driven all the same (R15)
        self._events = events
        self._max_sessions = machine.max_sessions
        self._call_timeout = machine.call_timeout
        self._allow_unsupervised = machine.allow_unsupervised
        self.live: dict[int, MachineSession] = {}  # by client session, of those that live
        self._resting: list[MachineSession] = []  # ended, and not lapsed as far as we know
        self._by_sid: dict[str, MachineSession] = {}
        self.started: BoundedDict[str, None] = BoundedDict(STARTED_REMEMBERED)  # ids of ours
        self._by_call: dict[int, MachineSession] = {}  # starts and heartbeats in flight
        self._lost_starts: list[float] = []  # when those lapse that may have been started
        # (due, call, id) of heartbeats: an entry is put right when it comes up.
        self._beats: list[tuple[float, int, str]] = []

    def has_room(self, client: str, session: int | None, stopped: Stopped, now: float) -> bool:
        """
        Whether a command of this client session can have a machine session (R11).

        :param session: None where the command would start one
        :param stopped: see :meth:`open`
        """
        own = self.live.get(session or 0)
        if own is not None and (own.sid or own.starting):
            return True
        resting = sum(not self._is_lapsed(one, now) for one in self._resting)
        taken = len(self.live) + resting + sum(at > now for at in self._lost_starts)
        if own is not None or self._resumable(client, stopped, now) is not None:
            return taken <= self._max_sessions  # it is counted already
        return taken < self._max_sessions

    def open(self, client: str, session: int, stopped: Stopped, now: float) -> None:
        """
        Give a client session a machine session: an ended one of its client's, or a new one.

        :param stopped: whether the stops of all bases that an id used last are final (R11)
        """
        self._forget_lapsed(now)
        own = self._resumable(client, stopped, now)
        if own is None:
            own = MachineSession(client, session)
        else:
            self._forget(own)
            own.session, own.ended = session, False
            own.sid, own.resume = '', own.sid or own.resume
        self.live[session] = own

    def ended(self, session: int) -> None:
        """Leave the machine session of a client session that ended to lapse."""
        machine_session = self.live.pop(session, None)
        if machine_session is None:
            return
        machine_session.ended = True
        if machine_session.sid or machine_session.resume or machine_session.starting:
            self._resting.append(machine_session)

    def start(self, machine_session: MachineSession, number: int, now: float) -> None:
        """Note that a start is handed over."""
        machine_session.starting, machine_session.used = True, now
        self._by_call[number] = machine_session

    def start_answered(self, number: int, answer: Answer, now: float) -> MachineSession | None:
        """Handle the answer of a start; return the machine session if its client session lives."""
        machine_session = self._by_call.pop(number)
        machine_session.starting = False
        if answer.outcome is Outcome.OK:
            resumed = answer.sid == machine_session.resume
            machine_session.sid, machine_session.resume = answer.sid, ''
            machine_session.used = max(machine_session.used, now - self._call_timeout)
            self._by_sid[answer.sid] = machine_session
            self.started[answer.sid] = None
            self.window = answer.window
            self._push_beat(machine_session, number)
            self._events.append(
                MachineSessionStarted(
                    self.machine, machine_session.client, answer.sid, resumed, now
                )
            )
        elif answer.outcome is Outcome.UNIMPLEMENTED and self._allow_unsupervised:
            if not self.unsupervised:
                self.unsupervised = True
                self._events.append(Unsupervised(self.machine, now))
        else:
            if not answer.outcome.answered:
                self._lost_starts.append(self._lapses_at(now))
            self._events.append(
                MachineSessionFailed(self.machine, machine_session.client, answer.detail, now)
            )
        if machine_session.ended and not machine_session.sid and not machine_session.resume:
            self._forget(machine_session)
        return None if machine_session.ended else machine_session

    def beats_due(self, now: float) -> list[MachineSession]:
        """Return the machine sessions to be heartbeated now: their client sessions live (R11)."""
        due = []
        while self._beats and self._beats[0][0] <= now:
            _, number, sid = heapq.heappop(self._beats)
            machine_session = self._by_sid.get(sid)
            if machine_session is None or machine_session.ended:
                continue
            if machine_session.beat_entry != number:
                continue  # a resume or an answer has pushed another
            if self.beat_at(machine_session) <= now:
                due.append(machine_session)
            else:
                self._push_beat(machine_session, number)
        return due

    def next_beat(self) -> float:
        """Return when to ask for :meth:`beats_due` next; it may turn out to be early."""
        return self._beats[0][0] if self._beats else NEVER

    @property
    def beats_every(self) -> float:
        """Return the pause between two heartbeats, in s."""
        return self.window / BEATS_PER_WINDOW

    def beat_at(self, machine_session: MachineSession) -> float:
        """Return when a machine session is to be heartbeated, if it lives then."""
        return machine_session.used + self.beats_every

    def beat(self, machine_session: MachineSession, number: int, now: float) -> None:
        """Note that a heartbeat is handed over; the next is due after its answer."""
        machine_session.used = now
        self._by_call[number] = machine_session

    def beat_answered(self, number: int, sid: str, answer: Answer, now: float) -> str | None:
        """Handle the answer of a heartbeat for an id; return as :meth:`expired` does."""
        machine_session = self._by_call.pop(number)
        if answer.outcome is Outcome.SESSION_EXPIRED:
            return self.expired(sid, now)
        if machine_session.sid == sid and not machine_session.ended:
            self._push_beat(machine_session, number)
        return None

    def expired(self, sid: str, now: float) -> str | None:
        """
        Note that the machine does not know an id any more: the next start resumes it (R13).

        :return: its client; None where the id was replaced already, such answers are ignored
        """
        machine_session = self._by_sid.pop(sid, None)
        if machine_session is None:
            return None
        machine_session.sid, machine_session.resume = '', sid
        if machine_session.ended:
            self._resting.remove(machine_session)
        self._events.append(
            MachineSessionExpired(self.machine, machine_session.client, sid, now)
        )
        return machine_session.client

    def used(self, sid: str, now: float) -> None:
        """Note that a call under this id is handed over, which keeps it alive (R11)."""
        machine_session = self._by_sid.get(sid)
        if machine_session is not None:
            machine_session.used = now

    def lapses_by(self, sid: str) -> float:
        """Return when the machine ends this session if nothing more comes, 0 if it is unknown."""
        machine_session = self._by_sid.get(sid)
        return machine_session.used + self.window if machine_session is not None else 0.0

    def is_valid(self, sid: str, now: float) -> bool:
        """Whether the machine still knows this id, as far as the bridge can tell."""
        return sid in self._by_sid and not self._is_lapsed(self._by_sid[sid], now)

    def foreign(self, answer: Answer, now: float) -> int:
        """
        Return how many of the sessions that the machine lists are not this bridge's (R16).

        Where it cannot tell there are none.
        """
        if answer.outcome is not Outcome.OK:
            return 0
        # A start may have made one whose id is not known yet, or never will be.
        starting = sum(one.starting for one in (*self.live.values(), *self._resting))
        foreign = sum(sid not in self.started for sid in answer.sids)
        lost = sum(at > now for at in self._lost_starts)
        return max(foreign - lost - starting, 0)

    def forget_unsupervised(self) -> None:
        """Ask again whether the machine has sessions: after an outage it may be another."""
        self.unsupervised = False

    def _resumable(self, client: str, stopped: Stopped, now: float) -> MachineSession | None:
        for resting in self._resting:
            sid = resting.sid or resting.resume
            of_client = resting.client == client and not resting.starting
            if of_client and not self._is_lapsed(resting, now) and stopped(sid):
                return resting
        return None

    def _is_lapsed(self, machine_session: MachineSession, now: float) -> bool:
        """Whether an ended one has lapsed by now; one that is being started may yet begin."""
        waits = machine_session.ended and not machine_session.starting
        return waits and self._lapses_at(machine_session.used) <= now

    def _push_beat(self, machine_session: MachineSession, number: int) -> None:
        machine_session.beat_entry = number
        entry = (self.beat_at(machine_session), number, machine_session.sid)
        heapq.heappush(self._beats, entry)

    def _forget(self, resting: MachineSession) -> None:
        self._resting.remove(resting)
        self._by_sid.pop(resting.sid, None)

    def _lapses_at(self, used: float) -> float:
        return used + (self.window or LONGEST_WINDOW) + self._call_timeout

    def _forget_lapsed(self, now: float) -> None:
        for resting in [one for one in self._resting if self._is_lapsed(one, now)]:
            self._forget(resting)
        self._lost_starts = [at for at in self._lost_starts if at > now]
