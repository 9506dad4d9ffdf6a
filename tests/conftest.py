"""Fixtures that several kinds of tests share."""

from tests.workflows.stage import environment_id, stage, temporal

__all__ = ["environment_id", "stage", "temporal"]
