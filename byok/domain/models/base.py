"""Base classes of the models that byok sends through Temporal."""

from pydantic import BaseModel, ConfigDict


class RequestModel(BaseModel):
    """Base class of models that people write. It rejects unknown fields and keeps values out of error messages."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class RecordModel(BaseModel):
    """Base class of models that only byok writes and reads."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
