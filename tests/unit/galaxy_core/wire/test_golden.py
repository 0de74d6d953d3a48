"""Every file of every version is understood as it was understood before."""

import pytest

from tests.golden.cases import Case, cases

CASES = list(cases())


def test_there_are_cases_of_both_versions() -> None:
    """A moved folder does not turn these tests into nothing."""
    assert {case.path.parent.parent.name for case in CASES} == {"original", "v1"}
    assert len(CASES) > 25


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_golden_file(case: Case) -> None:
    """A file is decoded, and written again, as the golden forms say."""
    decoded, encoded = case.run()
    assert decoded == case.path.with_suffix(".decoded").read_text("utf-8")
    assert encoded == case.path.with_suffix(".encoded").read_bytes()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_what_is_written_is_read_as_the_same(case: Case) -> None:
    """The form that is written means what the form that was read meant."""
    decoded, encoded = case.run()
    assert case.again(encoded) == decoded
