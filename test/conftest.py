# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator
import os

# Read when grpc is imported: its handlers of fork() abort a child now and then, and here children
# are but started, by a process that has channels of its own.
os.environ['GRPC_ENABLE_FORK_SUPPORT'] = 'false'

from hypothesis import HealthCheck, settings
import pytest

from support.domains import own_domain, ros_environment

settings.register_profile('default', deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile('thorough', settings.get_profile('default'), max_examples=2000)
settings.load_profile(os.environ.get('HYPOTHESIS_PROFILE', 'default'))

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
