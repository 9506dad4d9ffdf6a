"""Proves that RDS can use an Aurora key, and removes the proof cluster."""

import asyncio
import contextlib
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.aurora_proofs import AuroraProofActivities
    from byok.contracts import AURORA_PROOF_UPDATE, PROVE_AURORA_KEY_WORKFLOW, aurora_proof_workflow_id
    from byok.domain.arns import KeyPurpose
    from byok.domain.models import AuroraProofTask, CheckedKey, CheckKeysRequest, Environment, KeyPairRequest
    from byok.domain.phases import KeyVerdict, Phase, RequestKind
from workflows.activity_options import CHECK_PROBE_OPTIONS, REMOVE_PROOF_OPTIONS, REUSE_PROOF_FOR, with_summary
from workflows.cancellation import finish_despite_cancellation, raise_if_cancelled, shield_until_done
from workflows.failures import extract_problem, is_cancellation
from workflows.workflow_id import require_workflow_id


@workflow.defn(name=PROVE_AURORA_KEY_WORKFLOW)
class ProveAuroraKey:
    """Proves a key, and stays open until the proof cluster is gone and the proof is too old to reuse.

    The workflow id is `aurora-proof/<Region>/<account>/<key id>`, so a key has at most one run at a time. Key checks
    start or join the run with an update-with-start call. Key checks reuse a proof but never a refusal, because a
    refused attempt costs nothing and the customer checks again after fixing the key. If a check needs a new proof while
    the previous proof cluster is still being removed, the same run proves the key again.

    A cancellation stops the proof, but not the removal of the cluster.
    """

    def __init__(self) -> None:
        self._verdict: CheckedKey | None = None
        self._proved_at: datetime | None = None
        self._may_exist = False
        self._proving = asyncio.Lock()

    @workflow.run
    async def run(self, environment: Environment) -> CheckedKey:
        """Prove the key, remove the cluster, and stay open for checks that reuse the proof."""
        expected = aurora_proof_workflow_id(environment.region, environment.rds_key_arn)
        require_workflow_id(expected, f"the workflow id for the proof of {environment.rds_key_arn}")
        try:
            verdict = await self._find_verdict(environment)
            raise_if_cancelled()
            await self._stay_open(environment, while_usable=True)
        except (ActivityError, asyncio.CancelledError):
            await self._clean_up(environment)
            raise
        return verdict

    @workflow.update(name=AURORA_PROOF_UPDATE)
    async def await_proof(self, environment: Environment) -> CheckedKey:
        """Return the verdict on the key. Prove the key unless an earlier proof can be reused."""
        return await self._find_verdict(environment)

    async def _find_verdict(self, environment: Environment) -> CheckedKey:
        async with self._proving:
            if self._verdict is None or self._usable_for() is None:
                self._verdict = await self._prove(environment)
            return self._verdict

    async def _prove(self, environment: Environment) -> CheckedKey:
        arn = environment.rds_key_arn
        task = AuroraProofTask(environment=environment, proof_id=str(workflow.uuid4()))
        self._proved_at = None
        try:
            verdict = await shield_until_done(
                workflow.start_activity_method(
                    AuroraProofActivities.ensure_proof_cluster,
                    task,
                    **with_summary(CHECK_PROBE_OPTIONS, f"Aurora key {arn}"),
                )
            )
        except ActivityError as error:
            if is_cancellation(error):
                raise
            model = CheckKeysRequest if environment.request_kind is RequestKind.KEY_CHECK else KeyPairRequest
            pair = model(
                region=environment.region,
                s3_key_arn=environment.s3_key_arn,
                rds_key_arn=arn,
                profile=environment.profile,
            )
            problem = extract_problem(error, pair, Phase.VALIDATING_KEYS, workflow.now())
            return CheckedKey.from_problem(KeyPurpose.RDS, arn, problem)
        finally:
            self._may_exist = True  # even after an error, because an earlier attempt may have created the cluster
        if verdict.verdict is KeyVerdict.PROVED:
            self._proved_at = workflow.now()
        return verdict

    async def _stay_open(self, environment: Environment, *, while_usable: bool) -> None:
        """Remove the proof clusters, and return once no check is waiting.

        If `while_usable` is true, also wait until the last proof is too old to reuse.
        """

        def is_done() -> bool:
            usable = while_usable and self._usable_for() is not None
            return not self._may_exist and not usable and workflow.all_handlers_finished()

        while not is_done():
            if self._may_exist:
                self._may_exist = False
                await shield_until_done(
                    workflow.start_activity_method(
                        AuroraProofActivities.remove_proof_clusters,
                        environment,
                        **with_summary(REMOVE_PROOF_OPTIONS, f"Aurora key {environment.rds_key_arn}"),
                    )
                )
                raise_if_cancelled()
                continue
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: self._may_exist or is_done(), timeout=self._usable_for() if while_usable else None
                )

    async def _clean_up(self, environment: Environment) -> None:
        """Remove the proof clusters after a failure or a cancellation. Further cancellation requests are ignored."""
        self._may_exist = True
        await finish_despite_cancellation(self._stay_open(environment, while_usable=False))

    def _usable_for(self) -> timedelta | None:
        """Return how long checks can still reuse the last proof; None if there is no proof to reuse."""
        if self._proved_at is None:
            return None
        left = REUSE_PROOF_FOR - (workflow.now() - self._proved_at)
        return left if left > timedelta(0) else None
