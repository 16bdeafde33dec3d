# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
What may be wrong in a set of parameters.

Every spoiling knows whether it must be refused and what is to be said then, from the
parameters' table and the design alone: nothing here asks the code that checks.
"""

from __future__ import annotations

from collections.abc import Callable
import math
from typing import Any

from hypothesis import strategies as st

from support.parameter_contradictions import CONTRADICTIONS
from support.parameter_sets import all_rows, Choice, Given, HUGE, Spoiling, valid_sets
from viam_session_bridge.configuration.table import Kind

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
UNPRINTABLE = (('main\0', r"'main\x00'"), ('\x1b[2J', r"'\x1b[2J'"), ('\n', r"'\n'"))
ANY_NUMBER = (math.nan, math.inf, -math.inf, -1.0, -5e-324, -1e308)
OUT_OF_RANGE: dict[str, tuple[tuple[float, ...], str]] = {  # and what is allowed
    'heartbeat_window': (
        (*ANY_NUMBER, 0.0, math.nextafter(0.03, 0), math.nextafter(60, 61)), 'from 0.03 to 60 s',
    ),
    'shutdown_timeout': ((*ANY_NUMBER, 0.0, math.nextafter(3600, 3601)), 'up to 3600 s'),
    'stop_timeout': (
        (*ANY_NUMBER, 0.0, math.nextafter(0.25, 0), math.nextafter(60, 61)), 'from 0.25 to 60 s',
    ),
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


def wrong_type(choice: Choice) -> Spoiling:
    rows = all_rows(choice)
    name = choice.one(rows)
    value, shown = choice.one(WRONG_TYPES[rows[name]])
    return Spoiling({name: value}, (f'{name} {shown}', 'must '))


def unprintable(choice: Choice) -> Spoiling:
    choosable = ('stop_policy', 'transport', 'sessions', 'drive_mode')
    rows = {n: kind for n, kind in all_rows(choice).items() if not n.endswith(choosable)}
    name = choice.one(name for name, kind in rows.items() if kind is Kind.TEXT)
    value, shown = choice.one(UNPRINTABLE)
    return Spoiling({name: value}, (f'{name} is {shown}', 'must not hold unprintable characters'))


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
    section, _, last = name.rpartition('.')
    typos = [f'{name}.{name}']
    if section:  # others may be other nodes' (R23)
        typos += [f'{name}x', name[:-1], f'{section}.x{last}', f'{section}.{last.upper()}']
    typo = choice.one(typos)
    value = choice.one([1, 'x', True, math.nan, ['a'], 'x' * HUGE])
    return Spoiling({typo: value}, (typo, 'is not'))


def unknown_section(choice: Choice) -> Spoiling:
    kind, words = choice.one([('machines', 'machine_names'), ('bases', 'base_names')])
    owner = choice.one(['nobody', 'x' * 200, 'a b'])
    name = f'{kind}.{owner}.{choice.one(["address", "resource", "x"])}'
    return Spoiling({name: 'x'}, (name, f'is not in {words}', 'add it there'))


def bad_names(choice: Choice) -> Spoiling:
    parameter, names = choice.one(
        [('machine_names', choice.machines), ('base_names', choice.bases)]
    )
    bad = choice.one(BAD_NAMES)
    value, words = choice.one(
        [
            ([], ('is empty', 'name at least one')),
            ([*names, bad], (f"holds '{bad[:20]}", "letters, digits, '_' and '-' only")),
            ([*names, names[0]], (f'{names[0]!r} 2 times', 'name it once')),
            (names * 1000, (f'{names[0]!r} 1000 times', 'name it once')),
            (names[0], ('must be a list of texts', f'write [{names[0]}]')),
            ([1, 2], ('is [1, 2]', 'must be a list of texts')),
        ]
    )
    return Spoiling({parameter: value}, (f'{parameter} ', *words), hides=True)


def missing_machine(choice: Choice) -> Spoiling:
    missing = choice.one(choice.machines)
    left = [name for name in choice.machines if name != missing]
    words = (f'machines.{missing}.address', 'is not in machine_names', 'add it there')
    return Spoiling({'machine_names': left}, words, hides=True)


# What is odd, and right


def odd(choice: Choice) -> Spoiling:
    # Two bases that are given the same would be a contradiction.
    base, machine = choice.one(choice.bases), choice.one(choice.machines)
    changes: Given = choice.one(
        [
            {'heartbeat_window': 1},
            {f'machines.{machine}.call_timeout': 1},
            {f'bases.{base}.max_stamp_age': 2**63 - 1},
            {f'bases.{base}.resource': base * HUGE},
            {f'bases.{base}.resource': f'Ünïcode 🤖 {base}:1'},
            {f'bases.{base}.command_topics': []},
            {f'bases.{base}.stamped_command_topics': None},
            {f'bases.{base}.command_topics': [f'many{base}{number}' for number in range(300)]},
            {'use_sim_time': True},
            {'diagnostic_updater.period': 'x'},
        ]
    )
    return Spoiling(changes, refused=False)


SPOILINGS = (
    wrong_type, unprintable, wrong_number, wrong_word, bad_address, bad_topic, no_resource,
    unknown_name, unknown_section, bad_names, missing_machine, *CONTRADICTIONS, odd,
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
