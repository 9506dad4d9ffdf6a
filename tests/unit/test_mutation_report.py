"""The report on undetected changes separates changes to wording from changes to code, names and commands."""

import ast
from pathlib import Path

import pytest

from tests.mutation.report import Mutant, Outcome, is_wording, read_mutants, render_counts


@pytest.mark.parametrize(
    ("original", "changed", "expected"),
    [
        ("'Retry later.'", "'XXRetry later.XX'", True),
        ("'Retry later.'", "'RETRY LATER.'", True),
        ("f'{a}: ' 'retry later.'", "f'{a}: ' 'XXretry later.XX'", True),
        ("'Set kms:ViaService. ' 'Retry.'", "'Set kms:ViaService. ' 'RETRY.'", True),
        ("'Run `byok check`.'", "'XXRun `byok check`.XX'", True),
        ("'Run `byok check`.'", "'RUN `BYOK CHECK`.'", False),
        ("'Use aws:PrincipalArn.'", "'use aws:principalarn.'", False),
        ("'Start again with --region.'", "'START AGAIN WITH --REGION.'", False),
        ("'aws kms list-aliases'", "'XXaws kms list-aliasesXX'", False),
        ("'Allow'", "'XXAllowXX'", False),
        ("', '", "'XX, XX'", False),
        ("'one text'", "None", False),
        ("'one text' if a else 'b'", "'one text' if not a else 'b'", False),
        ("1", "2", False),
    ],
)
def test_only_the_wording_of_a_text_is_wording(original: str, changed: str, expected: bool) -> None:
    assert is_wording(ast.parse(original), ast.parse(changed)) is expected


def test_each_change_has_its_outcome_and_its_code(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    variants = {"orig": "add(a, b, 'two words')", "1": "add(a, None, 'two words')", "2": "add(a, b, 'TWO WORDS')"}
    file.write_text(
        "".join(f"def x_total__mutmut_{name}(a, b):\n    return {code}\n\n" for name, code in variants.items())
    )

    def outcomes(*codes: int | None) -> list[Mutant]:
        names = (f"byok.module.x_total__mutmut_{number}" for number in (1, 2))
        return list(read_mutants(file, dict(zip(names, codes, strict=True))))

    shown = "module.py total: return add(a, None, 'two words')"
    first, second = outcomes(0, 0)
    assert first == Mutant(Outcome.NOT_DETECTED, shown)
    assert second.outcome is Outcome.WORDING
    assert [one.outcome for one in outcomes(33, 33)] == [Outcome.NO_TEST, Outcome.NO_TEST]
    assert outcomes(1, None) == [Mutant(Outcome.DETECTED)]
    assert outcomes(3, 36) == [Mutant(Outcome.DETECTED), Mutant(Outcome.OTHER)]
    assert list(render_counts({"module.py": outcomes(0, 1)}))[2:] == [
        "| `module.py` | 2 | 1 | 0 | 1 | 0 | 0 |",
        "| **all** | 2 | 1 | 0 | 1 | 0 | 0 |",
    ]
