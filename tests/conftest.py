"""Fixtures that several kinds of tests share."""

import os

from tests.localaws.parity import accounts
from tests.localaws.server import aws, aws_server
from tests.oracle.simulator import simulator
from tests.programs import aws_cli, node, terraform
from tests.workflows.stage import environment_id, stage, temporal


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are processors: the tests of real processes wait more than they compute."""
    return (os.cpu_count() or 1) + 1


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
