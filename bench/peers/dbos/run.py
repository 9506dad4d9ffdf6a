"""DBOS on SQLite: a six-step workflow that runs in the process that starts it."""

import os

from dbos import DBOS

from bench.peers import steps
from bench.peers.driver import EnvironmentSpec, provision_in_threads

check_keys, create_database, await_database, create_bucket, verify_bucket, name_keys = (
    DBOS.step()(step) for step in steps.STEPS
)


@DBOS.workflow()
def provision(environment: EnvironmentSpec) -> None:
    check_keys(environment)
    create_database(environment)
    await_database(environment)
    create_bucket(environment)
    verify_bucket(environment)
    name_keys(environment)


if __name__ == "__main__":
    steps.create_clients(os.environ["AWS_DEFAULT_REGION"])
    DBOS(config={"name": "peers", "system_database_url": "sqlite:///dbos.sqlite", "run_admin_server": False})
    DBOS.launch()
    try:
        provision_in_threads(provision)
    finally:
        DBOS.destroy()
