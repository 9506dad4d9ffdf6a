"""List the changes that no test detected: `python -m tests.mutation.report`, after `mutmut run`.

docs/mutation.md must explain why each such change is acceptable. The program prints the number of detected and
undetected changes for each module, and the changes that the page does not list.
"""

import ast
import collections
import difflib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
MUTANTS: Final = ROOT / "mutants"
PAGE: Final = ROOT / "docs" / "mutation.md"

SURVIVED: Final = 0
NO_TESTS: Final = 33
KINDS: Final = {1: "detected", 3: "detected", SURVIVED: "not detected", NO_TESTS: "no test"}
"""What an exit code in mutmut's results means. pytest returns 1 if a test fails, and 3 if pytest itself fails."""


def read_exit_codes() -> dict[Path, dict[str, int | None]]:
    """Return the exit code of each mutant's tests, by source file. None means that mutmut did not run the tests."""
    found = {}
    for file in sorted(MUTANTS.rglob("*.meta")):
        codes: dict[str, int | None] = json.loads(file.read_text())["exit_code_by_key"]
        if codes:
            found[file.with_suffix("")] = codes
    return found


def describe_mutants(file: Path, names: list[str]) -> Iterator[str]:
    """Describe mutants of a file in one line each: the module, the function, and the changed code."""
    text = file.read_text()
    lines = text.splitlines()
    functions = {
        node.name: [line.strip() for line in lines[node.lineno : node.end_lineno]]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    for name in names:
        mangled = name.rpartition(".")[2]
        function = mangled.partition("__mutmut_")[0]
        changes = list(difflib.ndiff(functions[f"{function}__mutmut_orig"], functions[mangled]))
        removed, added = (
            " ".join(line[2:] for line in changes if line.startswith(sign)).strip() for sign in ("- ", "+ ")
        )
        shown = function.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
        yield f"{file.name} {shown}: {added or f'without {removed}'}"


def render_counts(codes: dict[Path, dict[str, int | None]]) -> Iterator[str]:
    """Render the number of changes with each result, for each module, as a Markdown table."""
    yield "| module | changes tested | detected | not detected | no unit test | timeout or crash |"
    yield "|---|---|---|---|---|---|"
    total: collections.Counter[str] = collections.Counter()
    for file, by_name in codes.items():
        tested = [code for code in by_name.values() if code is not None]
        if tested:
            count = collections.Counter(KINDS.get(code, "other") for code in tested)
            total += count
            yield _row(f"`{file.relative_to(MUTANTS)}`", count)
    yield _row("**all**", total)


def _row(name: str, count: collections.Counter[str]) -> str:
    cells = (count.total(), *(count[kind] for kind in ("detected", "not detected", "no test", "other")))
    return f"| {name} | {' | '.join(map(str, cells))} |"


def list_undetected(codes: dict[Path, dict[str, int | None]]) -> Iterator[str]:
    """Describe the changes that no test detected."""
    for file, by_name in codes.items():
        yield from describe_mutants(file, [name for name, code in by_name.items() if code in (SURVIVED, NO_TESTS)])


def main() -> int:
    """Print the table of results, and the changes that docs/mutation.md does not explain.

    Returns: 0 if docs/mutation.md explains every change that no test detected; 1 otherwise.
    """
    codes = read_exit_codes()
    if not codes:
        sys.stderr.write(f"{MUTANTS} has no results: run make mutation.\n")
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in render_counts(codes)))
    judged = set(PAGE.read_text().splitlines())
    without = [change for change in list_undetected(codes) if change not in judged]
    sys.stdout.write("".join(f"{line}\n" for line in without))
    sys.stdout.write(f"{len(without)} changes need a test, or a judgement in {PAGE.relative_to(ROOT)}.\n")
    return 1 if without else 0


if __name__ == "__main__":
    sys.exit(main())
