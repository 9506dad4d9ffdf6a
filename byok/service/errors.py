"""What `byok.service` says instead of an answer: a code for programs, a sentence for people."""

from byok.domain.models import Problem


class ServiceError(Exception):
    """What the door has to say instead of an answer; `code` is for programs, the text for people."""

    code = "byok.Error"


class TemporalUnreachableError(ServiceError):
    """Nothing answers where Temporal should be."""

    code = "byok.TemporalUnreachable"


class TemporalRefusedError(ServiceError):
    """Temporal answers, and does not do what it is asked: wrong namespace, no permission."""

    code = "byok.TemporalRefused"


class EnvironmentNotFoundError(ServiceError):
    """No environment has this id."""

    code = "byok.EnvironmentNotFound"


class EnvironmentConflictError(ServiceError):
    """The id belongs to an environment that was asked for with other values, and is running or ready."""

    code = "byok.EnvironmentConflict"


class EnvironmentBusyError(ServiceError):
    """Something else is being done with the environment at this moment."""

    code = "byok.EnvironmentBusy"


class IdempotencyKeyReusedError(ServiceError):
    """A key that stood for one request comes with another one."""

    code = "byok.IdempotencyKeyReused"


class InvalidRequestError(ServiceError):
    """What was asked for cannot be a request."""

    code = "byok.InvalidInput"


class NotReplayableError(ServiceError):
    """A replay would not help: it has not stopped, or something else has to be done first."""

    code = "byok.NotReplayable"


class KeyCannotChangeError(ServiceError):
    """A key was to be exchanged that encrypts something already."""

    code = "byok.KeyCannotChange"


class NotRunningError(ServiceError):
    """There is nothing to cancel."""

    code = "byok.NotRunning"


class EnvironmentNotReadyError(ServiceError):
    """It has to be there before what was asked for can be done."""

    code = "byok.EnvironmentNotReady"


class NamingConflictError(ServiceError):
    """Another name is being put on the same keys at this moment."""

    code = "byok.TenantConflict"


class NamingStoppedError(ServiceError):
    """A tenant's name could not be put on the keys; the problems say why."""

    code = "byok.TenantStopped"

    def __init__(self, message: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(message)
        self.problems = problems


class NoWorkerError(ServiceError):
    """Nobody takes the work."""

    code = "byok.NoWorker"


class KeyCheckFailedError(ServiceError):
    """The check itself went wrong, which says nothing of the keys."""

    code = "byok.CheckFailed"
