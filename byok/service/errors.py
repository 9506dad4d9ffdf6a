"""The errors that `byok.service` raises, each with a code for programs and a message for people."""

from byok.domain.encryption import ENCRYPTION_CANNOT_CHANGE_CODE
from byok.domain.models import Problem
from byok.domain.quotas import QUOTA_EXCEEDED_CODE, ExceededQuota


class ServiceError(Exception):
    """Base class of the errors of `byok.service`. `code` is for programs, and the exception's text is for people."""

    code = "byok.Error"


class TemporalUnreachableError(ServiceError):
    """The Temporal server cannot be reached."""

    code = "byok.TemporalUnreachable"


class TemporalRefusedError(ServiceError):
    """The Temporal server rejects the request, or the client's configuration is invalid."""

    code = "byok.TemporalRefused"


class AuditUnavailableError(ServiceError):
    """The audit trail cannot be written, so the request was not carried out."""

    code = "byok.AuditUnavailable"


class EnvironmentNotFoundError(ServiceError):
    """No environment has this id."""

    code = "byok.EnvironmentNotFound"


class DeletionDiffersError(ServiceError):
    """A deletion request specifies a Region or a key that is not the environment's. Nothing was deleted."""

    code = "byok.DeletionDiffers"


class ClaimsUnavailableError(ServiceError):
    """The claims on keys could not be listed."""

    code = "byok.ClaimsUnavailable"


class AccountConflictError(ServiceError):
    """The AWS account is registered for another organisation."""

    code = "byok.AccountOfAnotherOrganisation"


class AccountBusyError(ServiceError):
    """Another request is changing the registration of the AWS account."""

    code = "byok.AccountBusy"


class AccountProofUsedError(ServiceError):
    """The nonce of a proof was already used to register an AWS account."""

    code = "byok.AccountProofUsed"


class AccountsUnavailableError(ServiceError):
    """The registered AWS accounts could not be read or changed."""

    code = "byok.AccountsUnavailable"


class RebuildFailedError(ServiceError):
    """The records of environments could not be rebuilt from AWS."""

    code = "byok.RebuildFailed"


class VerificationFailedError(ServiceError):
    """The verification of an environment did not complete."""

    code = "byok.VerificationIncomplete"


class DeliveryNotFoundError(ServiceError):
    """Temporal has no delivery with this id, or has already deleted the delivery."""

    code = "byok.DeliveryNotFound"


class DeliveryFailedError(ServiceError):
    """An endpoint did not accept a notification."""

    code = "byok.DeliveryFailed"


class QuotaExceededError(ServiceError):
    """The organisation has used up one of its quotas, which `exceeded` describes. Nothing was started."""

    code = QUOTA_EXCEEDED_CODE

    def __init__(self, exceeded: ExceededQuota) -> None:
        super().__init__(f"{exceeded.message} Nothing was started. {exceeded.advice}")
        self.exceeded = exceeded


class ExternalIdUnavailableError(ServiceError):
    """The external id for the customer's tenant role could not be read or created."""

    code = "byok.ExternalIdUnavailable"


class EnvironmentConflictError(ServiceError):
    """The id belongs to a running or ready environment that was requested with different values."""

    code = "byok.EnvironmentConflict"


class EnvironmentBusyError(ServiceError):
    """Another operation on the environment is in progress."""

    code = "byok.EnvironmentBusy"


class IdempotencyKeyReusedError(ServiceError):
    """The idempotency key was already used for a different request."""

    code = "byok.IdempotencyKeyReused"


class InvalidRequestError(ServiceError):
    """The request is invalid."""

    code = "byok.InvalidInput"


class NotReplayableError(ServiceError):
    """The environment cannot be replayed: it has not stopped, or a replay would not help."""

    code = "byok.NotReplayable"


class KeyCannotChangeError(ServiceError):
    """The request changes a key that already encrypts a resource."""

    code = "byok.KeyCannotChange"


class EncryptionCannotChangeError(ServiceError):
    """The request specifies a different kind of encryption from the environment's (contract 9)."""

    code = ENCRYPTION_CANNOT_CHANGE_CODE


class NoCustomerKeysError(ServiceError):
    """The operation requires the customer's own keys, but the environment's keys are platform-managed."""

    code = "byok.NoCustomerKeys"


class NotRunningError(ServiceError):
    """There is no running workflow to cancel."""

    code = "byok.NotRunning"


class EnvironmentNotReadyError(ServiceError):
    """The operation requires a ready environment."""

    code = "byok.EnvironmentNotReady"


class DifferentNamingInProgressError(ServiceError):
    """A different request to put a tenant name on the same keys is in progress."""

    code = "byok.TenantConflict"


class NamingStoppedError(ServiceError):
    """byok could not put the tenant name on the keys. `problems` contains the reasons."""

    code = "byok.TenantStopped"

    def __init__(self, message: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(message)
        self.problems = problems


class NoWorkerError(ServiceError):
    """No worker is available for the request."""

    code = "byok.NoWorker"


class KeyCheckFailedError(ServiceError):
    """The key check itself failed, so there is no verdict on the keys."""

    code = "byok.CheckFailed"
