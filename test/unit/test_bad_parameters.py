# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Whole sets of parameters with something wrong in them: refused with a remedy, or right."""

from __future__ import annotations

from collections.abc import Iterator
import math

from hypothesis import given, settings
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from rclpy.lifecycle import Node

from support.parameter_nodes import node_factory
from support.parameter_sets import Given, HUGE, Spoiling, valid_sets
from support.parameter_spoilings import spoiled_sets
from viam_session_bridge.configuration.model import Configuration, ConfigurationError
from viam_session_bridge.configuration.parsing import read
from viam_session_bridge.ros.node_parameters import Parameters

LONGEST = 1100  # characters of a message, whatever somebody gave
OF_OTHERS = ('use_sim_time', 'diagnostic_updater.')


@pytest.fixture(scope='module')
def resolving() -> Iterator[Node]:
    """Return a node that knows what topics can be called."""
    with node_factory() as make:
        yield make()


def read_by(node: Node, values: Given) -> Configuration:
    """Read a set as a node does, without making one for it."""

    def resolve(topic: str) -> str:
        try:
            return node.resolve_topic_name(topic)
        except RuntimeError as error:
            raise ValueError(f'topic name: {error}') from error

    ours = {name: value for name, value in values.items() if not name.startswith(OF_OTHERS)}
    return read(ours, resolve)


def check_words(problems: tuple[str, ...], spoilings: list[Spoiling]) -> None:
    """Assert that what had to be refused is named, each with its value and its remedy."""
    for problem in problems:
        assert problem.isprintable(), 'one line of the log each'
        assert len(problem) <= LONGEST
    refused = [spoiling for spoiling in spoilings if spoiling.refused]
    named = [
        any(all(words in problem for words in spoiling.words) for problem in problems)
        for spoiling in refused
    ]
    hidden = any(spoiling.hides for spoiling in refused)
    assert any(named) if hidden else all(named), (problems, [one.words for one in refused])
    # One mistake is told once, but what a machine's absence leads to is told as well.
    if len(refused) == 1 and not hidden:
        assert len(problems) == 1, problems


def check_sound(configuration: Configuration) -> None:
    """Assert what every configuration in use must be."""
    machines = {machine.name: machine for machine in configuration.machines}
    assert 0.03 <= configuration.heartbeat_window <= 60.0
    assert 0.0 < configuration.shutdown_timeout <= 3600.0
    assert 0.25 <= configuration.stop_timeout <= 60.0
    assert 0.0 <= configuration.level_timeout <= 3600.0
    assert len(machines) == len(configuration.machines) >= 1
    for machine in configuration.machines:
        assert 0.02 <= machine.call_timeout <= 5.0
        assert 1 <= machine.max_sessions <= 1024
        host = machine.address.rpartition(':')[0]
        assert not machine.insecure or machine.allow_plaintext or (
            machine.address.startswith('unix:')
            or host in ('localhost', '[::1]')
            or host.startswith('127.')
        )
        above, steps = machine.parent, 0
        while above:
            above, steps = machines[above].parent, steps + 1
            assert steps < len(machines)
    assert len({base.name for base in configuration.bases}) == len(configuration.bases) >= 1
    resources = [(base.machine, base.resource) for base in configuration.bases]
    assert len(set(resources)) == len(resources)
    topics: dict[str, set[object]] = {}
    for base in configuration.bases:
        assert base.machine in machines
        assert base.resource
        assert base.command_topics or base.stamped_command_topics
        for number in (base.max_linear_speed, base.max_angular_speed, base.max_stamp_age):
            assert isinstance(number, float)
            assert math.isfinite(number)
            assert number >= 0.0
        if base.drive_mode.value == 'power':
            assert base.max_linear_speed > 0.0
            assert base.max_angular_speed > 0.0
        else:
            assert base.mirrored_reverse
        if base.sessions.value == 'manual':
            assert configuration.stop_policy.value == 'bridge'
        for kind, names in (('', base.command_topics), ('stamped', base.stamped_command_topics)):
            assert len(set(names)) == len(names)
            for name in names:
                assert name.startswith('/')
                topics.setdefault(name, set()).add((kind, base.sessions))
    assert all(len(uses) == 1 for uses in topics.values())


def check_outcome(
    outcome: Configuration | ConfigurationError, spoilings: list[Spoiling]
) -> None:
    if any(spoiling.refused for spoiling in spoilings):
        assert isinstance(outcome, ConfigurationError), spoilings
        check_words(outcome.problems, spoilings)
    else:
        assert isinstance(outcome, Configuration), outcome
        check_sound(outcome)


@settings(max_examples=30)
@given(values=valid_sets())
def test_a_set_without_mistakes_is_accepted(resolving: Node, values: Given) -> None:
    check_sound(read_by(resolving, values))


@settings(max_examples=200)
@given(spoiled=spoiled_sets())
def test_a_spoiled_set_is_refused_with_each_parameter_its_value_and_a_remedy(
    resolving: Node, spoiled: tuple[Given, list[Spoiling]]
) -> None:
    values, spoilings = spoiled
    outcome: Configuration | ConfigurationError
    try:
        outcome = read_by(resolving, values)
    except ConfigurationError as error:
        outcome = error
    check_outcome(outcome, spoilings)


def test_a_node_that_was_given_a_spoiled_set_says_so_and_can_be_asked() -> None:
    with node_factory() as make:

        @settings(max_examples=30)
        @given(spoiled_sets())
        def on_a_node(spoiled: tuple[Given, list[Spoiling]]) -> None:
            values, spoilings = spoiled
            node = make(values)
            outcome: Configuration | ConfigurationError
            try:
                outcome = Parameters(node).read()
            except ConfigurationError as error:
                outcome = error
            finally:
                node.destroy_node()
            check_outcome(outcome, spoilings)

        on_a_node()


def test_a_long_value_is_one_line_that_begins_with_its_parameter_and_ends_with_the_remedy(
    resolving: Node,
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_by(resolving, {'machines.main.address': 'a' * 200 * HUGE})
    (problem,) = caught.value.problems
    assert problem.startswith("machines.main.address is 'aaa")
    assert problem.endswith('or unix:PATH')
    assert len(problem) <= LONGEST


def test_what_cannot_be_printed_in_a_name_does_not_reach_the_log(resolving: Node) -> None:
    with pytest.raises(ConfigurationError) as caught:
        wrong = 'bases.a\n[INFO]: all is well\x1b[2J'
        read_by(resolving, {'machines.main.insecure': True, wrong: 1})
    assert caught.value.problems == (
        r'bases.a\n[INFO]: all is well\x1b[2J is not a parameter of this node',
    )
