"""The one door to Temporal for everything that is not a worker: whoever starts, watches or changes an environment."""

from byok.service.connection import connect_service
from byok.service.environments import Creation, EnvironmentService

__all__ = ["Creation", "EnvironmentService", "connect_service"]
