"""The HTTP API's example client creates an environment, and prints the code of a stop or of a rejected request."""

import asyncio

from byok.local.programs import PROGRAMS_ROOT
from tests.e2e.conftest import CommandResult, StackHarness

CLIENT = str(PROGRAMS_ROOT / "examples" / "client.py")


async def test_example_client_waits_until_ready_and_decides_by_problem_code(web: StackHarness) -> None:
    async def run(name: str, s3: str | None, rds: str | None) -> CommandResult:
        return await web.run_program("python", CLIENT, name, "eu-central-1", s3 or "", rds or "")

    web.stack.settings["BYOK_URL"] = web.stack.web_url
    ready, stopped = web.build_request(), web.build_request()
    await asyncio.to_thread(web.aws.customer_client("kms").disable_key, KeyId=stopped.s3_key_arn)
    created, refused, alias, invalid = await asyncio.gather(
        run(ready.environment_id, ready.s3_key_arn, ready.rds_key_arn),
        run(stopped.environment_id, stopped.s3_key_arn, stopped.rds_key_arn),
        run(f"{stopped.environment_id}-x", "alias/mine", stopped.rds_key_arn),
        run("Not_A_Name", stopped.s3_key_arn, stopped.rds_key_arn),
    )
    assert (created.code, created.err) == (0, "")
    assert created.out.splitlines()[-1] == f"{ready.environment_id}: READY"
    assert refused.code == 3
    problem, help_url, advice = refused.err.splitlines()
    assert problem.startswith("s3.KMS.DisabledException: ")
    assert help_url.endswith("/problems/s3.KMS.DisabledException")
    assert advice.startswith("The customer must fix the s3 key.")
    assert (alias.code, alias.err.partition(":")[0]) == (3, "arn.AliasNotAllowed")
    assert (invalid.code, invalid.err.partition(":")[0]) == (1, "byok.InvalidInput")

    other = web.build_request()
    again = await run(ready.environment_id, other.s3_key_arn, other.rds_key_arn)
    assert again.code == 1
    assert "Choose another name" in again.err
