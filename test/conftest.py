# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What all tests share."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
import gc
import os
import threading

# Read when grpc is imported: its handlers of fork() abort a child now and then, and here children
# are but started, by a process that has channels of its own.
os.environ['GRPC_ENABLE_FORK_SUPPORT'] = 'false'

from hypothesis import HealthCheck, settings
import pytest

from support.bounds import BoundMissedError, Load
from support.domains import own_domain, ros_environment

settings.register_profile('default', deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile('thorough', settings.get_profile('default'), max_examples=2000)
settings.load_profile(os.environ.get('HYPOTHESIS_PROFILE', 'default'))

EXCEEDED = 'exceeded a bound'  # s
SECOND_TRIES = 2  # of a run, for anything but a missed bound
THREADS = 40  # of a test process, ROS's and gRPC's with them

# Nothing here may open a window.
os.environ.pop('DISPLAY', None)
os.environ['MPLBACKEND'] = 'agg'


@pytest.fixture(autouse=True)
def own_ros_domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Keep each test in a ROS domain of its own, on this computer."""
    with own_domain() as domain:
        for name, value in ros_environment(domain).items():
            monkeypatch.setenv(name, value)
        yield domain
    # Cycles keep the participants of a test's nodes. Where a dozen are in one process, Fast DDS
    # now and then hangs as one of them ends.
    if len(os.listdir('/proc/self/task')) > THREADS:
        gc.collect()


@pytest.fixture
def own_threads() -> Callable[[], list[str]]:
    """Return what names the threads that a test started itself, whatever others left behind."""
    before = set(threading.enumerate())
    return lambda: sorted(thread.name for thread in set(threading.enumerate()) - before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, None, None]:
    """Note by how much a test exceeded a bound, see :mod:`support.bounds`."""
    load = getattr(item, 'funcargs', {}).get('load')
    if call.when == 'call' and isinstance(load, Load) and load.exceeded:
        item.user_properties.append((EXCEEDED, load.exceeded))
    yield


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run say how many tests there are to be: one that finds none is green otherwise."""
    parser.addoption('--at-least', type=int, default=0, help='fewer passed tests are a failure')


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run of too few tests, or of too many that only passed the second time."""
    reporter = session.config.pluginmanager.get_plugin('terminalreporter')
    if reporter is None:  # a worker of pytest-xdist
        return
    wanted: int = session.config.getoption('--at-least')
    passed = len(reporter.getreports('passed'))
    again = [report for report in reporter.getreports('rerun') if not _missed_a_bound(report)]
    wrong = []
    if passed < wanted:
        wrong.append(f'{passed} passed, --at-least {wanted}: too few were run')
    if len(again) > SECOND_TRIES:
        wrong.append(f'{len(again)} failed at first and missed no bound: {SECOND_TRIES} may')
    if wrong and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.ensure_newline()
        for line in wrong:
            reporter.write_line(line, red=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the tests that failed at first, and those whose bounds were widened."""
    if again := terminalreporter.getreports('rerun'):
        terminalreporter.section(f'{len(again)} failed at first and were run once more')
        for report in again:
            terminalreporter.line(f'{report.nodeid}: {_why(report)}')
    tests = {
        report.nodeid: float(seconds)
        for report in terminalreporter.getreports('passed')
        if report.when == 'call'
        for name, seconds in report.user_properties
        if name == EXCEEDED
    }
    if tests:
        terminalreporter.section(f'{len(tests)} passed as their bounds were widened for load')
        for test, seconds in tests.items():
            terminalreporter.line(f'{test}: {1e3 * seconds:.1f} ms beyond')


def _why(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, 'reprcrash', None)
    return str(report.longrepr if crash is None else crash.message)


def _missed_a_bound(report: pytest.TestReport) -> bool:
    return _why(report).partition(':')[0].endswith(BoundMissedError.__name__)
