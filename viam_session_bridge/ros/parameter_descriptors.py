# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What ``ros2 param describe`` shows of a row of the parameters' table."""

from __future__ import annotations

import sys

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

from viam_session_bridge.configuration.table import Kind, Row


def describe(row: Row) -> ParameterDescriptor:
    """Make a row's descriptor: description, unit, range, and in words what ROS cannot say."""
    descriptor = ParameterDescriptor(
        description=f'{row.description} Unit: {row.unit}.' if row.unit else row.description
    )
    constraints = [row.constraints] if row.constraints else []
    if row.choices:
        constraints.insert(0, row.must_be)
    if row.allowed is not None:
        constraints.insert(0, str(row.allowed))
        # ROS has no open ranges; what it lets through is refused when configuring.
        low, high = row.allowed.low, min(row.allowed.high, sys.float_info.max)
        if row.kind is Kind.INTEGER:
            whole = IntegerRange(from_value=int(low), to_value=int(high), step=1)
            descriptor.integer_range = [whole]
        else:
            floating = FloatingPointRange(from_value=float(low), to_value=high, step=0.0)
            descriptor.floating_point_range = [floating]
    constraints.append('read-only once the node is configured')
    descriptor.additional_constraints = '; '.join(constraints)
    return descriptor
