# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""The launch files for real: a bridge that launch starts, before a simulated machine."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import signal
import sys
import time

import pytest

from support.bounds import Load
from support.domains import ros_environment
from support.process import ProcessUnderTest, ROOT
from support.record import Record
from viam_session_bridge.simulation.server import SimulatedMachine

for module in ('launch_ros', 'launch_xml'):
    pytest.importorskip(module, reason=f'{module} comes with ROS installations only')

NAME = 'viam_session_bridge'
RECORD = 'record.jsonl'
FILES = ('bridge.launch.py', 'bridge.launch.xml')
# What `ros2 launch` does, without it: it may be missing where launch_ros is not. SIGINT is
# ignored in what a shell starts in the background, and would be in here.
RUN = """
import signal, sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import AnyLaunchDescriptionSource
signal.signal(signal.SIGINT, signal.default_int_handler)
file, *arguments = sys.argv[1:]
service = LaunchService()
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(
    AnyLaunchDescriptionSource(file),
    launch_arguments=[argument.split(':=', 1) for argument in arguments],
)]))
sys.exit(service.run())
"""
BRIDGE = f"""#!{sys.executable}
from {NAME}.executables import bridge
bridge()
"""


class Launch(ProcessUnderTest):
    """A launch file, run with arguments."""

    def __init__(self, directory: Path, domain: int, file: str, *arguments: str) -> None:
        prefix = installed(directory)
        path = os.pathsep.join(filter(None, (str(prefix), os.environ.get('AMENT_PREFIX_PATH'))))
        environment = {
            **ros_environment(domain),
            'AMENT_PREFIX_PATH': path,
            'ROS_LOG_DIR': str(directory / 'log'),
            'PYTHONUNBUFFERED': '1',
        }
        super().__init__(directory, 'launch', environment)
        launch_file = prefix / 'share' / NAME / 'launch' / file
        self._command = [sys.executable, '-c', RUN, str(launch_file), *arguments]

    def command(self) -> list[str]:
        """Return what to run."""
        return self._command

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until the output has a text so many times."""
        self.wait_until(lambda: self.output().count(text) >= times, f'does not say {text!r}')

    def bridge(self) -> int:
        """Return the bridge's process id."""
        children = Path(f'/proc/{self.pid}/task/{self.pid}/children')
        self.wait_until(lambda: children.read_text().split(), 'has no child')
        return int(children.read_text().split()[0])

    def kill(self) -> None:
        """End it at once where a test failed, and the bridge, which would live on."""
        if self.running:
            children = Path(f'/proc/{self.pid}/task/{self.pid}/children').read_text().split()
            super().kill()
            for child in children:
                os.kill(int(child), signal.SIGKILL)

    def interrupt(self) -> int:
        """End it as Ctrl-C in a terminal does, which both get, and return the exit status."""
        bridge = self.bridge()
        self.send_signal(signal.SIGINT)
        with contextlib.suppress(ProcessLookupError):  # launch passed it on, and it has ended
            os.kill(bridge, signal.SIGINT)
        return self.wait_exit()


def installed(directory: Path) -> Path:
    """Return a prefix in which this working copy is installed."""
    prefix = directory / 'prefix'
    share, program = prefix / 'share' / NAME, prefix / 'lib' / NAME / 'bridge'
    for path in (share, program.parent, prefix / 'share/ament_index/resource_index/packages'):
        path.mkdir(parents=True)
    (prefix / 'share/ament_index/resource_index/packages' / NAME).touch()
    for part in ('launch', 'config'):
        (share / part).symlink_to(ROOT / part)
    program.write_text(BRIDGE)
    program.chmod(0o755)
    return prefix


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[SimulatedMachine]:
    with SimulatedMachine(record=str(tmp_path / RECORD)) as machine:
        yield machine


def parameters(directory: Path, machine: SimulatedMachine, more: str = '') -> str:
    """Write a parameter file and return the argument that names it."""
    path = directory / 'parameters.yaml'
    path.write_text(
        f'/**/{NAME}:\n  ros__parameters:\n    machines.main.address: "{machine.address}"\n'
        f'    machines.main.insecure: true\n{more}'
    )
    return f'params_file:={path}'


@pytest.mark.parametrize('file', FILES)
def test_drives_in_a_namespace_and_ends_with_the_base_stopped(
    tmp_path: Path, own_ros_domain: int, machine: SimulatedMachine, file: str
) -> None:
    from support.publisher_process import PublisherProcess

    arguments = (parameters(tmp_path, machine), 'namespace:=robot')
    with Launch(tmp_path, own_ros_domain, file, *arguments) as launch:
        launch.wait_for('[robot.viam_session_bridge]: main: connected')
        with PublisherProcess(tmp_path, 'teleop', own_ros_domain) as teleop:
            teleop.stream('/robot/cmd_vel', forward=0.3)
            launch.wait_until(lambda: machine.state('base').moving, 'the base does not move')
            assert launch.interrupt() == 0
    assert 'SIGTERM' not in launch.output(), 'SIGINT alone does not end it'
    assert not machine.state('base').moving
    assert 'process has finished cleanly' in launch.output()


@pytest.mark.parametrize('file', FILES)
@pytest.mark.parametrize(
    ('in_file', 'argument', 'starts'),
    [
        ('', 'autostart:=false', False),
        ('', 'autostart:=False', False),
        ('    autostart: false\n', '', False),
        ('    autostart: false\n', 'autostart:=true', True),
    ],
)
def test_autostart(
    tmp_path: Path,
    own_ros_domain: int,
    machine: SimulatedMachine,
    file: str,
    in_file: str,
    argument: str,
    starts: bool,
) -> None:
    from support.observer import Observer

    arguments = [parameters(tmp_path, machine, in_file), *filter(None, [argument])]
    with (
        Launch(tmp_path, own_ros_domain, file, *arguments) as launch,
        Observer(own_ros_domain) as observer,
    ):
        launch.wait_for('process started with pid')
        assert observer.state() == ('active' if starts else 'unconfigured')
        assert launch.interrupt() == 0


@pytest.mark.parametrize('file', FILES)
@pytest.mark.parametrize(('argument', 'enclave'), [('', '/'), ('enclave:=/wheels', '/wheels')])
def test_enclave(
    tmp_path: Path,
    own_ros_domain: int,
    machine: SimulatedMachine,
    file: str,
    argument: str,
    enclave: str,
) -> None:
    from support.observer import Observer

    arguments = [parameters(tmp_path, machine), *filter(None, [argument])]
    with (
        Launch(tmp_path, own_ros_domain, file, *arguments) as launch,
        Observer(own_ros_domain) as observer,
    ):
        launch.wait_until(lambda: observer.enclave(), 'is not in the graph')
        assert observer.enclave() == enclave
        assert launch.interrupt() == 0


@pytest.mark.parametrize('file', FILES)
def test_log_level(
    tmp_path: Path, own_ros_domain: int, machine: SimulatedMachine, file: str
) -> None:
    arguments = (parameters(tmp_path, machine), 'log_level:=debug')
    with Launch(tmp_path, own_ros_domain, file, *arguments) as launch:
        launch.wait_for('[DEBUG]')
        launch.wait_for('main: connected')
        assert launch.interrupt() == 0


@pytest.mark.parametrize('file', FILES)
def test_respawned_bridge_drives_by_new_commands_alone(
    tmp_path: Path, own_ros_domain: int, machine: SimulatedMachine, file: str
) -> None:
    from support.drive import Drive
    from support.publisher_process import PublisherProcess

    arguments = (parameters(tmp_path, machine), 'respawn:=true')
    with (
        Launch(tmp_path, own_ros_domain, file, *arguments) as launch,
        PublisherProcess(tmp_path, 'teleop', own_ros_domain) as teleop,
        Load() as load,
    ):
        base = Drive(Record(tmp_path / RECORD), 'base', load)
        launch.wait_for('main: connected')
        teleop.stream('/cmd_vel', forward=0.3)
        base.wait_driven()
        os.kill(launch.bridge(), signal.SIGKILL)
        teleop.silence('/cmd_vel')
        killed = time.monotonic()
        # The machine stops it, for the session that the bridge left behind.
        assert base.wait_stopped(killed).cause == 'session'
        launch.wait_for('main: connected', times=2)
        base.stands_still(killed, 1.0)
        base.wait_driven(teleop.stream('/cmd_vel', forward=0.3))
        assert launch.interrupt() == 0
    assert not base.moving


@pytest.mark.parametrize('file', FILES)
def test_default_parameters_are_the_installed_ones(
    tmp_path: Path, own_ros_domain: int, file: str
) -> None:
    from support.observer import Observer

    with Launch(tmp_path, own_ros_domain, file) as launch, Observer(own_ros_domain) as observer:
        # Whether or not anybody listens at the file's address.
        assert observer.state() == 'active'
        command = Path(f'/proc/{launch.bridge()}/cmdline').read_text().split('\0')
        share = tmp_path / 'prefix' / 'share' / NAME
        assert str(share / 'config' / 'one_base.yaml') in command
        assert launch.interrupt() == 0


# A description of somebody else with the same names, and values of its own.
OTHER = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo
from launch.substitutions import LaunchConfiguration as Value
NAMES = 'params_file', 'namespace', 'autostart', 'log_level', 'respawn', 'enclave'
def generate_launch_description():
    declared = [DeclareLaunchArgument(name, default_value='others') for name in NAMES]
    said = [text for name in NAMES for text in (f' {name}=', Value(name))]
    return LaunchDescription([*declared, LogInfo(msg=['other:', *said])])
"""
COMPOSED = """
import sys
from launch import LaunchDescription
from launch.actions import GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import AnyLaunchDescriptionSource
from launch_ros.actions import PushRosNamespace
OURS, OTHER, PARAMETERS = {ours!r}, {other!r}, {parameters!r}
def included(file, **arguments):
    return IncludeLaunchDescription(
        AnyLaunchDescriptionSource(file), launch_arguments=arguments.items())
def generate_launch_description():
    return LaunchDescription([{actions}])
"""
ALL_THE_OTHERS = (
    'other: params_file=others namespace=others autostart=others log_level=others '
    'respawn=others enclave=others'
)


def composed(directory: Path, file: str, actions: str, parameters: str = '') -> str:
    """Write a launch file that includes a launch file of ours and another one."""
    other, path = directory / 'other.launch.py', directory / 'composed.launch.py'
    other.write_text(OTHER)
    share = directory / 'prefix' / 'share' / NAME
    names = {'ours': str(share / 'launch' / file), 'other': str(other), 'actions': actions}
    path.write_text(COMPOSED.format(**names, parameters=parameters.partition(':=')[2]))
    return str(path)


@pytest.mark.parametrize('file', FILES)
@pytest.mark.parametrize(
    'others',
    ['included(OTHER), {}', '{}, included(OTHER)', "included(OTHER, namespace='others'), {}"],
    ids=['before', 'after', 'told'],
)
def test_beside_another_description_each_has_its_own_values(
    tmp_path: Path, own_ros_domain: int, machine: SimulatedMachine, file: str, others: str
) -> None:
    ours = (
        "GroupAction([PushRosNamespace('fleet'), included(OURS, params_file=PARAMETERS, "
        "namespace='robot')], forwarding=False)"
    )
    path = composed(tmp_path, file, others.format(ours), parameters(tmp_path, machine))
    with Launch(tmp_path, own_ros_domain, path) as launch:
        launch.wait_for('[fleet.robot.viam_session_bridge]: main: connected')
        launch.wait_for(ALL_THE_OTHERS)
        assert launch.interrupt() == 0


@pytest.mark.parametrize('file', FILES)
def test_defaults_stay_in_its_own_scope(tmp_path: Path, own_ros_domain: int, file: str) -> None:
    from support.observer import Observer

    path = composed(tmp_path, file, 'included(OURS), included(OTHER)')
    with Launch(tmp_path, own_ros_domain, path) as launch, Observer(own_ros_domain) as observer:
        launch.wait_for(ALL_THE_OTHERS)
        assert observer.state() == 'active'
        assert launch.interrupt() == 0


@pytest.mark.parametrize('file', FILES)
def test_arguments_can_be_listed(tmp_path: Path, own_ros_domain: int, file: str) -> None:
    from launch.launch_description_sources import AnyLaunchDescriptionSource

    source = AnyLaunchDescriptionSource(str(ROOT / 'launch' / file))
    found = source.try_get_launch_description_without_context().get_launch_arguments()
    assert {argument.name for argument in found} == {
        'params_file', 'namespace', 'autostart', 'log_level', 'respawn', 'enclave'
    }  # fmt: skip
