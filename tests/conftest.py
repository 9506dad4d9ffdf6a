"""Fixtures that all tests share, and the distribution of tests among processes."""

import gc
import os

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.audit_journal import journal
from tests.localaws.parity import accounts
from tests.localaws.server import aws, aws_server
from tests.policy_simulator.simulator import simulator
from tests.programs import aws_cli, node, oidc_python, terraform
from tests.workflows.temporal_env import environment_id, harness, service, temporal

# Hypothesis examples have no deadline, because the duration of an example depends on the machine's load.
hypothesis.settings.register_profile("byok", deadline=None)
hypothesis.settings.load_profile("byok")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that select the Temporal server and the AWS endpoint under test."""
    group = parser.getgroup("byok", "servers under test")
    group.addoption(
        "--temporal",
        metavar="ADDRESS",
        help="run workflows on this Temporal server (namespace default) instead of a server with a virtual clock",
    )
    group.addoption(
        "--aws",
        choices=["local", "real"],
        default="local",
        help="real: tests/localaws/*_recorded.py call AWS itself, with the AWS profiles platform and byok",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a server with a real clock, skip tests that would take minutes."""
    if config.getoption("--temporal") is None:
        return
    for item in items:
        if item.get_closest_marker("virtual_time"):
            item.add_marker(pytest.mark.skip(reason="needs a virtual clock"))


def pytest_xdist_auto_num_workers() -> int:
    """Run one more xdist worker than there are CPUs, because tests that start real processes mostly wait for them."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_finish() -> None:
    """Exclude all objects loaded so far from garbage collection, which would otherwise rescan these objects."""
    gc.collect()
    gc.freeze()


class _Spread(LoadScopeScheduling):  # type: ignore[misc]
    """Sends all tests that share processes to the same xdist worker, and distributes all other tests individually.

    The option `--dist=loadgroup` is intended for this distribution, but has no effect with xdist 3.8 and pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        for together in ("tests/faults/", "tests/e2e/test_web_"):
            if file.startswith(together):
                return together
        return file if file.startswith(("tests/e2e/", "tests/unit/", "tests/cli/test_local_stack")) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Make xdist use `_Spread` as its scheduler."""
    return _Spread(config, log)


__all__ = [
    "accounts",
    "aws",
    "aws_cli",
    "aws_server",
    "environment_id",
    "harness",
    "journal",
    "node",
    "oidc_python",
    "service",
    "simulator",
    "temporal",
    "terraform",
]
