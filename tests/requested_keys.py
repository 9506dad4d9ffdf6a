"""The customer's keys in a request, and failures that are the responsibility of the platform."""

from datetime import UTC, datetime
from typing import Any, Final

from temporalio.exceptions import ApplicationError

from activities.failures import stop_with_problems
from byok.domain.arns import KeyPair
from byok.domain.models import ProvisionRequest
from byok.domain.phases import Encryption, Phase
from byok.domain.problems.build import build_problem
from byok.domain.problems.remediation import Remedy, RemedyContext
from tests.workflows.fake_activities import PLATFORM, REGION

ON_PLATFORM_KEYS: Final[dict[str, Any]] = {
    "encryption": Encryption.PLATFORM_MANAGED,
    "s3_key_arn": None,
    "rds_key_arn": None,
}
"""The fields of a request for an environment with platform-managed keys."""


def keys_of(request: ProvisionRequest) -> KeyPair:
    """Return the customer's keys from a request. The request must have customer-managed keys."""
    assert request.key_pair is not None
    return request.key_pair


def build_platform_failure(
    phase: Phase, code: str = "s3.KMS.DisabledException", remedy: Remedy = Remedy.PLATFORM_MANAGED_KEY
) -> ApplicationError:
    """Build a failure for which the platform, not one of the customer's keys, is responsible."""
    context = RemedyContext(REGION, PLATFORM.role_arn, PLATFORM.vendor, key_arn="alias/aws/s3")
    return stop_with_problems([build_problem(code, code, remedy, context, phase=phase, at=datetime.now(UTC))])
