# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Bases as people have them, as configurations for `ViamServer(extra=...)`.

Each function returns the configuration of one base with all that it needs. What a base of motors
does is in the record under its motors' names, see `movers`.
"""

from __future__ import annotations

import os
from pathlib import Path
import sys
from typing import Any

_MODULE = Path(__file__).with_name('module_base.py')
SENSOR = '/viam.component.movementsensor.v1.MovementSensorService/DoCommand'

Config = dict[str, Any]


def movers(base: str) -> tuple[str, str]:
    """Return the names of the motors of a wheeled or sensor-controlled base."""
    return f'{base}_left', f'{base}_right'


def wheeled(base: str) -> Config:
    """Return rdk's wheeled base, on two of rdk's fake motors that record (1 m/s at full power)."""
    left, right = movers(base)
    wheels = {'left': [left], 'right': [right], 'width_mm': 600, 'wheel_circumference_mm': 600}
    return {
        'components': [
            *(
                _component(motor, 'motor', 'viamsessionbridge:motor:recorder')
                for motor in (left, right)
            ),
            _component(base, 'base', 'rdk:builtin:wheeled', **wheels),
        ]
    }


def sensor_controlled(base: str) -> Config:
    """
    Return rdk's sensor-controlled base with control parameters, over a wheeled one.

    Its sensor follows the motors; `server.do(sensor(base), {'dead': True}, SENSOR)` makes it read
    zero from then on.
    """
    left, right = movers(base)
    # For a base that reaches 1 m/s and 180 deg/s.
    maxima = {'linear_velocity': 1.0, 'angular_velocity': 180.0}
    control = [
        {'type': kind, 'p': 25.0 / most, 'i': 500.0 / most, 'd': 0.0}
        for kind, most in maxima.items()
    ]
    under, follower = f'{base}_wheels', 'viamsessionbridge:movement_sensor:follower'
    motors = wheeled(base)['components'][:2]
    wheels = wheeled(base)['components'][2]
    return {
        'components': [
            *motors,
            {**wheels, 'name': under},
            _component(sensor(base), 'movement_sensor', follower, left=left, right=right),
            _component(
                base,
                'base',
                'rdk:builtin:sensor-controlled',
                movement_sensor=[sensor(base)],
                base=under,
                control_parameters=control,
            ),
        ]
    }


def sensor(base: str) -> str:
    """Return the name of a sensor-controlled base's sensor."""
    return f'{base}_sensor'


def module(base: str) -> Config:
    """
    Return a base on viam-sdk, in a process of its own that viam-server starts.

    It takes the faults of `ViamServer.control`, whose `get=True` also tells its `pid`.
    """
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ['PATH']))
    process = {'name': 'python', 'type': 'local', 'executable_path': str(_MODULE)}
    return {
        'modules': [{**process, 'env': {'PATH': path}}],
        'components': [_component(base, 'base', 'viamsessionbridge:base:module')],
    }


def _component(name: str, kind: str, model: str, **attributes: Any) -> Config:
    return {'name': name, 'api': f'rdk:component:{kind}', 'model': model, 'attributes': attributes}
