# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0
"""How long an access token lives, as far as it says so itself."""

from __future__ import annotations

import base64
import json
import math


def lifetime(token: str) -> float:
    """
    Return the seconds from a token's issue to its expiry, 0 where it does not say both.

    Tokens are JWTs (RFC 7519) and none of the bridge's business otherwise: their signature is for
    the machine to check. The difference of the machine's own times is used, for its clock and
    this computer's may be an hour apart.
    """
    try:
        _, payload, _ = token.split('.')
        claims = json.loads(base64.urlsafe_b64decode(payload + '=' * (-len(payload) % 4)))
        issued = claims.get('iat', claims.get('nbf'))
        seconds = float(claims['exp']) - float(issued)
        return seconds if 0.0 < seconds < math.inf else 0.0
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return 0.0
