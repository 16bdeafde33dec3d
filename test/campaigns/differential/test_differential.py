# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Every implementation of the session rules does what the core does, in random scripts.

The seed is drawn, and printed with what differs; `DIFFERENTIAL_SEED=7 make test` sets it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
import os
from pathlib import Path
import random

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('viam', reason='viam-sdk is an extra')

from campaigns.differential.cases import Case, cases
from campaigns.differential.generator import draw, WINDOWS
from campaigns.differential.report import case_table, different, summary
from campaigns.differential.running import Outcome, Result, run_all
from campaigns.differential.script import Script
from campaigns.differential.stage import Stage
from support.domains import own_domain, ros_environment

SCRIPTS = 31
SEED = int(os.environ.get('DIFFERENTIAL_SEED') or random.SystemRandom().randrange(10**6))
TARGETS = (
    'bridge in front of simulated', 'bridge in front of viam-server',
    'simulated, spoken to', 'viam-server, spoken to',
)  # fmt: skip

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope='module')
def scripts() -> list[Script]:
    return [draw(SEED, number) for number in range(SCRIPTS)]


@pytest.fixture(scope='module')
def results(
    scripts: list[Script], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Result]]:
    """Run them once for all tests."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        for name, value in ros_environment(stack.enter_context(own_domain())).items():
            patch.setenv(name, value)
        stage = stack.enter_context(Stage(Path(tmp_path_factory.mktemp('stage')), scripts))
        yield run_all(stage, scripts)


def test_every_case_and_window_occurs(scripts: list[Script]) -> None:
    counts = Counter(case for script in scripts for case in cases(script))
    assert not set(Case) - set(counts), f'seed {SEED}\n{case_table(scripts)}'
    assert {script.window for script in scripts} == set(WINDOWS)
    assert {len(draw(0, number).bases) for number in range(SCRIPTS)} == {1, 2, 3, 4}


def test_no_target_differs_from_the_core(results: list[Result]) -> None:
    print(f'seed {SEED}\n{summary(results)}')
    assert not different(results), '\n\n'.join(map(str, different(results)))


@pytest.mark.parametrize('target', TARGETS)
def test_most_scripts_were_compared(target: str, results: list[Result]) -> None:
    of_it = [result for result in results if result.target == target]
    assert len(of_it) == SCRIPTS
    compared = [result for result in of_it if result.outcome is not Outcome.INVALID]
    others = [str(result) for result in of_it if result.outcome is Outcome.INVALID]
    assert len(compared) > SCRIPTS / 2, '\n\n'.join(others)
    # Neither of these can be the same for lack of anything to compare.
    assert sum(result.stops for result in compared) > SCRIPTS
    assert sum(result.steps for result in compared) > 2 * SCRIPTS
