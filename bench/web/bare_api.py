"""A bare FastAPI application that makes the same Temporal calls as the API and does nothing else."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request
from pydantic import BaseModel
from temporalio.client import WorkflowExecutionDescription
from temporalio.common import WorkflowIDReusePolicy
from temporalio.service import RPCError

from bench.web.bare_server import serve
from byok import contracts
from byok.temporal import connect


class CreateRequest(BaseModel):
    """The body of a create request, without any of the API's validation."""

    environment_id: str
    region: str
    s3_key_arn: str
    rds_key_arn: str
    key_grace_seconds: int = 30


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.temporal = await connect()
    yield


app = FastAPI(lifespan=lifespan)


@app.post("/v1/environments", status_code=202)
async def create_environment(asked: CreateRequest, request: Request) -> dict[str, Any]:
    handle = await request.app.state.temporal.start_workflow(
        contracts.PROVISION_ENVIRONMENT_WORKFLOW,
        asked,
        id=contracts.environment_workflow_id(asked.environment_id),
        task_queue=contracts.TASK_QUEUE,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
    )
    return {"environment_id": asked.environment_id, "workflow_id": handle.id, "run_id": handle.result_run_id}


@app.get("/v1/environments/{environment_id}")
async def get_environment(environment_id: str, request: Request) -> dict[str, Any]:
    temporal = request.app.state.temporal
    handle = temporal.get_workflow_handle(contracts.environment_workflow_id(environment_id))
    described: WorkflowExecutionDescription = await handle.describe()
    if described.close_time is not None:
        # Like the API, this handler also describes the tenant workflow, if one has run after provisioning.
        with contextlib.suppress(RPCError):
            await temporal.get_workflow_handle(contracts.tenant_workflow_id(environment_id)).describe()
    return {
        "environment_id": environment_id,
        "status": described.status.name if described.status else None,
        "progress": await described.memo_value(contracts.PROGRESS_MEMO, None),
    }


if __name__ == "__main__":
    serve(app, __doc__)
