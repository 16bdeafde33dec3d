# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The event log: one JSON object a line for each event, rotated (parameter ``event_log``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import fcntl
from io import TextIOWrapper
import json
import logging
from logging.handlers import RotatingFileHandler
import os
import sys
import time

from viam_session_bridge.core import actions, events
from viam_session_bridge.core.bridge import Event
from viam_session_bridge.core.events import SID_SHOWN

MAX_BYTES = 10_000_000
FILES_KEPT = 3


@dataclass(frozen=True)
class LogOpened:
    """A bridge begins: its sessions are numbered from 1, and no machine is connected yet."""

    at: float


@dataclass(frozen=True)
class LogClosed:
    """The bridge was shut down; one that was killed does not say so."""

    at: float


Logged = Event | LogOpened | LogClosed
# What `event` is in the log, for each kind of event; part of the interface.
EVENT_NAMES: dict[type[Logged], str] = {
    actions.Stop: 'stop',
    actions.SessionStarted: 'session_started',
    actions.SessionEnded: 'session_ended',
    actions.TakenOver: 'taken_over',
    actions.Refused: 'refused',
    events.StopAcknowledged: 'stop_acknowledged',
    events.StopFinal: 'stop_final',
    events.StopFailed: 'stop_failed',
    events.StopTimedOut: 'stop_timed_out',
    events.StopOverdue: 'stop_overdue',
    events.StopGivenUp: 'stop_given_up',
    events.StillMoving: 'still_moving',
    events.LeftToMachine: 'left_to_machine',
    events.AtRest: 'at_rest',
    events.MotionUnknown: 'motion_unknown',
    events.ForeignSessions: 'foreign_sessions',
    events.BaseUnknown: 'base_unknown',
    events.BaseKnown: 'base_known',
    events.CommandFailed: 'command_failed',
    events.CommandDropped: 'command_dropped',
    events.CommandDisplaced: 'command_displaced',
    events.CallsTakeLonger: 'calls_take_longer',
    events.CallsInTime: 'calls_in_time',
    events.CommandsSucceed: 'commands_succeed',
    events.CommandsTimeOut: 'commands_time_out',
    events.MachineSessionStarted: 'machine_session_started',
    events.MachineSessionExpired: 'machine_session_expired',
    events.MachineSessionFailed: 'machine_session_failed',
    events.Unsupervised: 'unsupervised',
    events.ChannelChanged: 'channel_changed',
    events.MachineAbsent: 'machine_absent',
    events.AccessRefused: 'access_refused',
    events.MachineClosed: 'machine_closed',
    LogOpened: 'log_opened',
    LogClosed: 'log_closed',
}


class EventLog:
    """
    Writes events to a file and its rotated predecessors (``PATH.1`` the youngest).

    Each line has ``event`` (the kind, ``session_ended``), ``wall`` (s since the epoch when it was
    written) and the event's own fields; their times are s on the steady clock (CLOCK_MONOTONIC).
    A line about a client has the ``node`` and ``topic`` of its publisher, '' where not known.
    A disk that is full loses lines, never the bridge. A pipe or a terminal is not rotated.
    """

    def __init__(
        self, path: str, describe: Callable[[str], tuple[str, str]] | None = None
    ) -> None:
        """
        Open the file for appending, with OSError where that cannot be done, or another has it.

        :param describe: a client's node and topic
        """
        self._describe = describe
        self.unwritten = 0
        self._handler: logging.Handler
        if os.path.exists(path) and not os.path.isfile(path):
            self._handler = _StreamHandler(path)
        else:
            self._handler = _LockedFileHandler(path, maxBytes=MAX_BYTES, backupCount=FILES_KEPT)
        self._failure = ''
        self._handler.handleError = self._note_failure  # type: ignore[method-assign]
        self.write(LogOpened(time.monotonic()))

    def write(self, *logged: Logged) -> str:
        """
        Write events, all at once: what the file costs is paid once.

        :return: why they could not be written, '' where they were; ``unwritten`` counts them
        """
        self._failure = ''
        if logged:
            lines = '\n'.join(map(self._line, logged))
            self._handler.emit(logging.makeLogRecord({'msg': lines}))
        if self._failure:
            self.unwritten += len(logged)
        return self._failure

    def close(self) -> None:
        """Close the file."""
        self.write(LogClosed(time.monotonic()))
        self._handler.close()

    def _note_failure(self, record: logging.LogRecord) -> None:
        self._failure = str(sys.exc_info()[1])

    def _line(self, event: Logged) -> str:
        line = {'event': EVENT_NAMES[type(event)], 'wall': time.time(), **vars(event)}
        if 'sid' in line:
            line['sid'] = line['sid'][:SID_SHOWN]
        if line.get('client') and self._describe is not None:
            line['node'], line['topic'] = self._describe(line['client'])
        return json.dumps(line, default=vars)  # an event may hold another, such as a stop


class _LockedFileHandler(RotatingFileHandler):
    """Rotates a file that it alone writes; OSError where another process does so already."""

    def _open(self) -> TextIOWrapper:
        stream = super()._open()
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
            raise BlockingIOError(
                f'{self.baseFilename} is written by another process: give each bridge an '
                'event_log of its own'
            ) from None
        except OSError:
            pass  # a file system without locks
        return stream


class _StreamHandler(logging.FileHandler):
    """Of a pipe or a terminal. A pipe that nobody reads is refused (OSError), not waited for."""

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
        os.set_blocking(descriptor, True)
        return open(descriptor, 'a', encoding='utf-8')
