"""What `byok.service` says instead of an answer: a code for programs, a sentence for people."""


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


class NoWorkerError(ServiceError):
    """Nobody takes the work."""

    code = "byok.NoWorker"


class CheckFailedError(ServiceError):
    """The check itself went wrong, which says nothing of the keys."""

    code = "byok.CheckFailed"
