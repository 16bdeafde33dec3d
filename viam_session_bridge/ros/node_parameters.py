# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The parameters on a node: declared, described, settable until the node is configured.

What is wrong with a value from a file or the command line is said when the node is configured,
never when it is constructed: a lifecycle node that cannot be constructed gives no reasons. So a
parameter is declared with its default where the given value is impossible, and ``Parameters.read``
goes by what was given.
"""

from __future__ import annotations

from array import array
import contextlib
import sys
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.lifecycle import Node
from rclpy.parameter import Parameter

from viam_session_bridge.configuration.model import Configuration, ConfigurationError
from viam_session_bridge.configuration.parsing import (
    check_names,
    convert,
    find_foreign,
    find_unused_overrides,
    lay_out,
    Names,
    OVERRIDES,
    read,
)
from viam_session_bridge.configuration.table import Kind, Row

# Given by ROS or by everyone's tools, and declared by them at a time of their own.
_NOT_OURS = (
    'use_sim_time',
    'start_type_description_service',
    # In files for all nodes of a robot; this one publishes /diagnostics without that library.
    'diagnostic_updater.period',
    'diagnostic_updater.use_fqn',
)
HEARTBEAT_TOPIC = '~/heartbeat'


def describe(row: Row) -> ParameterDescriptor:
    """Return what ``ros2 param describe`` shows; what ROS has no field for is put in words."""
    allowed = row.must_be if row.choices else str(row.allowed or '')
    constraints = allowed, row.constraints, 'read-only once the node is configured'
    descriptor = ParameterDescriptor(
        description=f'{row.description} Unit: {row.unit}.' if row.unit else row.description,
        additional_constraints='; '.join(words for words in constraints if words),
    )
    if row.allowed is not None:
        # ROS has no open ranges; what it lets through is refused when configuring.
        low, high = row.allowed.low, min(row.allowed.high, sys.float_info.max)
        if row.kind is Kind.INTEGER:
            whole = IntegerRange(from_value=int(low), to_value=int(high), step=1)
            descriptor.integer_range = [whole]
        else:
            floating = FloatingPointRange(from_value=float(low), to_value=high, step=0.0)
            descriptor.floating_point_range = [floating]
    return descriptor


class Parameters:
    """Those of a machine or base exist while ``machine_names`` or ``base_names`` has its name."""

    def __init__(self, node: Node) -> None:
        """Declare them; raises nothing on account of their values."""
        self.locked = False
        """Whether changes are refused, as they are while the node is configured."""
        self._node = node
        self._declaring = False
        # Not a public name, but as old as parameters in rclpy, and the only way to learn of those
        # that were given and never declared: the slips of the keyboard.
        self._given = {name: one.value for name, one in node._parameter_overrides.items()}
        self._rows: dict[str, Row] = {}
        node.add_pre_set_parameters_callback(lambda some: [self._with_type(one) for one in some])
        node.add_on_set_parameters_callback(self._allow)
        node.add_post_set_parameters_callback(self._note)
        self._declare()

    def read(self) -> Configuration:
        """Make a configuration of them, or raise a ConfigurationError with all that is wrong."""
        overrides = [name for name in self._given if name.startswith(OVERRIDES)]
        others = {*overrides, *self.foreign(), *filter(self._is_ros, self._given)}
        ours = {name: value for name, value in self._given.items() if name not in others}
        configuration = read(ours, self._resolve)
        topics = {topic: None for base in configuration.bases for topic in base.topics}
        heard = [*topics, self._resolve(HEARTBEAT_TOPIC)]
        if unused := list(find_unused_overrides(overrides, heard)):
            raise ConfigurationError(unused)
        return configuration

    def foreign(self) -> list[str]:
        """Return the names that reached this node and are none of its own (R23)."""
        found = find_foreign(self._given, self._rows)
        return [name for name in found if not self._is_ros(name)]

    def _is_ros(self, name: str) -> bool:
        return name in _NOT_OURS or (name not in self._rows and self._node.has_parameter(name))

    def _resolve(self, topic: str) -> str:
        try:
            return self._node.resolve_topic_name(topic)
        except (RuntimeError, TypeError) as error:  # rclpy's own, RCLError, is no public name.
            reason = str(error).partition(', at ')[0].rpartition('failed to resolve name: ')[2]
            raise ValueError(reason) from error

    def _declare(self) -> None:
        """Bring the declared parameters in line with the names of machines and bases."""
        self._declaring = True
        try:
            wanted = lay_out(self._names('machine_names'), self._names('base_names'))
            for name, row in self._rows.items():
                # A default may have changed with the names, so what stays is declared anew.
                if wanted.get(name) != row:
                    self._node.undeclare_parameter(name)
            for name, row in wanted.items():
                if not self._node.has_parameter(name):
                    self._declare_one(name, row)
            self._rows = wanted
        finally:
            self._declaring = False

    def _names(self, parameter: str) -> Names:
        names: Any = self._possible(parameter, lay_out((), ())[parameter])
        return tuple(
            name for name in dict.fromkeys(names) if not any(check_names(parameter, [name]))
        )

    def _possible(self, name: str, row: Row) -> Any:
        """Return the value that was given, the default where there is none or it is impossible."""
        if name in self._given:
            with contextlib.suppress(ValueError):
                return convert(name, row, self._given[name])
        return row.default

    def _declare_one(self, name: str, row: Row) -> None:
        value = self._possible(name, row)
        if isinstance(value, tuple):
            # In two steps, for rclpy takes an empty list for one of bytes.
            texts = Parameter.Type.STRING_ARRAY
            self._node.declare_parameter(name, texts, describe(row), ignore_override=True)
            self._node.set_parameters([Parameter(name, texts, list(value))])
        else:
            self._node.declare_parameter(name, value, describe(row), ignore_override=True)

    def _with_type(self, parameter: Parameter[Any]) -> Parameter[Any]:
        """Give what people write another type where that is harmless: 1 is 1.0, [] is a list."""
        row = self._rows.get(parameter.name)
        kind, value = row and row.kind, parameter.value
        if kind is Kind.NUMBER and parameter.type_ is Parameter.Type.INTEGER:
            return Parameter(parameter.name, Parameter.Type.DOUBLE, float(value))
        if kind is Kind.TEXTS and isinstance(value, (list, tuple, array)) and len(value) == 0:
            return Parameter(parameter.name, Parameter.Type.STRING_ARRAY, [])
        return parameter

    def _allow(self, parameters: list[Parameter[Any]]) -> SetParametersResult:
        ours = [] if self._declaring else [one for one in parameters if one.name in self._rows]
        reasons = [reason for one in ours if (reason := self._objection(one))]
        return SetParametersResult(successful=not reasons, reason='; '.join(reasons))

    def _objection(self, parameter: Parameter[Any]) -> str:
        """Return why a parameter cannot be set so; '' if it can."""
        name = parameter.name
        if self.locked:
            return (
                f'{name} is read-only while the node is configured: deactivate it and clean it '
                'up, set the parameter, then configure it again'
            )
        try:
            convert(name, self._rows[name], parameter.value)
        except ValueError as error:
            return str(error)
        return ''

    def _note(self, parameters: list[Parameter[Any]]) -> None:
        if self._declaring:
            return
        ours = {one.name: one.value for one in parameters if one.name in self._rows}
        self._given.update(ours)
        if not ours.keys().isdisjoint(('machine_names', 'base_names')):
            self._declare()
