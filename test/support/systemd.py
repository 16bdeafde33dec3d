# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
A systemd of the tests' own, in namespaces of its own, that runs the package's unit as it is.

It is the first process there, changes files for itself alone, and knows no units but those given
here; the network is the computer's. That takes root and cgroups that can be written.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
import os
from pathlib import Path
import shlex
import shutil
import subprocess
import sys
from typing import Any

import yaml

from support.bounds import PATIENCE
from support.drive import wait_for
from support.process import ProcessUnderTest, ROOT

UNIT = 'viam_session_bridge.service'
_SYSTEMD = Path('/usr/lib/systemd/systemd')
_TARGETS = ('sysinit', 'basic', 'shutdown')

_SET_UP = """
set -e
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir /sys/fs/cgroup/{cgroup}
echo 0 > /sys/fs/cgroup/{cgroup}/cgroup.procs
# It may set nothing in the kernel, which is everybody's.
mount --bind /proc/sys /proc/sys
mount -o remount,ro,bind /proc/sys
mount -t tmpfs tmpfs /var/log
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system
for top in etc home; do
    mkdir /run/$top /run/$top.work
    mount -t overlay overlay -o lowerdir=/$top,upperdir=/run/$top,workdir=/run/$top.work /$top
done
# The tests' own user: with Fast DDS, users do not share memory. Without root's capabilities.
echo 'ros:x:0:0::/home/ros:/bin/sh' >> /etc/passwd
mkdir -p /etc/viam_session_bridge /home/ros/ros2_ws/install
cp {files}/bridge.yaml {files}/environment /etc/viam_session_bridge
chmod 0600 /etc/viam_session_bridge/environment
cp {files}/setup.bash /home/ros/ros2_ws/install
export container=other SYSTEMD_UNIT_PATH={files}/units SYSTEMD_LOG_TARGET=console
exec {systemd} --system --unit=basic.target --show-status=no
"""


class Systemd(ProcessUnderTest):
    """The unit is there, but not started."""

    def __init__(
        self,
        directory: Path,
        parameters: Mapping[str, Any],
        environment: Mapping[str, str],
        settings: str,
    ) -> None:
        """
        Prepare.

        :param settings: lines of a drop-in for the unit's section `Service`
        """
        super().__init__(directory, 'systemd', {})
        self._cgroup = f'viam_session_bridge_test_{os.getpid()}'
        self._service_log = directory / 'service.log'
        units = directory / 'units'
        (units / f'{UNIT}.d').mkdir(parents=True)
        for target in _TARGETS:
            (units / f'{target}.target').write_text('[Unit]\n')
        shutil.copy(ROOT / 'systemd' / UNIT, units)
        (units / f'{UNIT}.d' / 'test.conf').write_text(
            f'[Service]\nStandardOutput=append:{self._service_log}\nStandardError=inherit\n'
            f'{settings}'
        )
        node = {'viam_session_bridge': {'ros__parameters': dict(parameters)}}
        (directory / 'bridge.yaml').write_text(yaml.safe_dump(node))
        lines = ''.join(f'{name}={value}\n' for name, value in environment.items())
        (directory / 'environment').write_text(lines)
        (directory / 'setup.bash').write_text(
            f'export PATH={shlex.quote(sys.prefix)}/bin:$PATH PYTHONPATH={shlex.quote(str(ROOT))}'
            f'"${{PYTHONPATH:+:$PYTHONPATH}}"\n'
        )
        self._set_up = _SET_UP.format(
            cgroup=self._cgroup, files=shlex.quote(str(directory)), systemd=_SYSTEMD
        )

    def command(self) -> list[str]:
        """Return what to run."""
        apart = ['--mount', '--pid', '--uts', '--fork', '--kill-child', '--mount-proc']
        return ['unshare', *apart, '/bin/bash', '-c', self._set_up]

    def start(self, ready: bool = True) -> None:
        """Start it; AssertionError says why that cannot be done here."""
        assert os.geteuid() == 0, 'not root'
        assert _SYSTEMD.exists(), f'no {_SYSTEMD}'
        assert _cgroups(), 'no cgroup2'
        super().start(ready)

    def wait_ready(self) -> None:
        """Wait until it takes orders."""
        # Before it is what it is to be, orders would go to the computer's own.
        self.wait_until(
            lambda: Path(f'/proc/{self._first()}/comm').read_text() == 'systemd\n', 'no systemd'
        )
        self.wait_until(
            lambda: self._control('is-active', 'basic.target').returncode == 0, 'does not start'
        )

    def control(self, *words: str) -> str:
        """Return what `systemctl` says, which has to succeed."""
        ran = self._control(*words)
        assert ran.returncode == 0, f'{words}: {ran.stderr}{self.service_log()}{self.log_end()}'
        return ran.stdout.strip()

    def value(self, name: str) -> str:
        """Return a property of the unit."""
        return self.control('show', '--value', '--property', name, UNIT)

    def service_log(self) -> str:
        """Return what the unit's processes wrote."""
        return self._service_log.read_text() if self._service_log.exists() else ''

    def kill(self) -> None:
        """End it at once, and all that it started."""
        super().kill()
        for root in _cgroups():
            wait_for(partial(_removed, root / self._cgroup), f'{self._cgroup} is empty')

    def _control(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = ['nsenter', '-t', self._first(), '-m', '-p', 'systemctl', *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)

    def _first(self) -> str:
        """Return the computer's id of the first process there."""
        children = Path(f'/proc/{self.pid}/task/{self.pid}/children').read_text().split()
        return children[0] if children else 'self'


def _cgroups() -> list[Path]:
    mounts = [line.split() for line in Path('/proc/mounts').read_text().splitlines()]
    return [Path(where) for _, where, kind, *_ in mounts if kind == 'cgroup2'][:1]


def _removed(cgroup: Path) -> bool:
    """Remove a cgroup, if there is one and its processes are gone."""
    try:
        for below in sorted(cgroup.rglob('*/'), reverse=True):
            below.rmdir()
        if cgroup.exists():
            cgroup.rmdir()
    except OSError:
        return False
    return True
