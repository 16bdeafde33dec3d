# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""Viam's DoCommand, in which a component takes a command of its own; without viam-sdk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2
from google.protobuf.json_format import MessageToDict
import grpc

BASE_METHOD = '/viam.component.base.v1.BaseService/DoCommand'


def do_command(
    channel: grpc.Channel,
    component: str,
    command: Mapping[str, Any],
    method: str = BASE_METHOD,
    timeout: float = 5.0,
) -> dict[str, Any]:
    """
    Send a component a command and return the result.

    :param method: the DoCommand of the component's API
    """
    request = _REQUEST(name=component)
    request.command.update(command)
    call = channel.unary_unary(method, _REQUEST.SerializeToString, _RESPONSE.FromString)
    response = call(request, timeout=timeout, wait_for_ready=True)
    result: dict[str, Any] = MessageToDict(response.result)
    return result


def _messages() -> tuple[Any, Any]:
    """Describe ``viam.common.v1``'s two messages, in a pool of their own beside viam-sdk's."""
    file = descriptor_pb2.FileDescriptorProto(
        name='do_command.proto', package='viam.common.v1', syntax='proto3',
        dependency=[struct_pb2.DESCRIPTOR.name],
    )  # fmt: skip
    field_type = descriptor_pb2.FieldDescriptorProto
    text, struct = field_type.TYPE_STRING, field_type.TYPE_MESSAGE
    for message, fields in {
        'DoCommandRequest': [('name', 1, text), ('command', 2, struct)],
        'DoCommandResponse': [('result', 1, struct)],
    }.items():
        described = file.message_type.add(name=message)
        for name, number, kind in fields:
            field = described.field.add(name=name, number=number, type=kind, label=1)
            if kind == struct:
                field.type_name = '.google.protobuf.Struct'
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(struct_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    factory: Any = message_factory
    # protobuf before 4.22 has no GetMessageClass.
    class_of = getattr(factory, 'GetMessageClass', None) or factory.MessageFactory().GetPrototype
    request, response = (
        class_of(pool.FindMessageTypeByName(f'viam.common.v1.{name}'))
        for name in ('DoCommandRequest', 'DoCommandResponse')
    )
    return request, response


_REQUEST, _RESPONSE = _messages()
