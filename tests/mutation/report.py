"""List the changes that no test detected: `python -m tests.mutation.report`, after `mutmut run`.

docs/mutation.md must explain why each such change is acceptable. The program prints the number of detected and
undetected changes for each module, and the changes that the page does not list. The page need not list changes that
affect only the wording of a message.
"""

import ast
import collections
import difflib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
MUTANTS: Final = ROOT / "mutants"
PAGE: Final = ROOT / "docs" / "mutation.md"


class Outcome(StrEnum):
    """The result of the tests for a change."""

    DETECTED = "detected"
    WORDING = "only wording"
    NOT_DETECTED = "not detected"
    NO_TEST = "no unit test"
    OTHER = "timeout or crash"


_OUTCOMES: Final = {
    0: Outcome.NOT_DETECTED,
    1: Outcome.DETECTED,
    3: Outcome.DETECTED,
    33: Outcome.NO_TEST,
}
"""What an exit code in mutmut's results means. pytest returns 1 if a test fails, and 3 if pytest itself fails."""

_COMMAND: Final = re.compile(r"(aws|byok|terraform) ")
_CODE: Final = re.compile(r"`[^`]+`|--\w\S*|\w+[:/_=]\S+")
"""The parts of a message whose letter case matters: commands, options, and names such as `aws:PrincipalArn`."""


@dataclass(frozen=True)
class Mutant:
    """One change that mutmut made, and the result of the tests.

    Attributes:
        description: The module, the function, and the changed code, in one line; empty if a test detects the change.
    """

    outcome: Outcome
    description: str = ""


def read_mutants(file: Path, codes: dict[str, int | None]) -> Iterator[Mutant]:
    """Yield the changes that mutmut tested in a file.

    Args:
        file: The file that mutmut wrote. For each function of a module, the file contains the original and every
            changed version.
        codes: The exit code of each change's tests, or None if mutmut did not run the tests.
    """
    text = file.read_text()
    functions = {
        node.name: node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    lines = text.splitlines()
    for name, code in codes.items():
        if code is None:
            continue
        outcome = _OUTCOMES.get(code, Outcome.OTHER)
        if outcome not in {Outcome.NOT_DETECTED, Outcome.NO_TEST}:
            yield Mutant(outcome)
            continue
        mangled = name.rpartition(".")[2]
        function = mangled.partition("__mutmut_")[0]
        original, changed = functions[f"{function}__mutmut_orig"], functions[mangled]
        if outcome is Outcome.NOT_DETECTED and is_wording(original, changed):
            outcome = Outcome.WORDING
        shown = function.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
        yield Mutant(outcome, f"{file.name} {shown}: {_show_change(_body(lines, original), _body(lines, changed))}")


def is_wording(original: ast.AST, changed: ast.AST) -> bool:
    """Return whether a change affects only how a message is worded.

    mutmut adds XX around a string, or changes the string's letter case. In a string of several words, such a change
    affects only the wording, with two exceptions: the string is a command, or the changed part is a name or an option.
    """
    before, after = (
        [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)] for tree in (original, changed)
    )
    if len(before) != len(after):
        return False
    pairs = [(one, other) for one, other in zip(before, after, strict=True) if one != other]
    if len(pairs) != 1 or not all(isinstance(value, str) for value in pairs[0]):
        return False
    text, new = map(str, pairs[0])
    if len(text.split()) == 1 or _COMMAND.match(text):
        return False
    return new.replace("XX", "") == text or (
        new.lower() == text.lower() and all(code in new for code in _CODE.findall(text))
    )


def _body(lines: list[str], function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    return [line.strip() for line in lines[function.lineno : function.end_lineno]]


def _show_change(original: list[str], changed: list[str]) -> str:
    changes = list(difflib.ndiff(original, changed))
    removed, added = (" ".join(line[2:] for line in changes if line.startswith(sign)).strip() for sign in ("- ", "+ "))
    return added or f"without {removed}"


def render_counts(mutants: dict[str, list[Mutant]]) -> Iterator[str]:
    """Render the number of changes with each outcome, for each module, as a Markdown table."""
    yield f"| module | changes tested | {' | '.join(Outcome)} |"
    yield "|---" * (len(Outcome) + 2) + "|"
    for module, of_module in mutants.items():
        yield _row(f"`{module}`", of_module)
    yield _row("**all**", [one for of_module in mutants.values() for one in of_module])


def _row(name: str, mutants: list[Mutant]) -> str:
    count = collections.Counter(one.outcome for one in mutants)
    return f"| {name} | {count.total()} | {' | '.join(str(count[outcome]) for outcome in Outcome)} |"


def read_results() -> dict[str, list[Mutant]]:
    """Return the changes that mutmut tested, by module."""
    found = {}
    for meta in sorted(MUTANTS.rglob("*.meta")):
        file = meta.with_suffix("")
        of_module = list(read_mutants(file, json.loads(meta.read_text())["exit_code_by_key"]))
        if of_module:
            found[str(file.relative_to(MUTANTS))] = of_module
    return found


def main() -> int:
    """Print the table of results, and the changes that docs/mutation.md does not explain.

    Returns: 0 if docs/mutation.md explains every change that no test detected; 1 otherwise.
    """
    mutants = read_results()
    if not mutants:
        sys.stderr.write(f"{MUTANTS} has no results: run make mutation.\n")
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in render_counts(mutants)))
    judged = set(PAGE.read_text().splitlines())
    without = [
        one.description
        for of_module in mutants.values()
        for one in of_module
        if one.outcome in {Outcome.NOT_DETECTED, Outcome.NO_TEST} and one.description not in judged
    ]
    sys.stdout.write("".join(f"{line}\n" for line in without))
    sys.stdout.write(f"{len(without)} changes need a test, or a judgement in {PAGE.relative_to(ROOT)}.\n")
    return 1 if without else 0


if __name__ == "__main__":
    sys.exit(main())
