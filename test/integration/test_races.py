# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Commands that race a session's end, on a real viam-server (R2, R4, R6, R7, R9)."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip('viam', reason='viam-sdk is an extra')

from support.races import races

RACES = 1000
BASES = 3  # of each kind
ROUND = 2.0  # s
ROUNDS = 6  # at most, where the computer is busy
SIDE = 20  # races, at least, that go the one way and the other
SIDES = {
    'swept': ('before', 'after'),
    'takeover swept': ('before', 'after'),
    'overtaken': ('before', 'after'),
    'met': ('at once', 'after'),
    'takeover met': ('at once', 'after'),
}


def test_whoever_wins_no_base_moves_unattended_and_none_is_stopped_by_the_session_before(
    tmp_path: Path,
) -> None:
    with races(tmp_path, BASES) as running:
        for _ in range(ROUNDS):
            running.round(ROUND)
            counts = {
                (kind, side): running.outcomes[kind].sides[side]
                for kind, sides in SIDES.items()
                for side in sides
            }
            if running.count >= RACES and min(counts.values()) >= SIDE:
                break
    for kind, outcome in running.outcomes.items():
        assert outcome.violations == [], kind
    assert running.count >= RACES
    assert min(counts.values()) >= SIDE, counts
