"""Very many people on one tenant, by `run` as it is; 10,000 of them: python -m tests.benchmarks --assign 10000."""

from __future__ import annotations

from tests.benchmarks.assignments import assigned


def test_twice_the_people_take_twice_the_requests_for_assigning_and_no_more_memory_to_speak_of():
    some, twice = assigned(400), assigned(800)
    assert (some.batches, twice.batches) == (20, 40)
    assert twice.runner_mb - some.runner_mb < 15  # 4 kB a person were measured, of which a page and its diffs are most
    assert twice.kernel_mb - some.kernel_mb < 15
    assert twice.told == tuple(sorted(twice.told))
    assert all(0 < done <= 40 for done in twice.told)
