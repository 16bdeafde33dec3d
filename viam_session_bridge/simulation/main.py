# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The executable ``simulated_machine``."""

import argparse
from collections.abc import Sequence
import signal
import sys
from typing import NoReturn

from viam_session_bridge import signals
from viam_session_bridge.configuration.table import HEARTBEAT_WINDOW
from viam_session_bridge.simulation.base import Driver
from viam_session_bridge.simulation.server import SimulatedMachine


def main(argv: Sequence[str] | None = None) -> int:
    """
    Serve until a signal asks for the end and return 0; 1 if the address cannot be used.

    Exits with 2 and one line on stderr for a bad argument.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    # Blocked here and in all threads to come, and for good: a second one cuts no exit short.
    ending = signals.ending()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    try:
        machine = SimulatedMachine(
            arguments.address,
            arguments.bases,
            arguments.window,
            arguments.record,
            Driver(arguments.drive_time, arguments.stop_time, arguments.ignore_cancel),
        )
    except (OSError, ValueError) as error:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if isinstance(error, ValueError):
            parser.error(str(error))
        if error.filename is not None:
            parser.error(f'argument --record: cannot append to {error.filename}: {error.strerror}')
        print(f'{parser.prog}: {error}', file=sys.stderr)
        return 1
    with machine:
        print(
            f'simulated machine listening on {machine.address}, without TLS:'
            f' bases {", ".join(arguments.bases)}; heartbeat window {arguments.window:g} s',
            flush=True,
        )
        signal.sigwait(ending)
    return 0


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f'{self.prog}: {message}; see --help\n')


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog='simulated_machine',
        description='A Viam machine with simulated bases: real gRPC, real sessions, no hardware.',
    )
    parser.add_argument(
        '--address', default='127.0.0.1:8080', metavar='HOST:PORT',
        help='where to listen, or unix:PATH; port 0 takes a free one (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--bases', nargs='+', default=['base'], metavar='NAME',
        help='the names of the bases (default: base)',
    )  # fmt: skip
    parser.add_argument(
        '--window', type=float, default=2.0, metavar='SECONDS',
        help=f'heartbeat window, {HEARTBEAT_WINDOW} (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--record', metavar='FILE', help='append every call to this file, as JSON Lines'
    )
    parser.add_argument(
        '--drive-time', type=float, default=0.0, metavar='SECONDS',
        help='how long SetVelocity and SetPower take; inf: they hang (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--stop-time', type=float, default=0.0, metavar='SECONDS',
        help='how long Stop takes; inf: it hangs (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--ignore-cancel', action='store_true',
        help='a call takes effect though the next one cancelled it, or its caller gave up',
    )  # fmt: skip
    # What a launch file's Node adds, with all after it.
    parser.add_argument('--ros-args', nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser
