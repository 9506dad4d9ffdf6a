"""The input and the result of the activity that checks an organisation's quotas."""

from datetime import datetime

from byok.domain.customer_aws import DEFAULT_PROFILE
from byok.domain.models.base import RecordModel
from byok.domain.models.progress import Problem


class QuotaTask(RecordModel):
    """The environment that an organisation wants to provision, or the keys that it wants to check.

    Attributes:
        environment_id: The environment to provision; None for a key check.
        key_arns: The keys to check; empty for an environment.
        started_at: When the workflow started. Only workflows that started earlier count towards the quotas. Therefore,
            if two workflows start at nearly the same time and the quota allows only one more, byok refuses only the
            later workflow.
        profile: The customer's AWS CLI profile, as in the request.
    """

    organisation: str
    region: str
    environment_id: str | None = None
    key_arns: tuple[str, ...] = ()
    started_at: datetime
    profile: str = DEFAULT_PROFILE


class QuotaCheckResult(RecordModel):
    """The problem for the first exhausted quota; None if the workflow may continue."""

    problem: Problem | None = None
