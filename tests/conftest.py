"""Fixtures that several kinds of tests share."""

from tests.localaws.parity import accounts
from tests.localaws.server import aws, aws_server
from tests.oracle.simulator import simulator
from tests.programs import aws_cli, node, terraform
from tests.workflows.stage import environment_id, stage, temporal

__all__ = [
    "accounts",
    "aws",
    "aws_cli",
    "aws_server",
    "environment_id",
    "node",
    "simulator",
    "stage",
    "temporal",
    "terraform",
]
