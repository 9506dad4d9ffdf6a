"""Change each rule of the error table and run the table's tests: `python -m tests.mutation.error_table`.

mutmut changes only code in functions, but the error table is data that Python builds when it imports the modules. This
program makes the changes in memory and prints the changes that no test detects. The program runs the tests for each
change in a separate forked process, so the changes do not affect each other.
"""

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from byok.domain.problems.aws_errors import ERROR_RULES, ErrorOutcome
from byok.domain.problems.aws_errors.rule import ErrorRule
from byok.domain.problems.remediation import Remedy

Rules = tuple[ErrorRule, ...]

TESTS: Final = (
    "tests/unit/test_error_table.py",
    # This test is slow, and detects none of the changes.
    "--deselect=tests/unit/test_error_table.py::test_every_rule_has_a_remedy",
)
PYTEST_OPTIONS: Final = ("-x", "-q", "--noconftest", "-p", "no:xdist", "-p", "no:cacheprovider")
"""These options skip tests/conftest.py, which needs xdist, so the tests neither start nor call a server."""


def list_mutants() -> Iterator[tuple[str, Rules]]:
    """Yield each change as a description and the changed table."""
    for index, rule in enumerate(ERROR_RULES):
        before, after = ERROR_RULES[:index], ERROR_RULES[index + 1 :]
        name = f"{rule.service}.{rule.code}" + (f" /{rule.message.pattern}/" if rule.message else "")
        yield f"{name}: no rule", before + after
        for changed in _list_changes(rule):
            field = next(field for field in _fields() if getattr(changed, field) != getattr(rule, field))
            yield f"{name}: {field} {getattr(changed, field)}", (*before, changed, *after)


def _fields() -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(ErrorRule))


def _list_changes(rule: ErrorRule) -> Iterator[ErrorRule]:
    outcome = ErrorOutcome.STOP_AFTER_GRACE if rule.outcome is ErrorOutcome.STOP else ErrorOutcome.STOP
    yield dataclasses.replace(rule, outcome=outcome)
    remedy = Remedy.WAIT if rule.remedy is Remedy.PLATFORM_OPERATOR else Remedy.PLATFORM_OPERATOR
    yield dataclasses.replace(rule, remedy=remedy)
    yield dataclasses.replace(rule, customer_key=not rule.customer_key)
    if rule.message:
        yield dataclasses.replace(rule, message=None)


def is_detected(rules: Rules) -> bool:
    """Return whether a test fails with a changed table."""
    child = os.fork()
    if child == 0:
        unchanged = ERROR_RULES
        for module in list(sys.modules.values()):
            if getattr(module, "ERROR_RULES", None) is unchanged:
                vars(module)["ERROR_RULES"] = rules
        os._exit(_run_tests())
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) != pytest.ExitCode.OK


def _run_tests() -> int:
    with (
        Path(os.devnull).open("w") as silence,
        contextlib.redirect_stdout(silence),
        contextlib.redirect_stderr(silence),
    ):
        return int(pytest.main([*PYTEST_OPTIONS, *TESTS]))


def main() -> int:
    """Change the table, and print the changes that no test detects.

    Returns:
        0 if the tests pass with the unchanged table; 1 otherwise.
    """
    if _run_tests() != pytest.ExitCode.OK:  # this also imports the tests' modules, which every forked process inherits
        sys.stderr.write(f"The tests fail without any change: run pytest {TESTS[0]}.\n")
        return 1
    mutants = list(list_mutants())
    survivors = 0
    for what, rules in mutants:
        if not is_detected(rules):
            survivors += 1
            sys.stdout.write(f"not detected: {what}\n")
            sys.stdout.flush()
    sys.stdout.write(f"error table: {len(mutants)} changes, {survivors} not detected\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
