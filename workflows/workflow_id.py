"""One thing, one workflow id: what is started under another one could be done twice at once."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from byok.temporal import invalid_input_error


def require_workflow_id(expected: str, what: str) -> None:
    """See that this workflow has the id that its input asks for.

    Args:
        expected: The id.
        what: Which one that is, "the workflow id of environment acme".

    Raises:
        ApplicationError: `InvalidInput`; it ends the workflow.
    """
    actual = workflow.info().workflow_id
    if actual != expected:
        raise invalid_input_error(
            f"environment_id: {what} has to be {expected}, and this workflow was started as {actual}."
        )
