# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""
Publishers that the graph shows on a topic of the bridge's, and that it does not hear.

For their message type, or for a QoS that is incompatible. They get no message through, and no
error either: without a word here nobody would know. Pure, for the receiving loop's thread; what
stands may be asked for from any.
"""

from __future__ import annotations

from typing import Any

from viam_session_bridge.reporting.active_problems import ActiveProblems, BRIDGE
from viam_session_bridge.ros.publishers import UNKNOWN
from viam_session_bridge.text import safe_name

LASTS = 10.0  # s: the graph is looked at every 2 s, and less often under thousands of publishers
STAMPED = {
    'geometry_msgs/msg/TwistStamped': 'stamped_command_topics',
    'geometry_msgs/msg/Twist': 'command_topics',
}
# What rclpy's words for what is incompatible are about; the first that is found counts.
SETTINGS = {
    'best effort': 'reliability',
    'volatile': 'durability',
    'deadline': 'deadline',
    'lease': 'liveliness_lease_duration',
    'liveliness': 'liveliness',
}


class IncompatiblePublishers:
    """Who is not heard, and why."""

    def __init__(self, problems: ActiveProblems) -> None:
        """Start with everyone heard."""
        self._problems = problems

    def seen(self, topic: str, info: Any, wanted: str, why: str, now: float) -> str | None:
        """
        Take what the graph shows; return the line for the log where one is due.

        :param info: rclpy's `TopicEndpointInfo` of the publisher
        :param wanted: the message type that the bridge subscribes to
        :param why: what is wrong with its QoS in rclpy's words, where its type is right
        """
        if info.node_name in UNKNOWN:
            return None  # its name comes a moment later
        node = safe_name(f'{info.node_namespace.rstrip("/")}/{info.node_name}')
        if info.topic_type != wanted:
            what = wrong_type(info.topic_type, wanted)
        else:
            what = wrong_qos(topic, why)
        line = f'{topic}: {node} is not heard: {what}'
        subject = f'{topic} {node} {safe_name(info.topic_type)}'
        due = self._problems.report(BRIDGE, 'unheard', line, now, subject=subject, lasts=LASTS)
        return line if due else None


def wrong_type(there: str, wanted: str) -> str:
    """Say what to do about a publisher of another message type."""
    what = f'it publishes {safe_name(there)}, the bridge expects {wanted}'
    if there in STAMPED and wanted in STAMPED:
        return f'{what}: move the topic to {STAMPED[there]}, or have it publish {wanted}'
    return f'{what}: let it publish that, or on another topic'


def wrong_qos(topic: str, why: str) -> str:
    """Say what to do about a publisher whose QoS does not fit the subscription's."""
    said = why.removeprefix('QoS: ').replace('ERROR: ', '').rstrip('; ').replace(';', ', ')
    setting = next((name for word, name in SETTINGS.items() if word in why.lower()), 'qos')
    if setting == 'reliability':  # the one that the bridge's qos_overrides can make so
        remedy = (
            f'set qos_overrides.{topic}.subscription.reliability to best_effort, or let it '
            'publish as reliable'
        )
    else:
        remedy = 'let it offer what the bridge requests'
    return f'incompatible QoS, {setting} ({said}): {remedy}'
