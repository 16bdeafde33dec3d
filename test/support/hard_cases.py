# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Stops that could get lost, provoked on a real viam-server (R7 to R10, R13, R19, R20).

Each case provokes its trouble on so many bases, waits until all stops are final, has the bases'
record judged (:mod:`support.invariant`) and returns when each stop was due and when it took
effect: a stop is due when the session lapses, when the bridge learns of the failure, or when a
stray command takes effect. The bridge is its shell in this process (:mod:`support.shell_run`).
"""

from __future__ import annotations

from collections.abc import Callable
import math
from pathlib import Path
import time

from support.bounds import PATIENCE
from support.invariant import violations
from support.link import two_hosts
from support.raw_client import RawClient
from support.stage import CALL_TIMEOUT, LONG, Seen, stage, WINDOW
from support.viam_server import ViamServer
from viam_session_bridge.core.velocity import Velocity

TWICE = 2 * WINDOW  # s, a call_timeout in which a session lapses
OPEN = 0.3  # s that a Stop takes, long enough to be still open when something befalls it
FROZEN, CUT = 10.0, 4.0  # s, longer than a Stop may take
MACHINE_WINDOW = 1.5  # s, long enough for heartbeats on a busy computer

Case = Callable[[Path, int], list[Seen]]


def stop_fails(times: int, zero_too: bool) -> Case:
    """Let a lapse's stop fail so many times, and the zero velocity after it too (R7)."""

    def case(directory: Path, count: int) -> list[Seen]:
        with stage(directory, count) as on:
            for base in on.bases:
                on.moved(base, base)  # which a busy computer may stop as well
                on.server.control(
                    base, stop_failures=times, set_velocity_failures=int(zero_too)
                )
            lapses = {base: on.lapsed(base) for base in on.bases}
            seen = [on.stopped(base, due) for base, due in lapses.items()]
            on.rest()
            finals = [(event['stop'], event['tries']) for event in on.run.events('stop_final')]
            tries = [tries for stop, tries in finals if stop['at'] >= lapses[stop['base']]]
            assert tries == [times + 1] * count
        return seen

    return case


def hangs_at_the_lapse(directory: Path, count: int) -> list[Seen]:
    """Let a command hang when its session lapses: the stop waits for nothing (R7)."""
    seen = []
    with stage(directory, count, call_timeout=TWICE) as on:
        for base in on.bases:
            on.hang(base)
            seen.append(on.stopped(base, on.lapsed(base)))
            on.server.control(base, release=True)
        on.rest()
    return seen


def runs_after_the_stop(answered: bool) -> Case:
    """
    Let a command run after the stop that was sent beside it (R7).

    :param answered: or only after its deadline, when the bridge hears of it no more
    """

    def case(directory: Path, count: int) -> list[Seen]:
        seen = []
        with stage(directory, count, call_timeout=TWICE if answered else CALL_TIMEOUT) as on:
            for base in on.bases:
                on.hang(base)
                # Given up, it may run for a second; after that the stop is final.
                on.stopped(base, on.lapsed(base) if answered else on.failed(base))
                released = time.monotonic()
                on.server.control(base, release=True)
                stray = on.effect(base, lambda entry: entry.is_motion, released)
                seen.append(on.stopped(base, stray.t))
            on.rest()
        return seen

    return case


def runs_after_the_final_stop(directory: Path, count: int) -> list[Seen]:
    """Let a driver block for longer than anybody waits: R20 finds the base moving."""
    seen = []
    with stage(directory, count) as on:
        for base in on.bases:
            on.hang(base)
        for base in on.bases:
            final = on.final_after_a_timeout(base)
            on.server.control(base, release=True)
            stray = on.effect(base, lambda entry: entry.is_motion, final)
            seen.append(on.stopped(base, stray.t))
            on.run.wait_event('still_moving', base=base, stopped=True)
        on.rest(judge=False)
    return seen


def refused_while_heartbeats_go_on(directory: Path, count: int) -> list[Seen]:
    """Let the last command be refused; heartbeats keep the session alive (R10)."""
    seen = []
    with stage(directory, count) as on:
        for base in on.bases:
            on.run.stream(base, base, heartbeats=True)
            on.moved(base, base)
            on.run.runtime.command(base, f'/{base}', Velocity(math.nan))
            due = on.run.wait_event('stop', base=base, cause='refused')['at']
            seen.append(on.stopped(base, due))
            on.stands_still(base, 2 * WINDOW)
            assert not on.run.events('session_ended', client=base)
            on.run.silence(base)
        on.rest()
    return seen


def times_out_while_heartbeats_go_on(directory: Path, count: int) -> list[Seen]:
    """Let the last command time out; heartbeats keep the session alive (R10)."""
    seen = []
    with stage(directory, count) as on:
        for base in on.bases:
            on.run.stream(base, base, heartbeats=True)
            on.moved(base, base)
            on.server.control(base, set_velocity_hang=True)
            on.run.command(base, base)
            seen.append(on.stopped(base, on.failed(base)))
            on.stands_still(base, 2 * WINDOW)
            on.server.control(base, release=True)
            assert not on.run.events('session_ended', client=base)
            on.run.silence(base)
        on.rest()
    return seen


def no_machine_session_for_the_taker(directory: Path, count: int) -> list[Seen]:
    """Let B take over from A, who dies then, on a machine that is full (R10, R15)."""
    seen = []
    with stage(directory, count) as on, RawClient(on.server.address) as raw:
        for base in on.bases:
            on.run.stream(f'A of {base}', base, heartbeats=True)
            on.moved(f'A of {base}', base)
        raw.fill()
        for base in on.bases:
            on.run.silence(f'A of {base}')
            on.run.command(f'B of {base}', base)
            seen.append(on.stopped(base, on.failed(base)))
        on.rest()
    return seen


def taker_while_the_machine_is_frozen(directory: Path, count: int) -> list[Seen]:
    """Let B take over from A, who dies then, on a machine that is frozen; then it thaws (R15)."""
    seen = []
    with stage(directory, count) as on:
        for base in on.bases:
            on.moved(f'A of {base}', base)
            on.server.pause()
            on.run.command(f'B of {base}', base)
            for client in (f'A of {base}', f'B of {base}'):
                on.run.wait_event('session_ended', client=client)
            due = time.monotonic()
            on.server.resume()
            seen.append(on.stopped(base, due))
        on.rest()
    return seen


def stuck_on_the_servers_lock(directory: Path, count: int) -> list[Seen]:
    """
    Let commands wait for the lock that a hanging stop of the machine's own holds.

    They run when that ends, long after their deadlines and with nobody left who wants them.
    """
    with (
        stage(directory, count, window=1.0, machine_window=MACHINE_WINDOW, beside='beside') as on,
        RawClient(on.server.address) as raw,
    ):
        for base in on.bases:
            on.run.stream(base, base, heartbeats=True)
            on.moved(base, base)
        on.server.control('beside', stop_hang=True)
        raw.drive('beside', raw.start_session())
        on.server.record.wait_for(
            lambda _: on.server.record.calls('beside', 'stop'), PATIENCE, 'the machine hangs'
        )
        for base in on.bases:
            on.run.silence(base)
            on.run.command(base, base)
        for base in on.bases:
            on.stopped(base, on.failed(base))
        for base in on.bases:
            on.lapsed(base)
        released = time.monotonic()
        on.server.control('beside', release=True)
        strays = [on.effect(base, lambda entry: entry.is_motion, released) for base in on.bases]
        seen = [on.stopped(stray.base, stray.t) for stray in strays]
        on.rest()
    return seen


def other_machine_frozen(directory: Path, count: int) -> list[Seen]:
    """Let a session lapse while another machine is frozen, with calls to it (R8)."""
    seen = []
    others = [f'other{number}' for number in range(5)]
    (directory / 'other').mkdir()
    with (
        ViamServer(directory / 'other', others, LONG) as machine,
        stage(directory, count, other=machine.address, others=others) as on,
    ):
        for base in on.bases:
            on.moved(base, base)
            machine.pause()
            # Commands that hang, stops that are repeated, sessions that lapse at the same time.
            for other in others:
                on.run.command(other, other)
            seen.append(on.stopped(base, on.lapsed(base)))
            machine.resume()
        on.rest()
        for other in others:
            assert not violations(machine.record.calls(), on.run.events(), other, CALL_TIMEOUT)
            assert not machine.record.moving(other)
    return seen


def stop_takes(seconds: float) -> Case:
    """Let a lapse's stop take so long; it is due, and takes effect, by that much later (R7)."""

    def case(directory: Path, count: int) -> list[Seen]:
        with stage(directory, count) as on:
            for base in on.bases:
                on.server.control(base, stop_delay=seconds)
                on.moved(base, base)
            lapses = {base: on.lapsed(base) + seconds for base in on.bases}
            seen = [on.stopped(base, due) for base, due in lapses.items()]
            on.rest()
            begun = on.server.record.calls(call='stop', phase='begin')
            assert len([one for one in begun if one.t >= lapses[one.base] - seconds]) == count
        return seen

    return case


def frozen_under_an_open_stop(directory: Path, count: int) -> list[Seen]:
    """Freeze a machine under open Stops for much longer than they may take (R7)."""
    with stage(directory, count) as on:
        on.lapsed_under_open_stops(stop_delay=OPEN)
        on.server.pause()
        time.sleep(FROZEN)
        thawed = time.monotonic()
        on.server.resume()
        seen = [on.stopped(base, thawed) for base in on.bases]
        on.rest()
    return seen


def cut_under_an_open_stop(directory: Path, count: int) -> list[Seen]:
    """
    Cut the link under Stops that hang, and let it heal: they are sent again (R7).

    The machine is dialled anew while the link is cut, and TCP asks for a connection again after 1,
    2 and 4 s.
    """
    with two_hosts(directory) as hosts, stage(directory, count, hosts=hosts) as on:
        on.lapsed_under_open_stops(stop_hang=True)
        for base in on.bases:
            on.server.control(base, stop_hang=False)  # those that hang wait on
        hosts.link.become(cut=True)
        time.sleep(CUT)
        healed = time.monotonic()
        hosts.link.heal()
        seen = [on.stopped(base, healed) for base in on.bases]
        on.rest()
    return seen


CASES: dict[str, tuple[Case, float]] = {
    'stop fails once': (stop_fails(1, False), 0.02),
    'stop fails 3 times': (stop_fails(3, False), 0.02),
    'stop fails 20 times': (stop_fails(20, False), 0.02),
    'stop fails once, zero too': (stop_fails(1, True), 0.07),
    'stop fails 3 times, zero too': (stop_fails(3, True), 0.37),
    'stop fails 20 times, zero too': (stop_fails(20, True), 16.8),
    'command hangs at the lapse': (hangs_at_the_lapse, 0.02),
    'command runs after the stop, answered': (runs_after_the_stop(True), 0.02),
    'command runs after the stop, given up': (runs_after_the_stop(False), 0.2),
    'command runs after the final stop': (runs_after_the_final_stop, 1.1),
    'refused, heartbeats go on': (refused_while_heartbeats_go_on, 0.02),
    'timed out, heartbeats go on': (times_out_while_heartbeats_go_on, 0.02),
    'no machine session for the taker': (no_machine_session_for_the_taker, 0.02),
    'taker, machine frozen': (taker_while_the_machine_is_frozen, 1.02),
    "stuck on the server's lock": (stuck_on_the_servers_lock, 0.2),
    'another machine frozen': (other_machine_frozen, 0.02),
    'stop takes 1.2 s': (stop_takes(1.2), 0.02),
    'machine frozen for 10 s under an open stop': (frozen_under_an_open_stop, OPEN + 0.1),
    'link cut for 4 s under an open stop': (cut_under_an_open_stop, 2.1),
}
"""By name: how it is provoked, and within how many seconds of being due the stop is to act."""
