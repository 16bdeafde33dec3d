# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""How a timeline looks: colours that the colour-blind tell apart, on light and dark grounds."""

from __future__ import annotations

from viam_session_bridge.tools.timeline.lanes import Sign

# Of things drawn on the ground; a page in the dark has others instead, see DARK.
PAPER, INK, FAINT = '#fefefd', '#1a1b1c', '#d5d6d7'
DARK = {PAPER: '#16181a', INK: '#e6e7e8', FAINT: '#3c3f42'}
GREY, ALARM = '#8d9196', '#d55e00'

# Okabe and Ito's, without the one that means alarm. More users than these begin anew, hatched.
USERS = ('#56b4e9', '#e69f00', '#009e73', '#cc79a7', '#f0e442', '#0072b2')
_DARK_ONES = ('#0072b2',)
HATCHES = ('', '////', '....', 'xxxx')

# matplotlib's marker, whether it is filled, and its colour.
MARKERS: dict[Sign, tuple[str, bool, str]] = {
    Sign.STOP: ('8', True, ALARM),
    Sign.UNANSWERED: ('8', False, ALARM),
    Sign.TAKEN_OVER: ('>', True, INK),
    Sign.ENDED: ('|', True, INK),
    Sign.REFUSED: ('x', True, ALARM),
    Sign.FAILED: ('v', True, ALARM),
    Sign.NOTE: ('o', False, INK),
}


def colour(user: int) -> tuple[str, str]:
    """Return the colour and the hatch of a user, by its place among them."""
    rounds, place = divmod(user, len(USERS))
    return USERS[place], HATCHES[rounds % len(HATCHES)]


def text_on(ground: str) -> str:
    """Return a colour for text on a user's colour, the same in the dark."""
    return '#ffffff' if ground in _DARK_ONES else '#000000'
