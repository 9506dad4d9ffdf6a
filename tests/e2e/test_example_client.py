"""The example client of the HTTP API creates an environment, and reports a stop and a refusal by their codes."""

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
    created, refused, taken = await asyncio.gather(
        run(ready.environment_id, ready.s3_key_arn, ready.rds_key_arn),
        run(stopped.environment_id, stopped.s3_key_arn, stopped.rds_key_arn),
        run(f"{stopped.environment_id}-x", "alias/mine", stopped.rds_key_arn),
    )
    assert (created.code, created.err) == (0, "")
    assert created.out.splitlines()[-1] == f"{ready.environment_id}: READY"
    assert refused.code == 3
    code, _, help_url = refused.err.splitlines()[0].partition(": ")[0], *refused.err.splitlines()[:2]
    assert code == "s3.KMS.DisabledException"
    assert help_url.endswith(f"/problems/{code}")
    assert "The customer must fix the s3 key." in refused.err
    assert taken.code == 1
    assert taken.err.startswith("arn.AliasNotAllowed") or taken.err.startswith("byok.InvalidInput")

    other = web.build_request()
    again = await run(ready.environment_id, other.s3_key_arn, other.rds_key_arn)
    assert again.code == 1
    assert "Choose another name" in again.err
