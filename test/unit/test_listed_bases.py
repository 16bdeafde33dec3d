# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Which bases there are, by what a machine lists of its resources."""

from __future__ import annotations

import pytest

from support.channel_driver import base_named
from viam_session_bridge.core.requests import Listed
from viam_session_bridge.viam import messages as wire
from viam_session_bridge.viam.channel import listed_by_name, listed_by_status

ABSENT = {'base': ''}
INITIALIZING, RUNNING = 1, 2
UNCONFIGURED, CONFIGURING, READY, REMOVING, UNHEALTHY = range(1, 6)


def test_of_all_that_a_machine_lists_its_bases_are_named() -> None:
    listed = wire.RESOURCE_NAMES.response()
    for kind, subtype, name in (
        ('component', 'base', 'wheels'),
        ('component', 'motor', 'left'),
        ('service', 'base', 'odd'),
        ('component', 'base', 'rem1:base'),
    ):
        listed.resources.add(namespace='rdk', type=kind, subtype=subtype, name=name)
    ours = {
        name: base_named(name, resource=resource)
        for name, resource in {
            'there': 'wheels', 'absent': 'left', 'other': 'odd', 'far': 'rem1:base',
            'short': 'base',
        }.items()
    }  # fmt: skip
    assert listed_by_name(listed, ours) == Listed(
        ('rem1:base', 'wheels'), {'absent': '', 'other': ''}, None
    )


@pytest.mark.parametrize(
    ('state', 'resource', 'error', 'lacking', 'complete'),
    [
        (RUNNING, READY, '', {}, True),
        (INITIALIZING, READY, '', {}, False),
        (RUNNING, None, '', ABSENT, True),
        (INITIALIZING, None, '', ABSENT, False),
        (RUNNING, UNHEALTHY, 'no motor', {'base': 'no motor'}, True),
        (INITIALIZING, UNHEALTHY, 'no motor', {'base': 'no motor'}, False),
        (RUNNING, CONFIGURING, '', ABSENT, False),
        (RUNNING, UNCONFIGURED, '', ABSENT, False),
        (RUNNING, REMOVING, '', ABSENT, False),
        (0, None, '', ABSENT, False),
    ],
)
def test_a_base_is_lacking_until_it_is_ready(
    state: int, resource: int | None, error: str, lacking: dict[str, str], complete: bool
) -> None:
    response = wire.GET_MACHINE_STATUS.response(state=state)
    names = [('base', 'other', READY), ('motor', 'wheels', READY)]
    if resource is not None:
        names.append(('base', 'wheels', resource))
    for subtype, name, its_state in names:
        status = response.resources.add(state=its_state, error=error)
        status.name.MergeFrom(
            wire.ResourceName(namespace='rdk', type='component', subtype=subtype, name=name)
        )
    listed = listed_by_status(response, {'base': base_named('base')})
    there = ('other',) if resource is None else ('other', 'wheels')
    assert listed == Listed(there, lacking, complete)
