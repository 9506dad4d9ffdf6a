"""What crosses Temporal: requests, the plan of an environment, what was made, and the proof.

One frozen model per input and result. Requests refuse unknown fields, because people type them; everything else ignores
them, so that a worker of yesterday can read what a worker of tomorrow wrote.
"""

from byok.domain.models.base import Record, Request
from byok.domain.models.plans import (
    BucketPlan,
    ClusterPlan,
    DatabaseTask,
    Environment,
    EnvironmentPlan,
    KeyCheckPlan,
    KeyMarks,
    StorageTask,
    TenantCheckPlan,
    TenantPlan,
    TenantTask,
)
from byok.domain.models.progress import (
    EnvironmentCheck,
    KeyCheck,
    KeyProof,
    KeyTenant,
    Problem,
    Progress,
    TenantOutcome,
    TenantProgress,
    TimelineEntry,
)
from byok.domain.models.requests import CheckKeysRequest, ProvisionRequest, TenantRequest, TenantRole
from byok.domain.models.resources import (
    BucketEvidence,
    BucketResource,
    ClusterResource,
    DatabaseEvidence,
    Evidence,
    ObjectEvidence,
    Removal,
    Resources,
    StorageEvidence,
    WriterResource,
)

__all__ = [
    "BucketEvidence",
    "BucketPlan",
    "BucketResource",
    "CheckKeysRequest",
    "ClusterPlan",
    "ClusterResource",
    "DatabaseEvidence",
    "DatabaseTask",
    "Environment",
    "EnvironmentCheck",
    "EnvironmentPlan",
    "Evidence",
    "KeyCheck",
    "KeyCheckPlan",
    "KeyMarks",
    "KeyProof",
    "KeyTenant",
    "ObjectEvidence",
    "Problem",
    "Progress",
    "ProvisionRequest",
    "Record",
    "Removal",
    "Request",
    "Resources",
    "StorageEvidence",
    "StorageTask",
    "TenantCheckPlan",
    "TenantOutcome",
    "TenantPlan",
    "TenantProgress",
    "TenantRequest",
    "TenantRole",
    "TenantTask",
    "TimelineEntry",
    "WriterResource",
]
