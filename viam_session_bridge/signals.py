# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The signals that ask a process to end, and what they do from its first line to its last moment.

More than one comes often: launch repeats a terminal's Ctrl-C, and a terminal that is closed sends
SIGHUP to all of its processes before whoever started them sends SIGTERM.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import signal
import sys
from typing import NoReturn

INTERRUPTED = 130  # as shells have it


def ending() -> tuple[signal.Signals, ...]:
    """
    Return the signals that ask this process to end.

    SIGHUP says that the terminal or ssh was closed. A process that was started with it ignored,
    as nohup does, is to outlive that. SIGINT counts in any case: a shell ignores it in what it
    starts in the background, and a launch there passes that on to its nodes.
    """
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return signal.SIGINT, signal.SIGTERM
    return signal.SIGINT, signal.SIGTERM, signal.SIGHUP


def end_at_once() -> None:
    """
    Have each of them end the process as the system does; for a start, while nothing moves.

    It works in native code that blocks, where no handler of Python's runs, and Ctrl-C leaves no
    traceback of a half-done import. SIGTERM and SIGHUP do so by themselves.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupt_once() -> None:
    """Have the first of them raise KeyboardInterrupt on the main thread, and no other later."""
    numbers = ending()

    def interrupt(*_: object) -> NoReturn:
        for number in numbers:
            signal.signal(number, lambda *_: None)
        raise KeyboardInterrupt

    for number in numbers:
        signal.signal(number, interrupt)


@contextmanager
def held_back() -> Iterator[None]:
    """
    Delay each of them to the end of the block, so that none interrupts it; on the main thread.

    To block them in the system would not do where a process is started: it inherits that.
    """
    came: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, _: came.append(number)) for number in ending()
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)


def run(main: Callable[[], int]) -> NoReturn:
    """
    End the process with what `main` returns, whatever signal still comes.

    The interpreter gives each signal that has a handler of Python's back to the system when it
    ends, which would then kill the process and change its exit status. One that is ignored stays
    ignored.
    """
    try:
        try:
            status = main()
        finally:
            for number in ending():
                signal.signal(number, signal.SIG_IGN)
    except KeyboardInterrupt:  # that main has no answer to, or that came behind it
        status = INTERRUPTED
    sys.exit(status)
