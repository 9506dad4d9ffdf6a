"""Six tasks in a chain, as in Celery's user guide."""

import os

from celery import Celery, chain
from celery.canvas import Signature
from celery.signals import worker_process_init

from bench.peers import steps
from bench.peers.driver import EnvironmentSpec

app = Celery("peers", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])


@worker_process_init.connect
def create_clients(**_: object) -> None:
    steps.create_clients(os.environ["AWS_DEFAULT_REGION"])


@app.task
def check_keys(environment: EnvironmentSpec) -> None:
    steps.check_keys(environment)


@app.task
def create_database(environment: EnvironmentSpec) -> None:
    steps.create_database(environment)


@app.task
def await_database(environment: EnvironmentSpec) -> None:
    steps.await_database(environment)


@app.task
def create_bucket(environment: EnvironmentSpec) -> None:
    steps.create_bucket(environment)


@app.task
def verify_bucket(environment: EnvironmentSpec) -> None:
    steps.verify_bucket(environment)


@app.task
def name_keys(environment: EnvironmentSpec) -> None:
    steps.name_keys(environment)


def provision(environment: EnvironmentSpec) -> Signature:
    tasks = (check_keys, create_database, await_database, create_bucket, verify_bucket, name_keys)
    return chain(task.si(environment) for task in tasks)
