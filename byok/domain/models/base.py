"""Bases of what crosses Temporal."""

from pydantic import BaseModel, ConfigDict


class RequestModel(BaseModel):
    """Base of what people type: strict about names, silent about values."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class RecordModel(BaseModel):
    """Base of what the product writes and reads itself."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
