"""Every scenario of the corpus ends as it should."""

import pytest
from corpus import FILES, SCENARIOS, outcome


@pytest.mark.parametrize("scenario_id", SCENARIOS)
def test_scenario(scenario_id: str) -> None:
    ended = outcome(scenario_id)
    assert (ended.failure, ended.detail) == (None, "")


def test_no_two_files_have_one_id() -> None:
    ids = {filed.file: filed.scenario.id.rpartition("@")[0] or filed.scenario.id for filed in SCENARIOS.values()}
    assert set(ids) == set(FILES)


def test_every_scenario_says_why_and_where_that_is_written() -> None:
    assert [file.name for file, scenario in SCENARIOS.values() if not scenario.source] == []
