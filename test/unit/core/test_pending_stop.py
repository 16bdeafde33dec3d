# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of a stop that is not final, and how long a Stop may take (R7)."""

from __future__ import annotations

import pytest

from viam_session_bridge.core.stop_control import StopTimeout


def test_a_deadline_shrinks_back_to_stop_timeout_whatever_that_is() -> None:
    timeout = StopTimeout(0.5)
    timeout.passed(0.5)
    timeout.passed(1.0)
    assert timeout.seconds == 2.0
    timeout.took(0.1)
    assert timeout.seconds == 0.5


@pytest.mark.parametrize(('took', 'left'), [(1.3, 2.0), (1.4, 4.0)])
def test_it_shrinks_to_what_is_ample_for_the_last_one(took: float, left: float) -> None:
    timeout = StopTimeout(1.0)
    timeout.passed(2.0)
    timeout.took(took)
    assert timeout.seconds == left
