# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Keys, certificates and tokens: which can be used, and the errors of those that cannot."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
import pytest

from support.certificates import Authority
from viam_session_bridge.viam.credentials import (
    Credentials,
    CredentialsError,
    environment_has_key,
    load,
    token_lifetime,
    trusted_certificates,
)

SECRET = 'a-secret-that-nobody-may-see'
BOTH = {'VIAM_API_KEY_ID': 'id', 'VIAM_API_KEY': SECRET}


def write(path: Path, text: str, mode: int = 0o600) -> str:
    path.touch()
    path.chmod(mode)
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    'text',
    [json.dumps({'api_key_id': 'id', 'api_key': SECRET}), f'api_key_id: id\napi_key: {SECRET}'],
    ids=['JSON', 'YAML'],
)
def test_a_file_in_json_or_yaml_holds_the_key(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / 'key', text)
    assert load(path, {}) == Credentials('id', SECRET)
    assert load(path, {'VIAM_API_KEY_ID': 'other', 'VIAM_API_KEY': 'x'}).key_id == 'id'


def test_the_environment_holds_it_where_there_is_no_file() -> None:
    assert load('', BOTH) == Credentials('id', SECRET)
    assert environment_has_key(BOTH)
    assert not environment_has_key({'VIAM_API_KEY_ID': '', 'VIAM_API_KEY': ''})


def test_half_a_key_in_the_environment_is_an_error() -> None:
    with pytest.raises(CredentialsError, match='VIAM_API_KEY is set but VIAM_API_KEY_ID is not'):
        environment_has_key({'VIAM_API_KEY': SECRET})


@pytest.mark.parametrize('mode', [0o640, 0o604, 0o620, 0o601, 0o644])
def test_a_file_that_others_can_use_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / 'key', f'{{api_key_id: id, api_key: {SECRET}}}', mode)
    with pytest.raises(CredentialsError, match=f'chmod 600 {path}'):
        load(path, {})


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('', 'must hold the texts api_key_id and api_key'),
        (SECRET, 'must hold the texts'),
        (f'api_key: {SECRET}', 'must hold the texts'),
        (f'{{api_key_id: 7, api_key: {SECRET}}}', 'must hold the texts'),
        (f'{{api_key_id: "", api_key: {SECRET}}}', 'must hold the texts'),
        (f'api_key: [{SECRET}', 'neither JSON nor YAML'),
        (f'!!python/object/apply:os.system ["{SECRET}"]', 'neither JSON nor YAML'),
        (f'{SECRET}: &a\0', 'neither JSON nor YAML'),
        ('[' * 5000, 'neither JSON nor YAML'),
    ],
    ids=range(9),
)
def test_the_error_of_what_is_no_key_quotes_no_character_of_it(
    tmp_path: Path, text: str, words: str
) -> None:
    path = write(tmp_path / 'key', text)
    with pytest.raises(CredentialsError, match=words) as caught:
        load(path, {})
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_file_that_is_none_is_an_error_and_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / 'pipe', 0o600)
    for name, words in (('pipe', 'is no file'), ('none', 'No such file'), ('.', 'Is a directory')):
        with pytest.raises(CredentialsError, match=words):
            load(str(tmp_path / name), {})


def test_a_key_is_in_no_repr() -> None:
    assert SECRET not in repr(load('', BOTH))


def test_certificates_come_from_a_file(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    assert trusted_certificates(str(authority.ca_file)) == authority.ca_file.read_bytes()


@pytest.mark.parametrize(
    ('content', 'words'),
    [(b'', 'holds no certificate'), (b'\xff\xfe', 'holds no certificate'),
     (b'-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', 'holds no certificate')],
)  # fmt: skip
def test_a_file_without_certificates_is_an_error(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / 'ca.pem'
    path.write_bytes(content)
    with pytest.raises(CredentialsError, match=words):
        trusted_certificates(str(path))
    with pytest.raises(CredentialsError, match='No such file'):
        trusted_certificates(str(tmp_path / 'none'))


def test_the_systems_certificates_are_those_of_openssl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv('SSL_CERT_FILE', str(authority.ca_file))
    assert trusted_certificates('') == authority.ca_file.read_bytes()


def token(claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')
    return f'head.{payload}.signature'


@pytest.mark.parametrize(
    ('text', 'seconds'),
    [
        (token({'iat': 1000, 'exp': 4600}), 3600.0),
        (token({'nbf': 1000, 'exp': 1001.5}), 1.5),
        (token({'exp': 4600}), 0.0),
        (token({'iat': 1000}), 0.0),
        (token({'iat': 4600, 'exp': 1000}), 0.0),
        (token({'iat': 0, 'exp': float('inf')}), 0.0),
        (token({'iat': 0, 'exp': float('nan')}), 0.0),
        (token({'iat': [], 'exp': {}}), 0.0),
        (token([1, 2]), 0.0),
        ('opaque', 0.0),
        ('a.b.c', 0.0),
        ('', 0.0),
    ],
)
def test_a_token_lives_from_its_issue_to_its_expiry_by_the_machines_clock(
    text: str, seconds: float
) -> None:
    assert token_lifetime(text) == seconds


@given(st.text())
def test_any_text_has_a_lifetime(text: str) -> None:
    assert token_lifetime(text) >= 0.0
    assert token_lifetime(f'a.{text}.b') >= 0.0
