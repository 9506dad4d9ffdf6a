"""Response headers for requests that exceed a limit.

`RateLimit-Policy` identifies the exceeded limit, and `RateLimit` reports that no units remain (IETF,
draft-ietf-httpapi-ratelimit-headers-11). The older `X-RateLimit-…` headers have no specification, and cannot describe a
limit without a time window. `Retry-After` (RFC 9110, 10.2.3) is sent only if waiting helps.
"""

import math
from datetime import timedelta

from byok.domain.quotas import KEY_CHECK_WINDOW, ExceededQuota, Quota


def build_rate_limit_headers(
    name: str,
    limit: int,
    *,
    unit: str | None = None,
    window: timedelta | None = None,
    retry_after: timedelta | None = None,
) -> dict[str, str]:
    """Build the headers for an exceeded limit.

    Args:
        name: The name of the limit.
        limit: How many units are allowed.
        unit: The unit that the limit counts, such as `concurrent-requests`; None if the limit counts requests.
        window: The time window to which the limit applies; None if the limit has no time window.
        retry_after: How long the client should wait before it retries, rounded up to whole seconds; None if waiting
            does not help.
    """
    policy, remaining = f'"{name}";q={limit}', f'"{name}";r=0'
    if unit is not None:
        policy += f';qu="{unit}"'
    if window is not None:
        policy += f";w={round(window.total_seconds())}"
    if retry_after is None:
        return {"RateLimit-Policy": policy, "RateLimit": remaining}
    seconds = max(1, math.ceil(retry_after.total_seconds()))
    return {"RateLimit-Policy": policy, "RateLimit": f"{remaining};t={seconds}", "Retry-After": str(seconds)}


def build_quota_headers(exceeded: ExceededQuota) -> dict[str, str]:
    """Build the headers for a request that would exceed an organisation's quota."""
    return build_rate_limit_headers(
        exceeded.quota,
        exceeded.limit,
        unit="concurrent-requests" if exceeded.quota is Quota.IN_FLIGHT else None,
        window=KEY_CHECK_WINDOW if exceeded.quota is Quota.KEY_CHECKS else None,
        retry_after=exceeded.retry_after,
    )
