"""Fixtures that several kinds of tests share."""

from tests.localaws.parity import accounts
from tests.localaws.server import aws, aws_server
from tests.programs import aws_cli
from tests.workflows.stage import environment_id, stage, temporal

__all__ = ["accounts", "aws", "aws_cli", "aws_server", "environment_id", "stage", "temporal"]
