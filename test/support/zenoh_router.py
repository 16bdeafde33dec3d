# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Zenoh's router on a network of a test's own, where the one of all tests cannot be reached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
from pathlib import Path

from ament_index_python.packages import get_package_prefix

from support.domains import ZENOH
from support.process import ProcessUnderTest

_PORT = 7447


@contextlib.contextmanager
def routed(directory: Path, address: str, inside: Sequence[str] = ()) -> Iterator[dict[str, str]]:
    """
    Run a router at an address, and give the environment of the nodes that it is for.

    Over DDS, which needs neither, there is none.

    :param inside: the command that it is run by, such as one that enters another host
    """
    if not ZENOH:
        yield {}
        return
    endpoints = f'/endpoints=["tcp/{address}:{_PORT}"]'
    listens = {'ZENOH_CONFIG_OVERRIDE': f'listen{endpoints}'}
    with _Router(directory, 'router', listens).inside(inside):
        yield {'ZENOH_CONFIG_OVERRIDE': f'connect{endpoints}'}


class _Router(ProcessUnderTest):
    def command(self) -> list[str]:
        return [f'{get_package_prefix("rmw_zenoh_cpp")}/lib/rmw_zenoh_cpp/rmw_zenohd']

    def wait_ready(self) -> None:
        self.wait_until(lambda: 'Started Zenoh router' in self.output(), 'it does not start')
