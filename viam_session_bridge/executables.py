# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The executables. Signals have their meaning before anything else is imported."""

from __future__ import annotations

import gc
from typing import NoReturn

from viam_session_bridge import lazy_imports, signals


def bridge() -> NoReturn:
    """Run the bridge."""
    signals.end_at_once()
    gc.disable()  # until all that stays is there
    lazy_imports.import_lazily(*lazy_imports.SELDOM_USED)
    from viam_session_bridge.ros.main import main

    signals.run(main)


def simulated_machine() -> NoReturn:
    """Run a simulated machine."""
    signals.end_at_once()
    from viam_session_bridge.simulation.main import main

    signals.run(main)


def sessions() -> NoReturn:
    """Run the live table."""
    signals.end_at_once()
    from viam_session_bridge.tools.sessions import main

    signals.run(main)


def timeline() -> NoReturn:
    """Draw an event log."""
    signals.end_at_once()
    from viam_session_bridge.tools.timeline import main

    signals.run(main)


def demo() -> NoReturn:
    """Run the demo."""
    signals.end_at_once()
    from viam_session_bridge.tools.demo import main

    signals.run(main)
