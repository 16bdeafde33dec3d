# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""What the bridge asks of a machine, as gRPC calls: method, message and metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc

from viam_session_bridge.configuration.model import BaseConfiguration, DriveMode
from viam_session_bridge.core.requests import (
    GetMachineStatus,
    GetSessions,
    IsMoving,
    ListBases,
    Listed,
    Move,
    Reach,
    Request,
    SendHeartbeat,
    StartSession,
    StopBase,
)
from viam_session_bridge.viam import messages
from viam_session_bridge.viam.credentials import Credentials

Metadata = tuple[tuple[str, str], ...]


class Methods:
    """The methods of one machine on one gRPC channel."""

    def __init__(self, channel: grpc.Channel, bases: Mapping[str, BaseConfiguration]) -> None:
        """Bind them; ``bases``: those of the machine, by name."""
        self._bases = bases
        self._authenticate = messages.AUTHENTICATE.on(channel)
        self._start_session = messages.START_SESSION.on(channel)
        self._heartbeat = messages.SEND_SESSION_HEARTBEAT.on(channel)
        self._get_sessions = messages.GET_SESSIONS.on(channel)
        self._set_velocity = messages.SET_VELOCITY.on(channel)
        self._set_power = messages.SET_POWER.on(channel)
        self._stop = messages.STOP.on(channel)
        self._is_moving = messages.IS_MOVING.on(channel)
        self._resource_names = messages.RESOURCE_NAMES.on(channel)
        self._machine_status = messages.GET_MACHINE_STATUS.on(channel)

    def compose(self, request: Request) -> tuple[Any, Any, Metadata]:
        """Return the method to call, its message, and metadata beside the access token."""
        if isinstance(request, Move):
            base = self._bases[request.base]
            if base.drive_mode is DriveMode.POWER:
                method, kind = self._set_power, messages.SET_POWER.request
                linear, angular = request.velocity.to_viam_power(
                    base.max_linear_speed, base.max_angular_speed, base.mirrored_reverse
                )
            else:
                method, kind = self._set_velocity, messages.SET_VELOCITY.request
                linear, angular = request.velocity.to_viam()
            message = kind(name=base.resource)
            # In place, which takes a third of the time; an assigned zero is present, too.
            for vector, values in ((message.linear, linear), (message.angular, angular)):
                vector.x, vector.y, vector.z = values
            return method, message, ((messages.SESSION_KEY, request.sid),) if request.sid else ()
        if isinstance(request, StopBase):
            return self._stop, messages.STOP.request(name=self._bases[request.base].resource), ()
        if isinstance(request, StartSession):
            return self._start_session, messages.START_SESSION.request(resume=request.resume), ()
        if isinstance(request, SendHeartbeat):
            return self._heartbeat, messages.SEND_SESSION_HEARTBEAT.request(id=request.sid), ()
        if isinstance(request, IsMoving):
            resource = self._bases[request.base].resource
            return self._is_moving, messages.IS_MOVING.request(name=resource), ()
        if isinstance(request, (ListBases, Reach)):
            return self._resource_names, messages.RESOURCE_NAMES.request(), ()
        if isinstance(request, GetMachineStatus):
            return self._machine_status, messages.GET_MACHINE_STATUS.request(), ()
        assert isinstance(request, GetSessions)
        return self._get_sessions, messages.GET_SESSIONS.request(), ()

    def authenticate(self, credentials: Credentials) -> tuple[Any, Any]:
        """Return the method and the message that ask for an access token."""
        payload = messages.Credentials(type=messages.API_KEY, payload=credentials.key)
        message = messages.AUTHENTICATE.request(entity=credentials.key_id, credentials=payload)
        return self._authenticate, message


def listed_by_name(response: Any, bases: Mapping[str, BaseConfiguration]) -> Listed:
    """Return which bases a machine lists among its resources, and which of ours it does not."""
    names = {resource.name: resource for resource in response.resources if _is_base(resource)}
    lacking = {name: '' for name, base in bases.items() if not _find(base.resource, names)}
    return Listed(tuple(sorted(names)), lacking)


def listed_by_status(response: Any, bases: Mapping[str, BaseConfiguration]) -> Listed:
    """
    Return which bases a machine's status lists, and which of ours are not ready.

    One that failed is tried again and again; what counts is that it was tried.
    """
    statuses = {one.name.name: one for one in response.resources if _is_base(one.name)}
    lacking = {}
    complete = bool(response.state == messages.RUNNING)
    for name, base in bases.items():
        found = _find(base.resource, statuses)
        if not any(one.state == messages.READY for one in found):
            lacking[name] = next((one.error for one in found), '')
            complete &= all(one.state == messages.UNHEALTHY for one in found)
    return Listed(tuple(sorted(statuses)), lacking, complete)


def _find(resource: str, listed: Mapping[str, Any]) -> list[Any]:
    """Return what answers to a name: up to v0.90 a sub-part's base `part:base` does to `base`."""
    return [one for name, one in listed.items() if resource in (name, name.rpartition(':')[2])]


def _is_base(resource: Any) -> bool:
    return (resource.type, resource.subtype) == ('component', 'base')
