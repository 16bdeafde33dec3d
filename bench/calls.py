# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
How many functions of ours a command, its answer and a lapse run: `python -m bench.calls`.

Counts calls, and how often they pass from one module to another, from the runtime's door to
gRPC's: of one base that is driven on a simulated machine in this process. Counts are exact, so
that nothing is compared and no machine has to be idle.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
import sys
import threading
import time
from types import FrameType
from typing import Any

from support.drive import wait_for
from support.shell_run import settings
import viam_session_bridge
from viam_session_bridge.core.velocity import Velocity
from viam_session_bridge.runtime import Runtime
from viam_session_bridge.simulation.server import SimulatedMachine

PACKAGE = str(Path(viam_session_bridge.__file__).parent)
NOT_COUNTED = f'{PACKAGE}/simulation/'
WARM_UP = 20  # commands
WINDOW = 0.5  # s
CALL_TIMEOUT = 0.25  # s


class Trace:
    """The calls of functions of ours, thread by thread."""

    def __init__(self) -> None:
        """Begin to note them, on threads that start from now on and on this one."""
        self._calls: list[tuple[str, str, str]] = []
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        path = code.co_filename
        if event == 'call' and path.startswith(PACKAGE) and not path.startswith(NOT_COUNTED):
            name = threading.current_thread().name
            self._calls.append((name, path.removeprefix(f'{PACKAGE}/'), code.co_name))

    def take(self) -> list[tuple[str, str, str]]:
        """Return what was noted since the last time: thread, module, function."""
        calls, self._calls = self._calls, []
        return calls

    def end(self) -> None:
        """Note no more."""
        threading.setprofile(None)
        sys.setprofile(None)


def counts(calls: list[tuple[str, str, str]]) -> tuple[int, int]:
    """Return how many calls there were, and how many came from another module's."""
    modules = [module for _, module, _ in calls]
    return len(calls), sum(one != other for one, other in pairwise(modules))


def main() -> None:
    """Count, and print."""
    with SimulatedMachine() as machine:
        configuration = settings({'base': 'main'}, {'main': machine.address}, WINDOW, CALL_TIMEOUT)
        failures: list[BaseException] = []
        trace = Trace()
        runtime = Runtime(configuration, lambda: None, failures.append)
        runtime.start()
        runtime.activate()
        wait_for(
            lambda: runtime.look(lambda bridge, _: bridge.machines['main'].ready), 'a connection'
        )
        for number in range(WARM_UP + 1):
            trace.take()
            runtime.command('client', '/base', Velocity(0.1 + number / 1000, 0.0, 0.0))
            time.sleep(0.05)
        of_command = trace.take()
        main_thread = threading.current_thread().name
        rest: list[tuple[str, str, str]] = []

        def has_lapsed() -> bool:
            rest.extend(trace.take())
            names = [name for _, _, name in rest]
            return '_end' in names and 'answered' in names[names.index('_end') :]

        wait_for(has_lapsed, 'the stop of the lapse is answered')
        trace.end()
        runtime.deactivate()
        runtime.wait_closed(2.0)
        runtime.close()
    if failures:
        raise failures[0]
    command = [one for one in of_command if one[0] == main_thread]
    answer = [one for one in of_command if one[0] not in (main_thread, 'lapse clock')]
    clock = [one for one in rest if one[0] == 'lapse clock']
    first = next(i for i, one in enumerate(clock) if one[2] == '_end')
    begin = max(i for i, one in enumerate(clock[:first]) if one[2] == '_tick')
    end = next((i for i, one in enumerate(clock) if i > first and one[2] == '_tick'), len(clock))
    lapse = clock[begin:end]
    for name, calls in (('command', command), ('answer', answer), ('lapse', lapse)):
        number, changes = counts(calls)
        print(f'{name:<8} {number:4} calls {changes:4} changes of module')
        if '--list' in sys.argv:
            print(*(f'    {module}: {function}' for _, module, function in calls), sep='\n')


if __name__ == '__main__':
    main()
