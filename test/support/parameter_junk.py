# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Every parameter, and values to try on them."""

from __future__ import annotations

from hypothesis import strategies as st

from viam_session_bridge.configuration.table import BASE, MACHINE, NODE

INSECURE = {'machines.main.insecure': True}
ROWS = (
    {row.name: row for row in NODE}
    | {f'machines.main.{row.name}': row for row in MACHINE}
    | {f'bases.base.{row.name}': row for row in BASE}
)

TEXTS = st.text(st.characters(exclude_categories=['Cs']), max_size=20) | st.sampled_from(
    ['auto', 'main', 'unix:/a', 'localhost:1', '::1', '~', '/', 'a.b', '{x}']
)
WHOLE = st.integers(-(2**63), 2**63 - 1)
ANYTHING = st.one_of(
    st.booleans(), WHOLE, st.floats(), TEXTS, st.none(), st.lists(TEXTS, max_size=3),
    st.lists(WHOLE, max_size=2), st.lists(st.floats(), max_size=2),
    st.lists(st.booleans(), max_size=2), st.lists(st.binary(min_size=1, max_size=1), max_size=2),
)  # fmt: skip
NAMES = st.sampled_from(sorted(ROWS)) | TEXTS.filter(bool)
JUNK_GIVEN = st.dictionaries(NAMES, ANYTHING, max_size=4)
