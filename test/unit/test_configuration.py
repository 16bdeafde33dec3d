# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What a configuration may say, and what its messages say where it may not."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from viam_session_bridge.configuration.address import Address, parse_address
from viam_session_bridge.configuration.model import (
    BaseConfiguration,
    Configuration,
    ConfigurationError,
    DriveMode,
    MachineConfiguration,
    SessionsMode,
    StopPolicy,
    Transport,
)
from viam_session_bridge.configuration.parsing import check_names, convert, lay_out
from viam_session_bridge.configuration.table import HEARTBEAT_WINDOW, Range
from viam_session_bridge.configuration.validation import find_problems
from viam_session_bridge.text import did_you_mean

MAIN = MachineConfiguration('main', 'localhost:8080', True, 0.25, 256, False)
BASE = BaseConfiguration(
    name='base',
    machine='main',
    resource='base',
    command_topics=('/cmd_vel',),
    stamped_command_topics=(),
    sessions=SessionsMode.AUTO,
    drive_mode=DriveMode.VELOCITY,
    max_linear_speed=0.0,
    max_angular_speed=0.0,
    max_stamp_age=0.0,
)
GOOD = Configuration(0.5, 2.0, '', (MAIN,), (BASE,))


def with_machine(**changes: Any) -> Configuration:
    return dataclasses.replace(GOOD, machines=(dataclasses.replace(MAIN, **changes),))


def with_base(**changes: Any) -> Configuration:
    return dataclasses.replace(GOOD, bases=(dataclasses.replace(BASE, **changes),))


def with_second(**changes: Any) -> Configuration:
    second = {'name': 'other', 'resource': 'other', 'command_topics': ('/other',), **changes}
    return dataclasses.replace(GOOD, bases=(BASE, dataclasses.replace(BASE, **second)))


def with_parents(**parents: str) -> Configuration:
    machines = (dataclasses.replace(MAIN, name=n, parent=p) for n, p in parents.items())
    return dataclasses.replace(GOOD, machines=tuple(machines))


def problems(configuration: Configuration) -> tuple[str, ...]:
    error = ConfigurationError(problem.text for problem in find_problems(configuration))
    assert str(error) == '\n'.join(error.problems)
    return error.problems


GOOD_ONES = {
    'plain': GOOD,
    'other base': with_second(),
    'one topic, sessions alike': with_second(command_topics=('/cmd_vel',)),
    'same resource, other machine': dataclasses.replace(
        GOOD,
        machines=(MAIN, dataclasses.replace(MAIN, name='rear')),
        bases=(BASE, dataclasses.replace(BASE, name='other', machine='rear')),
    ),
    'stamped only': with_base(command_topics=(), stamped_command_topics=('/cmd_vel',)),
    'power': with_base(drive_mode=DriveMode.POWER, max_linear_speed=1.0, max_angular_speed=2.0),
    "power, by Viam's API": with_base(
        drive_mode=DriveMode.POWER,
        mirrored_reverse=False,
        max_linear_speed=1.0,
        max_angular_speed=2.0,
    ),
    'socket': with_machine(address='unix:/run/viam.sock'),
    'IPv6': with_machine(address='[::1]:8080'),
    'all of 127': with_machine(address='127.9.8.7:8080'),
    'a base behind a remote': with_base(resource='arm_pi:base'),
    'TLS to a network': with_machine(insecure=False, address='robot.local:8080'),
    'a private CA': with_machine(insecure=False, ca_file='ca.pem', server_name='robot'),
    'plaintext, as asked for': with_machine(address='10.0.0.7:8080', allow_plaintext=True),
    'WebRTC': with_machine(
        insecure=False, transport=Transport.WEBRTC, address='rover.abc.viam.cloud'
    ),
    'WebRTC to a port': with_machine(
        insecure=False,
        transport=Transport.WEBRTC,
        address='127.0.0.1:8080',
        credentials_file='key.json',
        ca_file='ca.pem',
    ),
    'sub-parts': with_parents(main='', arm='main', hand='arm', mast='main'),
}


@pytest.mark.parametrize('configuration', GOOD_ONES.values(), ids=GOOD_ONES)
def test_what_is_allowed(configuration: Configuration) -> None:
    assert problems(configuration) == ()


# By parameter: a configuration with one mistake, and what its only message must hold.
MISTAKES: dict[str, tuple[Configuration, tuple[str, ...]]] = {
    'address': (
        with_machine(address='localhost'),
        ('machines.main.address', "'localhost'", 'host:port', 'unix:PATH'),
    ),
    'certificates without TLS': (
        with_machine(ca_file='ca.pem'),
        ('machines.main.ca_file', "'ca.pem'", 'machines.main.insecure is true'),
    ),
    'a name without TLS': (
        with_machine(server_name='robot'),
        ('machines.main.server_name', "'robot'", 'machines.main.insecure is true'),
    ),
    'a key over plaintext': (
        with_machine(credentials_file='key.json'),
        ('machines.main.credentials_file', "'key.json'", 'no key goes over plaintext'),
    ),
    'WebRTC without encryption': (
        with_machine(transport=Transport.WEBRTC),
        ('machines.main.transport', 'machines.main.insecure', 'always encrypted'),
    ),
    'WebRTC with another name': (
        with_machine(insecure=False, transport=Transport.WEBRTC, server_name='robot'),
        ('machines.main.server_name', "'robot'", 'the name in the address'),
    ),
    'WebRTC to a socket': (
        with_machine(insecure=False, transport=Transport.WEBRTC, address='unix:/run/viam.sock'),
        ('machines.main.address', 'unix socket', 'NAME.viam.cloud'),
    ),
    'a host without a port': (
        with_machine(insecure=False, address='rover.abc.viam.cloud'),
        ('machines.main.address', 'rover.abc.viam.cloud', 'host:port'),
    ),
    'a dead-man switch that a machine should see to': (
        dataclasses.replace(
            with_base(sessions=SessionsMode.MANUAL), stop_policy=StopPolicy.MACHINE
        ),
        ('stop_policy is machine', 'bases.base.sessions is manual', 'set stop_policy to bridge'),
    ),
    'insecure elsewhere': (
        with_machine(address='robot.local:8080'),
        ('machines.main.insecure', 'machines.main.address', "'robot.local:8080'", 'unix:PATH'),
    ),
    'insecure everywhere': (with_machine(address='0.0.0.0:8080'), ('machines.main.insecure',)),
    'unknown machine': (
        with_base(machine='mian'),
        ('bases.base.machine', "'mian'", 'machine_names', 'did you mean main?'),
    ),
    'no resource': (with_base(resource=' '), ('bases.base.resource', "' '")),
    'no topic': (
        with_base(command_topics=()),
        ('bases.base.command_topics', 'bases.base.stamped_command_topics', 'name a topic'),
    ),
    'topic twice': (
        with_base(command_topics=('/a', '/a')),
        ('bases.base.command_topics has /a 2 times',),
    ),
    'power without a speed': (
        with_base(drive_mode=DriveMode.POWER, max_linear_speed=1.0),
        ('bases.base.drive_mode is power', 'bases.base.max_angular_speed is 0', 'set it'),
    ),
    'reverse of no power': (
        with_base(mirrored_reverse=False),
        ('bases.base.mirrored_reverse is false', 'drive_mode is velocity', 'set drive_mode to'),
    ),
    'same base twice': (
        with_second(resource='base'),
        ('bases.base.resource and bases.other.resource', "'base'", "machine 'main'"),
    ),
    'types differ in a base': (
        with_base(stamped_command_topics=('/cmd_vel',)),
        ('/cmd_vel', 'bases.base.command_topics and in bases.base.stamped_command_topics'),
    ),
    'types differ between bases': (
        with_second(command_topics=(), stamped_command_topics=('/cmd_vel',)),
        ('/cmd_vel', 'bases.base.command_topics and in bases.other.stamped_command_topics'),
    ),
    'unknown parent': (
        with_parents(main='', arm='mian'),
        ('machines.arm.parent', "'mian'", 'only main, arm', 'did you mean main?'),
    ),
    'its own parent': (
        with_parents(main='', arm='arm'),
        ('machines.arm.parent', "'arm'", 'arm -> arm', 'without a parent'),
    ),
    'a circle of parents': (
        with_parents(main='', arm='hand', hand='mast', mast='arm'),
        ('machines.arm.parent', 'arm -> hand -> mast -> arm'),
    ),
    'sessions differ': (
        with_second(command_topics=('/cmd_vel',), sessions=SessionsMode.MANUAL),
        ('/cmd_vel', 'bases.base.sessions auto', 'bases.other.sessions manual', 'alike'),
    ),
}


@pytest.mark.parametrize(('configuration', 'words'), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named(configuration: Configuration, words: tuple[str, ...]) -> None:
    (problem,) = problems(configuration)
    for word in words:
        assert word in problem


def test_all_mistakes_are_named_at_once() -> None:
    configuration = dataclasses.replace(
        GOOD,
        machines=(dataclasses.replace(MAIN, address='', parent='main'),),
        bases=(dataclasses.replace(BASE, machine='none', command_topics=()),),
    )
    assert [problem.parameters[0] for problem in find_problems(configuration)] == [
        'machines.main.address',
        'machines.main.parent',
        'bases.base.machine',
        'bases.base.command_topics',
    ]


def test_an_unfinished_address_is_one_mistake_not_two() -> None:
    assert len(problems(with_machine(address='example.com'))) == 1


@pytest.mark.parametrize(
    ('text', 'address', 'is_local'),
    [
        ('localhost:8080', Address('localhost', 8080), True),
        ('LocalHost:1', Address('LocalHost', 1), True),
        ('127.0.0.1:65535', Address('127.0.0.1', 65535), True),
        ('[::1]:8080', Address('::1', 8080), True),
        ('unix:/run/a.sock', Address(path='/run/a.sock'), True),
        ('unix:///run/a.sock', Address(path='/run/a.sock'), True),
        ('unix:a.sock', Address(path='a.sock'), True),
        ('128.0.0.1:1', Address('128.0.0.1', 1), False),
        ('0.0.0.0:1', Address('0.0.0.0', 1), False),
        ('[::]:1', Address('::', 1), False),
        ('[::ffff:8.8.8.8]:1', Address('::ffff:8.8.8.8', 1), False),
        ('localhost.example.com:1', Address('localhost.example.com', 1), False),
        ('localhost.:1', Address('localhost.', 1), False),
        ('robot_1.local:8080', Address('robot_1.local', 8080), False),
    ],
)
def test_addresses(text: str, address: Address, is_local: bool) -> None:
    assert parse_address(text) == address
    assert parse_address(text).is_local is is_local


@pytest.mark.parametrize(
    'text',
    [
        '', 'localhost', 'localhost:', ':8080', 'localhost:0', 'localhost:65536', 'localhost:a',
        '::1:8080', '[::1]', '[::1:8080', '[localhost]:8080', '[]:1', 'local host:1', 'a:1\n',
        'http://localhost:8080', 'dns:///localhost:1', 'unix:', 'unix:/', 'unix://a', 'unix:a b',
        '127.1:8080', '1:8080', '256.0.0.1:80', '-a:1', 'a..b:1', 'localhost:٣', 'a/b:1',
        'localhost:8080,evil:1', 'user@localhost:1', f'{"a." * 127}:1', f'{"a" * 64}:1',
    ],
)  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r'^(it|the|what|unix)'):
        parse_address(text)


@given(st.text() | st.from_regex(r'(unix:|\[|[a-z0-9.]*:?)[0-9a-f:.\]/]*', fullmatch=True))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        address = parse_address(text)
    except ValueError:
        return
    assert bool(address.path) != bool(address.host)
    assert isinstance(address.is_local, bool)


@pytest.mark.parametrize(
    ('names', 'words'),
    [
        ([], 'machine_names is empty: name at least one'),
        (['main', 'rear', 'main'], "machine_names holds 'main' 2 times"),
        (['a.b'], "machine_names holds 'a.b', but names have letters, digits, '_' and '-' only"),
        ([''], "machine_names holds '', but"),
        (['-a'], "machine_names holds '-a', but"),
    ],
)
def test_a_wrong_name_is_named(names: list[str], words: str) -> None:
    (problem,) = check_names('machine_names', names)
    assert problem.startswith(words)


@pytest.mark.parametrize(
    ('name', 'value', 'words'),
    [
        ('heartbeat_window', math.nan, 'is nan, but must be from 0.03 to 60 s'),
        ('heartbeat_window', 0.0299, 'is 0.0299, but must be from 0.03 to 60 s'),
        ('heartbeat_window', 61, 'is 61.0, but must be from 0.03 to 60 s'),
        ('shutdown_timeout', 0.0, 'is 0.0, but must be above 0 and up to 3600 s'),
        ('shutdown_timeout', math.inf, 'is inf, but must be above 0 and up to 3600 s'),
        ('stop_timeout', 0.2, 'is 0.2, but must be from 0.25 to 60 s'),
        ('level_timeout', -0.5, 'is -0.5, but must be from 0 to 3600 s'),
        ('machines.main.call_timeout', 0.0, 'is 0.0, but must be from 0.02 to 5 s'),
        ('machines.main.call_timeout', math.nan, 'is nan, but must be from 0.02 to 5 s'),
        ('machines.main.max_sessions', 0, 'is 0, but must be from 1 to 1024'),
        ('machines.main.max_sessions', 1025, 'is 1025, but must be from 1 to 1024'),
        ('bases.base.max_linear_speed', -1.0, 'is -1.0, but must be 0 or more m/s'),
        ('bases.base.max_angular_speed', math.inf, 'is inf, but must be 0 or more rad/s'),
        ('bases.base.max_stamp_age', math.nan, 'is nan, but must be 0 or more s'),
    ],
)
def test_a_number_out_of_range_is_named(name: str, value: float, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        convert(name, lay_out(('main',), ('base',))[name], value)
    assert str(caught.value) == f'{name} {words}'


@pytest.mark.parametrize('window', [0.03, 0.5, 60.0])
def test_both_ends_of_a_range_are_allowed(window: float) -> None:
    assert convert('heartbeat_window', lay_out((), ())['heartbeat_window'], window) == window


@given(st.floats())
def test_a_range_holds_finite_numbers_only(number: float) -> None:
    assert (number in HEARTBEAT_WINDOW) == (0.03 <= number <= 60.0)
    assert (number in Range(0.0, 3600.0, above_low=True)) == (0.0 < number <= 3600.0)
    assert (number in Range(0.0)) == (0.0 <= number < math.inf)


def test_ranges_in_words() -> None:
    assert [str(Range(1)), str(Range(1, above_low=True)), str(Range(1, 2))] == [
        '1 or more', 'above 1', 'from 1 to 2'
    ]  # fmt: skip
    assert str(Range(1, 2, above_low=True)) == 'above 1 and up to 2'


def test_suggestions() -> None:
    assert did_you_mean('adress', ['address', 'transport']) == '; did you mean address?'
    assert did_you_mean('adress', ['address'], prefix='a.') == '; did you mean a.address?'
    assert did_you_mean('xyz', ['address']) == ''
