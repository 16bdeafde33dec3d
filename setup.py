# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

from pathlib import Path

from setuptools import find_packages, setup

package_name = 'viam_session_bridge'
share = f'share/{package_name}'


def files(directory: str) -> list[str]:
    return sorted(str(path) for path in Path(directory).glob('[!.]*') if path.is_file())


setup(
    name=package_name,
    version='0.1.0',
    packages=find_packages(include=[package_name, f'{package_name}.*']),
    package_data={package_name: ['ros/*.xml']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{package_name}']),
        (share, ['package.xml']),
        (f'{share}/launch', files('launch')),
        (f'{share}/config', files('config')),
        (f'{share}/examples', files('examples')),
        (f'{share}/examples/cpp', files('examples/cpp')),
        (f'{share}/systemd', files('systemd')),
    ],
    install_requires=['setuptools'],
    python_requires='>=3.10',
    zip_safe=False,
    maintainer='The viam_session_bridge authors',
    maintainer_email='maintainers@example.com',
    description='Every ROS 2 velocity publisher as a session client of a Viam base.',
    license='Apache-2.0',
    extras_require={
        'test': ['pytest', 'pytest-timeout', 'hypothesis', 'cryptography'],
        'tools': ['matplotlib', 'rich'],
        'webrtc': ['viam-sdk'],
    },
    entry_points={
        'console_scripts': [
            'bridge = viam_session_bridge.executables:bridge',
            'simulated_machine = viam_session_bridge.executables:simulated_machine',
            'sessions = viam_session_bridge.executables:sessions',
            'timeline = viam_session_bridge.executables:timeline',
            'demo = viam_session_bridge.executables:demo',
        ],
    },
)
