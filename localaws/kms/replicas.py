"""Replicas of multi-Region keys. A replica has its own policy, state, description, grants and tags."""

import dataclasses
import time
from datetime import UTC, datetime
from typing import Any, Final

from byok.domain.arns import partition_of_region
from localaws.call import AwsError, Call, Operation, models
from localaws.kms.operations import render_key_metadata
from localaws.kms.permissions import check_identity_policies, require_own_key
from localaws.kms.policies import build_default_policy, parse_key_policy
from localaws.kms.tags import merge_tags
from localaws.state import STATE, KeyRevision


@models("KeyId", "ReplicaRegion", "Policy", "BypassPolicyLockoutSafetyCheck", "Description", "Tags")
def replicate_key(call: Call) -> dict[str, Any]:
    """ReplicateKey.

    ReplicateKey requires permission on the primary key, and kms:CreateKey in the replica's Region. A call with tags
    also requires kms:TagResource in that Region (botocore, ReplicateKey).
    """
    key, region, tags = require_own_key(call), call.params["ReplicaRegion"], call.params.get("Tags") or []
    check_identity_policies(call, action="CreateKey")
    if tags:
        check_identity_policies(call, action="TagResource")
    if not key.multi_region or key.replica:
        raise AwsError("UnsupportedOperationException", f"{key.arn} is not a multi-Region primary key.")
    arn = f"arn:{partition_of_region(region)}:kms:{region}:{key.account}:key/{key.key_id}"
    if arn in STATE.keys:
        raise AwsError("AlreadyExistsException", f"{arn} already exists")
    given = call.params.get("Policy")
    policy = build_default_policy(key.account, region) if given is None else parse_key_policy(call, arn)
    replica = dataclasses.replace(
        key,
        arn=arn,
        region=region,
        created=datetime.now(UTC),
        description=call.params.get("Description", ""),
        revisions=[KeyRevision(time.time(), "Enabled", policy)],
        tags=merge_tags({}, tags),
        grants={},
        replica=True,
    )
    STATE.keys[arn] = replica
    return {"ReplicaKeyMetadata": render_key_metadata(replica)}


HANDLERS: Final[dict[str, Operation]] = {"ReplicateKey": replicate_key}
