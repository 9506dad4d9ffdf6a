"""A workflow with six activities, as in the SDK's tutorial."""

from datetime import timedelta

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    from bench.peers import steps
    from bench.peers.driver import EnvironmentSpec

TASK_QUEUE = "peers"


@activity.defn
def check_keys(environment: EnvironmentSpec) -> None:
    steps.check_keys(environment)


@activity.defn
def create_database(environment: EnvironmentSpec) -> None:
    steps.create_database(environment)


@activity.defn
def await_database(environment: EnvironmentSpec) -> None:
    steps.await_database(environment)


@activity.defn
def create_bucket(environment: EnvironmentSpec) -> None:
    steps.create_bucket(environment)


@activity.defn
def verify_bucket(environment: EnvironmentSpec) -> None:
    steps.verify_bucket(environment)


@activity.defn
def name_keys(environment: EnvironmentSpec) -> None:
    steps.name_keys(environment)


ACTIVITIES = (check_keys, create_database, await_database, create_bucket, verify_bucket, name_keys)


@workflow.defn
class Provision:
    @workflow.run
    async def run(self, environment: EnvironmentSpec) -> None:
        for each in ACTIVITIES:
            await workflow.execute_activity(each, environment, start_to_close_timeout=timedelta(minutes=5))
