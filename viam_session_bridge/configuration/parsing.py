# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
From the values somebody gave to what the parameters' table asks for.

ROS decides the type of a value from how it is written, so that people's slips arrive as types:
``1`` for ``1.0``, ``cmd_vel`` for ``[cmd_vel]``, ``on`` for ``'on'``. Only the first is harmless.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from viam_session_bridge.configuration.table import BASE, Kind, MACHINE, NODE, Row, Value
from viam_session_bridge.text import did_you_mean


@dataclass(frozen=True)
class Entry:
    """A parameter that exists: its row, and its default where its neighbours are known."""

    row: Row
    default: Value


def lay_out(machines: tuple[str, ...], bases: tuple[str, ...]) -> dict[str, Entry]:
    """Name every parameter there is for these machines and bases, with its entry."""
    return dict(_lay_out(machines, bases))


def _lay_out(machines: tuple[str, ...], bases: tuple[str, ...]) -> Iterator[tuple[str, Entry]]:
    for row in NODE:
        yield row.name, _entry(row, {})
    for name in machines:
        for row in MACHINE:
            yield f'machines.{name}.{row.name}', _entry(row, {})
    for name in bases:
        neighbours = {'machine': machines[0] if machines else '', 'resource': name}
        for row in BASE:
            yield f'bases.{name}.{row.name}', _entry(row, neighbours)


def _entry(row: Row, neighbours: Mapping[str, str]) -> Entry:
    return Entry(row, neighbours[row.name] if row.default is None else row.default)


def convert(name: str, row: Row, value: object) -> Value:
    """
    Give the value its proper type: bool, int, float, str or a tuple of str.

    ``value`` is whatever rclpy makes of a parameter, None where it has no value, which is how
    an empty list of a YAML file arrives. Raises ValueError with a whole message; ranges are
    left to :mod:`viam_session_bridge.configuration.validation`.
    """
    if row.kind is Kind.TEXTS:
        return _convert_texts(name, row, value)
    if row.kind is Kind.TEXT and isinstance(value, str):
        return _convert_text(name, row, value)
    if row.kind is Kind.FLAG and isinstance(value, bool):
        return value
    # A bool is an int in Python, but no speed.
    if not isinstance(value, bool):
        if row.kind is Kind.INTEGER and isinstance(value, int):
            return value
        if row.kind is Kind.NUMBER and isinstance(value, (int, float)):
            return float(value)
    raise ValueError(f'{name} is {_show(value)}, but must be {row.must_be}{_hint(row, value)}')


def _convert_text(name: str, row: Row, value: str) -> str:
    # ROS ends a text at a NUL: what was checked here would not be what is used there.
    if not value.isprintable():
        raise ValueError(f'{name} is {value!r}, but must not hold unprintable characters')
    if row.choices and value not in row.choices:
        raise ValueError(
            f'{name} is {value!r}, but must be {row.must_be}{did_you_mean(value, row.choices)}'
        )
    return value


def _convert_texts(name: str, row: Row, value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, (list, tuple, array)):
        # An empty list has no type of its own: rclpy takes it for one of bytes.
        texts = tuple(text for text in value if isinstance(text, str) and text.isprintable())
        if len(texts) == len(value):
            return texts
    raise ValueError(f'{name} is {_show(value)}, but must be {row.must_be}{_hint(row, value)}')


def _show(value: object) -> str:
    """Write a value as in a YAML file, shortened."""
    if value is None:
        return 'empty'
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, array):
        value = list(value)
    text = repr(value)
    return text if len(text) <= 80 else f'{text[:77]}...'


def _hint(row: Row, value: object) -> str:
    """Say how to write what was probably meant, or nothing."""
    if row.kind is Kind.TEXTS:
        return f': write [{value}]' if isinstance(value, str) and value.isprintable() else ''
    if row.kind is Kind.TEXT:
        return ': write it in quotes' if isinstance(value, (bool, int, float)) else ''
    if isinstance(value, str):
        return ' (without quotes)'
    return ''
