"""The floor: a bare script, every environment from top to bottom in a thread of its own."""

import os

from bench.peers.driver import Environment, provision_in_threads
from bench.peers.steps import STEPS, connect


def provision(environment: Environment) -> None:
    for step in STEPS:
        step(environment)


if __name__ == "__main__":
    connect(os.environ["AWS_DEFAULT_REGION"])
    provision_in_threads(provision)
