# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Spoilings of parameters that are right each for itself, but not beside each other."""

from __future__ import annotations

from hypothesis import strategies as st

from support.parameter_sets import Choice, Given, HUGE, Spoiling


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
    changes: Given = {f'{prefix}.command_topics': [], f'{prefix}.stamped_command_topics': []}
    return Spoiling(changes, (*changes, 'name a topic'))


def topic_twice(choice: Choice) -> Spoiling:
    name = f'bases.{choice.one(choice.bases)}.{choice.one(["", "stamped_"])}command_topics'
    topics = choice.one([['twice', '/twice'], ['/twice'] * 500])
    return Spoiling({name: topics}, (name, f'/twice {len(topics)} times', 'name it once'))


def two_types(choice: Choice) -> Spoiling:
    one, other = choice.one([choice.two_bases(), (choice.bases[0], choice.bases[0])])
    lists: Given = {
        f'bases.{one}.command_topics': ['shared'],
        f'bases.{other}.stamped_command_topics': ['/shared'],
    }
    alike = {f'bases.{name}.sessions': 'auto' for name in (one, other)}
    return Spoiling(lists | alike, ('/shared', *lists, 'one type per topic', 'be set to []'))


def two_modes(choice: Choice) -> Spoiling:
    one, other = choice.two_bases()
    changes = {
        f'bases.{one}.command_topics': ['common'], f'bases.{one}.sessions': 'auto',
        f'bases.{other}.command_topics': ['/common'], f'bases.{other}.sessions': 'disabled',
    }  # fmt: skip
    words = ('/common', f'bases.{one}.sessions auto', f'bases.{other}.sessions disabled', 'alike')
    return Spoiling(changes, words)


def same_resource(choice: Choice) -> Spoiling:
    one, other = choice.two_bases()
    changes = {
        f'bases.{name}.{what}': value
        for name in (one, other)
        for what, value in (('resource', 'same'), ('machine', choice.machines[0]))
    }
    words = (f'bases.{one}.resource', f'bases.{other}.resource', "'same'", 'give that base once')
    return Spoiling(changes, words)


def manual_left_to_the_machine(choice: Choice) -> Spoiling:
    name = f'bases.{choice.one(choice.bases)}.sessions'
    changes: Given = {'stop_policy': 'machine'}
    changes |= {f'bases.{base}.sessions': 'auto' for base in choice.bases} | {name: 'manual'}
    return Spoiling(changes, ('stop_policy is machine', f'{name} is manual', 'to auto'))


def power_without_a_speed(choice: Choice) -> Spoiling:
    prefix = f'bases.{choice.one(choice.bases)}'
    speed = f'{prefix}.max_{choice.one(["linear", "angular"])}_speed'
    changes = {f'{prefix}.drive_mode': 'power', speed: choice.one([0.0, -0.0, 0])}
    return Spoiling(changes, (f'{prefix}.drive_mode is power', f'{speed} is 0', 'set it to'))


def reverse_of_no_power(choice: Choice) -> Spoiling:
    prefix = f'bases.{choice.one(choice.bases)}'
    changes: Given = {f'{prefix}.drive_mode': 'velocity', f'{prefix}.mirrored_reverse': False}
    words = (f'{prefix}.mirrored_reverse is false', f'{prefix}.drive_mode is velocity', 'leave')
    return Spoiling(changes, words)


CONTRADICTIONS = (
    unknown_machine, unknown_parent, circle, plaintext, key_over_plaintext, no_topics, topic_twice,
    two_types, two_modes, same_resource, manual_left_to_the_machine, power_without_a_speed,
    reverse_of_no_power,
)  # fmt: skip
