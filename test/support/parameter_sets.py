# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Whole sets of parameters, as a robot with several machines has them, and a spoiled one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from viam_session_bridge.configuration.table import BASE, Kind, MACHINE, NODE

Given = dict[str, Any]

MACHINES = ('main', 'arm', 'hand', 'a-b', '_1', '3')
BASES = ('base', 'wheels', 'b_2', '7')
LOCAL = ('localhost:8080', '127.9.8.7:1', '[::1]:65535', 'unix:/run/viam.sock')
HUGE = 5000  # characters


@dataclass(frozen=True)
class Spoiling:
    """
    Something wrong, or something odd that is not wrong.

    One message has to hold all of `words`: a parameter, its value and the remedy.

    :param hides: whether nothing else is looked at, as all else hangs on these names
    """

    changes: Given
    words: tuple[str, ...] = ()
    refused: bool = True
    hides: bool = False


@dataclass(frozen=True)
class Choice:
    """What a spoiling can be made from: the set, its names, and hypothesis' choices."""

    given: Given
    machines: list[str]
    bases: list[str]
    draw: Callable[..., Any]

    def one(self, of: Any) -> Any:
        """Return one of several."""
        return self.draw(st.sampled_from(list(of)))

    def two_bases(self) -> tuple[str, str]:
        """Return the names of two bases."""
        first, second = self.draw(st.permutations(self.bases))[:2]
        return first, second


@st.composite
def valid_sets(draw: Callable[..., Any]) -> Given:
    """Return a set that is to be accepted: sub-parts, several bases, all kinds of topics."""
    machines = draw(st.lists(st.sampled_from(MACHINES), min_size=2, max_size=4, unique=True))
    bases = draw(st.lists(st.sampled_from(BASES), min_size=2, max_size=3, unique=True))
    policy = draw(st.sampled_from(['bridge', 'machine']))
    given: Given = {
        'machine_names': machines,
        'base_names': bases,
        'stop_policy': policy,
        'heartbeat_window': draw(st.sampled_from([0.03, 0.5, 60.0])),
        'shutdown_timeout': draw(st.sampled_from([5e-324, 2.0, 3600.0])),
        'stop_timeout': draw(st.sampled_from([0.25, 2.0, 60.0])),
        'level_timeout': draw(st.sampled_from([0.0, 1.0, 3600.0])),
    }
    for number, name in enumerate(machines):
        insecure = draw(st.booleans())
        given |= {
            f'machines.{name}.insecure': insecure,
            f'machines.{name}.address': draw(st.sampled_from(LOCAL))
            if insecure
            else f'{name.strip("_")}.example.com:8080',
            f'machines.{name}.parent': draw(st.sampled_from(['', *machines[:number]])),
            f'machines.{name}.call_timeout': draw(st.sampled_from([0.02, 0.25, 5.0])),
            f'machines.{name}.max_sessions': draw(st.sampled_from([1, 256, 1024])),
        }
    modes = ['auto', 'disabled'] + ['manual'] * (policy == 'bridge')
    for number, name in enumerate(bases):
        drive_mode = draw(st.sampled_from(['velocity', 'power']))
        given |= {
            f'bases.{name}.machine': draw(st.sampled_from(machines)),
            f'bases.{name}.resource': f'wheels{number}',
            f'bases.{name}.command_topics': [f'cmd_vel{number}', f'/teleop{number}/cmd_vel'],
            f'bases.{name}.stamped_command_topics': [f'~/stamped{number}'],
            f'bases.{name}.sessions': draw(st.sampled_from(modes)),
            f'bases.{name}.drive_mode': drive_mode,
            f'bases.{name}.mirrored_reverse': drive_mode == 'velocity' or draw(st.booleans()),
            f'bases.{name}.max_linear_speed': draw(st.sampled_from([0.5, 5e-324, 1e308])),
            f'bases.{name}.max_angular_speed': draw(st.sampled_from([1.0, 2])),
            f'bases.{name}.max_stamp_age': draw(st.sampled_from([0.0, 0.5])),
        }
    return given


def all_rows(choice: Choice) -> dict[str, Kind]:
    """Return the parameters that there are, but for those that all else hangs on."""
    rows = {row.name: row.kind for row in NODE if not row.name.endswith('_names')}
    for name in choice.machines:
        rows |= {f'machines.{name}.{row.name}': row.kind for row in MACHINE}
    for name in choice.bases:
        rows |= {f'bases.{name}.{row.name}': row.kind for row in BASE}
    return rows
