"""Checks a workflow's id.

If the workflows for one environment could have different ids, two runs could work on the environment at the same time.
"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from byok.temporal_inputs import invalid_input_error


def require_workflow_id(expected: str, what: str) -> None:
    """Check that this workflow has the id that its input requires.

    Args:
        expected: The required id.
        what: A description of the id, such as "the workflow id of environment acme".

    Raises:
        ApplicationError: The workflow has another id. The error has the type `InvalidInput` and fails the workflow.
    """
    actual = workflow.info().workflow_id
    if actual != expected:
        raise invalid_input_error(
            f"environment_id: {what} must be {expected}, but this workflow was started as {actual}."
        )
