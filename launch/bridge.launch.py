# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
The bridge, with the parameters of a file.

    ros2 launch viam_session_bridge bridge.launch.py params_file:=/path/to/my_base.yaml

Ctrl-C is an orderly end: launch sends SIGINT, and the bridge stops its bases within its
``shutdown_timeout`` (2 s). SIGTERM would follow only after 5 s.

Other launch files, such as Nav2's bringup, have arguments of the same names. Include this one in a
group of its own, or theirs reach it (docs/howto/running.md):

    GroupAction([IncludeLaunchDescription(..., launch_arguments={...}.items())], forwarding=False)
"""

from __future__ import annotations

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

PACKAGE = 'viam_session_bridge'
RESPAWN_DELAY = 1.0  # s
BOOLEANS = ['true', 'false', 'True', 'False']  # the latter from launch files in Python


def generate_launch_description() -> LaunchDescription:
    """Return the arguments and the node; ``ros2 launch`` asks for it."""
    # In a scope of its own: what is not said here stays what it was for those that are included
    # beside it, which may have arguments of the same names, as Nav2's bringup has.
    return LaunchDescription([GroupAction([*_arguments(), OpaqueFunction(function=_bridge)])])


def _arguments() -> list[DeclareLaunchArgument]:
    return [
        DeclareLaunchArgument(
            'params_file',
            default_value=PathJoinSubstitution(
                [FindPackageShare(PACKAGE), 'config', 'one_base.yaml']
            ),
            description='parameters; default: one base of a viam-server at localhost:8080',
        ),
        DeclareLaunchArgument(
            'namespace',
            default_value='',
            description='of the node, its topics and its relative command topics',
        ),
        DeclareLaunchArgument(
            'autostart',
            default_value='',
            choices=['', *BOOLEANS],
            description='whether the node configures and activates itself; '
            'default: as params_file says, else true',
        ),
        DeclareLaunchArgument(
            'log_level',
            default_value='info',
            description='of all loggers: debug, info, warn, error or fatal; of the bridge alone, '
            f'without the flood of the middleware: {PACKAGE}:=debug',
        ),
        DeclareLaunchArgument(
            'respawn',
            default_value='false',
            choices=BOOLEANS,
            description='restart the node whenever it ends, even by a shutdown; '
            'the machine stops its bases meanwhile',
        ),
        DeclareLaunchArgument(
            'enclave',
            default_value='',
            description='SROS 2: whose keys and permissions the node has, such as '
            '/viam_session_bridge; default: those of /',
        ),
    ]


def _bridge(context: LaunchContext) -> list[Node]:
    params_file = Path(LaunchConfiguration('params_file').perform(context)).expanduser()
    if not params_file.is_file():  # launch would start the bridge without it
        raise FileNotFoundError(f'params_file: there is no file {params_file}')
    parameters: list[object] = [str(params_file)]
    # Only what was asked for: a file's `autostart: false` is an operator's lock.
    if LaunchConfiguration('autostart').perform(context):
        autostart = ParameterValue(LaunchConfiguration('autostart'), value_type=bool)
        parameters.append({'autostart': autostart})
    ros_arguments: list[object] = ['--log-level', LaunchConfiguration('log_level')]
    if LaunchConfiguration('enclave').perform(context):
        ros_arguments += ['--enclave', LaunchConfiguration('enclave')]
    return [
        Node(
            package=PACKAGE,
            executable='bridge',
            # Named, so that these parameters win over those of a file for any namespace.
            name=PACKAGE,
            namespace=LaunchConfiguration('namespace'),
            parameters=parameters,
            ros_arguments=ros_arguments,
            output='screen',
            respawn=LaunchConfiguration('respawn').perform(context).lower() == 'true',
            respawn_delay=RESPAWN_DELAY,
        )
    ]
