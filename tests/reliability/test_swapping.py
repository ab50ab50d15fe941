"""Which functions of a module a mutated source changes: sources in, names out."""

from __future__ import annotations

import pytest

from tests.reliability.swapping import changed

SOURCE = """
LIMIT = 3

def outer(a=LIMIT):
    def inner():
        return a + 1
    return inner

class Thing:
    def size(self):
        return [x for x in (1, 2)]
"""


def names(old, new):
    before, after = (compile(text, "source", "exec", dont_inherit=True) for text in (SOURCE, SOURCE.replace(old, new)))
    return {one.co_qualname: other.co_qualname for one, other in changed(before, after)}


def test_a_function_is_changed_with_those_that_it_is_in():
    assert list(names("a + 1", "a - 1")) == ["outer", "outer.<locals>.inner"]
    assert list(names("return inner", "return None")) == ["outer"]
    assert next(iter(names("(1, 2)", "(1, 3)"))) == "Thing.size"


def test_true_is_not_one():
    assert list(names("a + 1", "a + True")) == ["outer", "outer.<locals>.inner"]


def test_nothing_is_changed_where_the_source_is_the_same():
    assert names("a + 1", "a + 1") == {}


@pytest.mark.parametrize(("old", "new"), [("LIMIT = 3", "LIMIT = 4"), ("a=LIMIT", "a=None"), ("def size", "def other")])
def test_what_runs_at_the_import_cannot_be_exchanged(old, new):
    with pytest.raises(ValueError, match="is run at the import"):
        names(old, new)
