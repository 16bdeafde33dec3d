# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Whole sets of parameters, as a robot with several machines has them, and what may be wrong there.

Every spoiling knows whether it must be refused and what is to be said then, from the README's
table and the design alone: nothing here asks the code that checks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math
from typing import Any

from hypothesis import strategies as st

from viam_session_bridge.ros.parameter_table import BASE, Kind, MACHINE, NODE

Given = dict[str, Any]

MACHINES = ('main', 'arm', 'hand', 'a-b', '_1', '3')
BASES = ('base', 'wheels', 'b_2', '7')
LOCAL = ('localhost:8080', '127.9.8.7:1', '[::1]:65535', 'unix:/run/viam.sock')
HUGE = 5000  # characters


@dataclass(frozen=True)
class Spoiling:
    """
    Something wrong, or something odd that is not wrong.

    One message has to hold all of `said`: a parameter, its value and the remedy.

    :param hides: whether nothing else is looked at, as all else hangs on these names
    """

    changes: Given
    said: tuple[str, ...] = ()
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
        given |= {
            f'bases.{name}.machine': draw(st.sampled_from(machines)),
            f'bases.{name}.resource': f'wheels{number}',
            f'bases.{name}.command_topics': [f'cmd_vel{number}', f'/teleop{number}/cmd_vel'],
            f'bases.{name}.stamped_command_topics': [f'~/stamped{number}'],
            f'bases.{name}.sessions': draw(st.sampled_from(modes)),
            f'bases.{name}.drive_mode': draw(st.sampled_from(['velocity', 'power'])),
            f'bases.{name}.max_linear_speed': draw(st.sampled_from([0.5, 5e-324, 1e308])),
            f'bases.{name}.max_angular_speed': draw(st.sampled_from([1.0, 2])),
            f'bases.{name}.max_stamp_age': draw(st.sampled_from([0.0, 0.5])),
        }
    return given


# One parameter

WRONG_TYPES: dict[Kind, tuple[tuple[Any, str], ...]] = {  # and how a message shows the value
    Kind.FLAG: ((1, 'is 1,'), (0.0, 'is 0.0,'), ('true', "is 'true',"), ([True], 'is [True]')),
    Kind.INTEGER: ((True, 'is true,'), (1.0, 'is 1.0,'), ('1', "is '1',"), ([1], 'is [1]')),
    Kind.NUMBER: (
        (True, 'is true,'), ('0.5', "is '0.5',"), ('nan', "is 'nan',"), ([0.5], 'is [0.5]'),
    ),
    Kind.TEXT: (
        (True, 'is true,'), (1, 'is 1,'), (math.nan, 'is nan,'), (['a'], "is ['a']"),
        ('a\0b', r"is 'a\x00b'"), ('a\x1b[2J', r"is 'a\x1b[2J'"), ('a\nb', r"is 'a\nb'"),
    ),
    Kind.TEXTS: (
        (True, 'is true,'), (1, 'is 1,'), ('cmd_vel', "is 'cmd_vel',"), ([1], 'is [1]'),
        ([math.inf], 'is [inf]'), (['a', 'b\n'], r"is ['a', 'b\n']"),
    ),
}  # fmt: skip
ANY_NUMBER = (math.nan, math.inf, -math.inf, -1.0, -5e-324, -1e308)
OUT_OF_RANGE: dict[str, tuple[tuple[float, ...], str]] = {  # and what is allowed
    'heartbeat_window': (
        (*ANY_NUMBER, 0.0, math.nextafter(0.03, 0), math.nextafter(60, 61)), 'from 0.03 to 60 s',
    ),
    'shutdown_timeout': ((*ANY_NUMBER, 0.0, math.nextafter(3600, 3601)), 'up to 3600 s'),
    'level_timeout': ((*ANY_NUMBER, math.nextafter(3600, 3601)), 'from 0 to 3600 s'),
    'call_timeout': (
        (*ANY_NUMBER, 0.0, math.nextafter(0.02, 0), math.nextafter(5, 6)), 'from 0.02 to 5 s',
    ),
    'max_sessions': ((-(2**63), -1, 0, 1025, 2**63 - 1), 'from 1 to 1024'),
    'max_linear_speed': (ANY_NUMBER, '0 or more m/s'),
    'max_angular_speed': (ANY_NUMBER, '0 or more rad/s'),
    'max_stamp_age': (ANY_NUMBER, '0 or more s'),
}  # fmt: skip
BAD_TOPICS = ('', '/', 'a b', '1st', 'a//b', 'a/', 'a-b', 'a~', '{nobody}', 'ä', 'a' * 300)
BAD_ADDRESSES = (
    '', 'localhost', ':8080', 'localhost:0', 'localhost:65536', '127.0.0.1:8 0', '1.2.3:80',
    'http://localhost:8080', 'unix:', '[::g]:8080', 'a' * HUGE, 'localhost:' + '1' * HUGE,
)  # fmt: skip
BAD_NAMES = ('', 'a.b', 'a b', '/', '-a', 'ä', '~', '$(rm)', '{a}', 'a' * HUGE + '.')


def all_rows(choice: Choice) -> dict[str, Kind]:
    """Return the parameters that there are, but for those that all else hangs on."""
    rows = {row.name: row.kind for row in NODE if not row.name.endswith('_names')}
    for name in choice.machines:
        rows |= {f'machines.{name}.{row.name}': row.kind for row in MACHINE}
    for name in choice.bases:
        rows |= {f'bases.{name}.{row.name}': row.kind for row in BASE}
    return rows


def wrong_type(choice: Choice) -> Spoiling:
    rows = all_rows(choice)
    name = choice.one(rows)
    value, shown = choice.one(WRONG_TYPES[rows[name]])
    return Spoiling({name: value}, (f'{name} {shown}', 'must '))


def wrong_number(choice: Choice) -> Spoiling:
    name = choice.one(n for n in all_rows(choice) if n.rpartition('.')[2] in OUT_OF_RANGE)
    values, remedy = OUT_OF_RANGE[name.rpartition('.')[2]]
    value = choice.one(values)
    return Spoiling({name: value}, (f'{name} is {value}', remedy))


def wrong_word(choice: Choice) -> Spoiling:
    rows = {'stop_policy': 'bridge or machine'}
    rows |= {f'machines.{name}.transport': 'direct or webrtc' for name in choice.machines}
    rows |= {f'bases.{name}.sessions': 'auto or manual or disabled' for name in choice.bases}
    rows |= {f'bases.{name}.drive_mode': 'velocity or power' for name in choice.bases}
    name = choice.one(rows)
    value = choice.one(['', 'Auto', 'bridge ', 'no', 'x' * HUGE])
    return Spoiling({name: value}, (f"{name} is '{value[:20]}", rows[name]))


def bad_address(choice: Choice) -> Spoiling:
    name = f'machines.{choice.one(choice.machines)}.address'
    value = choice.one(BAD_ADDRESSES)
    return Spoiling({name: value}, (f"{name} is '{value[:20]}", 'give host:port'))


def bad_topic(choice: Choice) -> Spoiling:
    base, kind = choice.one(choice.bases), choice.one(['', 'stamped_'])
    name = f'bases.{base}.{kind}command_topics'
    topic = choice.one(BAD_TOPICS)
    return Spoiling({name: [topic]}, (f"{name} has '{topic[:20]}", ', but '))


def no_resource(choice: Choice) -> Spoiling:
    name = f'bases.{choice.one(choice.bases)}.resource'
    value = choice.one(['', ' ', '   '])
    return Spoiling({name: value}, (f'{name} is ', "the base's name in the Viam configuration"))


# Names


def unknown_name(choice: Choice) -> Spoiling:
    name = choice.one([*all_rows(choice), 'machine_names'])
    typo = choice.one([f'{name}x', name[:-1], f'x{name}', name.upper(), f'{name}.{name}'])
    value = choice.one([1, 'x', True, math.nan, ['a'], 'x' * HUGE])
    return Spoiling({typo: value}, (typo, 'is not'))


def unknown_section(choice: Choice) -> Spoiling:
    kind, said = choice.one([('machines', 'machine_names'), ('bases', 'base_names')])
    owner = choice.one(['nobody', 'x' * 200, 'a b'])
    name = f'{kind}.{owner}.{choice.one(["address", "resource", "x"])}'
    return Spoiling({name: 'x'}, (name, f'is not in {said}', 'add it there'))


def bad_names(choice: Choice) -> Spoiling:
    parameter, names = choice.one(
        [('machine_names', choice.machines), ('base_names', choice.bases)]
    )
    bad = choice.one(BAD_NAMES)
    value, said = choice.one(
        [
            ([], ('is empty', 'name at least one')),
            ([*names, bad], (f"holds '{bad[:20]}", "letters, digits, '_' and '-' only")),
            ([*names, names[0]], (f'{names[0]!r} 2 times', 'name it once')),
            (names * 1000, (f'{names[0]!r} 1000 times', 'name it once')),
            (names[0], ('must be a list of texts', f'write [{names[0]}]')),
            ([1, 2], ('is [1, 2]', 'must be a list of texts')),
        ]
    )
    return Spoiling({parameter: value}, (f'{parameter} ', *said), hides=True)


def missing_machine(choice: Choice) -> Spoiling:
    missing = choice.one(choice.machines)
    left = [name for name in choice.machines if name != missing]
    said = (f'machines.{missing}.address', 'is not in machine_names', 'add it there')
    return Spoiling({'machine_names': left}, said, hides=True)


# What contradicts each other


def unknown_machine(choice: Choice) -> Spoiling:
    name = f'bases.{choice.one(choice.bases)}.machine'
    value = choice.one(['', 'nobody', choice.machines[0].upper() + 'x', 'x' * HUGE])
    return Spoiling(
        {name: value}, (f"{name} is '{value[:20]}", f'machine_names has only {choice.machines[0]}')
    )


def unknown_parent(choice: Choice) -> Spoiling:
    name = f'machines.{choice.one(choice.machines)}.parent'
    value = choice.one(['nobody', ' ', 'x' * HUGE])
    return Spoiling(
        {name: value}, (f"{name} is '{value[:20]}", f'machine_names has only {choice.machines[0]}')
    )


def circle(choice: Choice) -> Spoiling:
    around = choice.draw(st.permutations(choice.machines))
    around = around[: choice.draw(st.integers(1, len(around)))]
    parents = zip(around, around[1:] + around[:1], strict=True)
    changes = {f'machines.{name}.parent': parent for name, parent in parents}
    return Spoiling(changes, ('.parent is ', 'circle', around[0], 'leave the main part without'))


def plaintext(choice: Choice) -> Spoiling:
    prefix = f'machines.{choice.one(choice.machines)}'
    address = choice.one(['robot.local:80', '0.0.0.0:80', '10.0.0.7:80', 'localhost.evil.com:80'])
    changes = {f'{prefix}.insecure': True, f'{prefix}.address': address}
    return Spoiling(changes, (f'{prefix}.insecure is true', repr(address), 'allow_plaintext'))


def key_over_plaintext(choice: Choice) -> Spoiling:
    prefix = f'machines.{choice.one(choice.machines)}'
    changes = {
        f'{prefix}.insecure': True, f'{prefix}.address': 'localhost:80',
        f'{prefix}.credentials_file': 'key.json', f'{prefix}.transport': 'direct',
    }  # fmt: skip
    return Spoiling(changes, (f"{prefix}.credentials_file is 'key.json'", 'no key goes over'))


def no_topics(choice: Choice) -> Spoiling:
    prefix = f'bases.{choice.one(choice.bases)}'
    changes = {f'{prefix}.command_topics': [], f'{prefix}.stamped_command_topics': []}
    return Spoiling(changes, (*changes, 'name a topic'))


def topic_twice(choice: Choice) -> Spoiling:
    name = f'bases.{choice.one(choice.bases)}.{choice.one(["", "stamped_"])}command_topics'
    topics = choice.one([['twice', '/twice'], ['/twice'] * 500])
    return Spoiling({name: topics}, (name, f'/twice {len(topics)} times', 'name it once'))


def two_types(choice: Choice) -> Spoiling:
    one, other = choice.one([choice.two_bases(), (choice.bases[0], choice.bases[0])])
    changes = {
        f'bases.{one}.command_topics': ['shared'],
        f'bases.{other}.stamped_command_topics': ['/shared'],
    }
    return Spoiling(changes, ('/shared', *changes, 'one type per topic', 'set a list'))


def two_modes(choice: Choice) -> Spoiling:
    one, other = choice.two_bases()
    changes = {
        f'bases.{one}.command_topics': ['common'], f'bases.{one}.sessions': 'auto',
        f'bases.{other}.command_topics': ['/common'], f'bases.{other}.sessions': 'disabled',
    }  # fmt: skip
    said = ('/common', f'bases.{one}.sessions auto', f'bases.{other}.sessions disabled', 'alike')
    return Spoiling(changes, said)


def same_resource(choice: Choice) -> Spoiling:
    one, other = choice.two_bases()
    changes = {
        f'bases.{name}.{what}': value
        for name in (one, other)
        for what, value in (('resource', 'same'), ('machine', choice.machines[0]))
    }
    said = (f'bases.{one}.resource', f'bases.{other}.resource', "'same'", 'give that base once')
    return Spoiling(changes, said)


def manual_left_to_the_machine(choice: Choice) -> Spoiling:
    name = f'bases.{choice.one(choice.bases)}.sessions'
    changes = {'stop_policy': 'machine'}
    changes |= {f'bases.{base}.sessions': 'auto' for base in choice.bases} | {name: 'manual'}
    return Spoiling(changes, ('stop_policy is machine', f'{name} is manual', 'to auto'))


def power_without_a_speed(choice: Choice) -> Spoiling:
    prefix = f'bases.{choice.one(choice.bases)}'
    speed = f'{prefix}.max_{choice.one(["linear", "angular"])}_speed'
    changes = {f'{prefix}.drive_mode': 'power', speed: choice.one([0.0, -0.0, 0])}
    return Spoiling(changes, (f'{prefix}.drive_mode is power', f'{speed} is 0', 'set it to'))


# What is odd, and right


def odd(choice: Choice) -> Spoiling:
    base, machine = choice.one(choice.bases), choice.one(choice.machines)
    changes: Given = choice.one(
        [
            {'heartbeat_window': 1},
            {f'machines.{machine}.call_timeout': 1},
            {f'bases.{base}.max_stamp_age': 2**63 - 1},
            {f'bases.{base}.resource': 'x' * HUGE},
            {f'bases.{base}.resource': 'Ünïcode 🤖 base:1'},
            {f'bases.{base}.command_topics': []},
            {f'bases.{base}.stamped_command_topics': None},
            {f'bases.{base}.command_topics': [f'many{number}' for number in range(300)]},
            {'use_sim_time': True},
            {'diagnostic_updater.period': 'x'},
        ]
    )
    return Spoiling(changes, refused=False)


SPOILINGS = (
    wrong_type, wrong_number, wrong_word, bad_address, bad_topic, no_resource, unknown_name,
    unknown_section, bad_names, missing_machine, unknown_machine, unknown_parent, circle,
    plaintext, key_over_plaintext, no_topics, topic_twice, two_types, two_modes, same_resource,
    manual_left_to_the_machine, power_without_a_speed, odd,
)  # fmt: skip


@st.composite
def spoiled_sets(draw: Callable[..., Any]) -> tuple[Given, list[Spoiling]]:
    """Return a set with one to three spoilings, none of which touches what another did."""
    given: Given = draw(valid_sets())
    choice = Choice(given, given['machine_names'], given['base_names'], draw)
    spoilings: list[Spoiling] = []
    for spoil in draw(st.lists(st.sampled_from(SPOILINGS), min_size=1, max_size=3)):
        spoiling = spoil(choice)
        if all(spoiling.changes.keys().isdisjoint(other.changes) for other in spoilings):
            spoilings.append(spoiling)
    for spoiling in spoilings:
        given = given | spoiling.changes
    return given, spoilings
