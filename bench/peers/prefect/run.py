"""Prefect with default settings: a flow of six tasks, with the temporary server that Prefect starts on its own."""

import os

from prefect import flow, task

from bench.peers import steps
from bench.peers.driver import provision_in_threads

check_keys, create_database, await_database, create_bucket, verify_bucket, name_keys = (
    task(step) for step in steps.STEPS
)


@flow
def provision(environment: dict[str, str]) -> None:
    check_keys(environment)
    create_database(environment)
    await_database(environment)
    create_bucket(environment)
    verify_bucket(environment)
    name_keys(environment)


if __name__ == "__main__":
    steps.create_clients(os.environ["AWS_DEFAULT_REGION"])
    provision_in_threads(provision)
