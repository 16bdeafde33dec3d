# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The end of a message about a name that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
import difflib


def did_you_mean(name: str, known: Iterable[str], prefix: str = '') -> str:
    """
    Name up to three known names like this one, '; did you mean X or Y?', or say nothing.

    ``prefix`` is put before each of them and takes no part in the comparison.
    """
    near = difflib.get_close_matches(name, list(known), n=3)
    return f'; did you mean {" or ".join(prefix + one for one in near)}?' if near else ''
