"""Read a tenants file whole, and refuse it whole: nothing is sent before every row is known to be good."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from runbook_lib.core.errors import SettingsError
from runbook_lib.core.secret import scrubber
from runbook_lib.settings.model import COLUMNS, CORRECT_IT, EXTRAS, REQUIRED, SECRET_COLUMNS, TenantSettings, meant, unknown_names
from runbook_lib.settings.pasted import as_meant, damage
from runbook_lib.settings.problems import Problem, together
from runbook_lib.settings.references import resolve
from runbook_lib.settings.table_text import column_name, rows_of, text_of

GROWTH_LIMIT = 5_000_000  # letters and nodes of a YAML file once its aliases are written out


def read_tenants(path: Path, *, is_to_run: bool = True) -> tuple[TenantSettings, ...]:
    """Return the tenants of a CSV or YAML file, in order. Raises `SettingsError` naming every bad row and column.

    All values are texts: `NA`, `007` and `no` stay as written. Relative paths, as in `file:secret.txt`, start at the folder of
    the tenants file, wherever this is called. Every secret reference is resolved once, to find the missing ones now; of the
    values only the scrubber keeps a copy. Not `is_to_run`: the secrets are typed on a page, and no reference is resolved.
    """
    text = text_of(path)
    is_yaml = path.suffix.lower() in (".yaml", ".yml")
    rows = _yaml_rows(text) if is_yaml else _csv_rows(text)
    if not rows:
        raise SettingsError(f"{path.name} contains no tenant", "Add one row for each tenant; an empty list never means all")
    tenants: list[tuple[int, TenantSettings]] = []
    problems: list[Problem] = []
    for number, row in rows:
        if not is_yaml and (damaged := _damages(number, row)):  # only a spreadsheet damages values
            problems += damaged
            continue
        try:
            tenants.append((number, TenantSettings.from_parameters(anchored(row, path.absolute().parent), row=number)))
        except SettingsError as wrong:
            problems += _problems(number, wrong, row)
    problems += _duplicates(tenants) + (_unresolved(tenants) if is_to_run else [])
    if problems:
        raise together(problems, CORRECT_IT)
    return tuple(tenant for _, tenant in tenants)


def _damages(number: int, row: Mapping[str, Any]) -> list[Problem]:
    told = ((column, damage(column, value)) for column, value in row.items() if isinstance(value, str))
    return [Problem(number, column, words) for column, words in told if words]


def _problems(number: int, wrong: SettingsError, row: Mapping[str, Any]) -> list[Problem]:
    hint = "" if wrong.do_now == CORRECT_IT else wrong.do_now
    if not wrong.parts:
        return [Problem(number, wrong.column or "", wrong.came_back, hint)]
    return [Problem(number, column, words, hint, meant(column, row.get(column))) for column, words in wrong.parts]


def anchored(row: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the row with relative paths made absolute: kernels start in folders of their own."""
    anchored = dict(row)
    for column, prefix in (("cloud", "sandbox:"), *((column, "file:") for column in SECRET_COLUMNS)):
        value = row.get(column)
        if isinstance(value, str) and value.strip().startswith(prefix):
            place = value.strip().removeprefix(prefix)
            anchored[column] = prefix + (place if not place or place.startswith("~") else str(folder / place))
    return anchored


def _csv_rows(text: str) -> list[tuple[int, dict[str, Any]]]:
    rows = rows_of(text, COLUMNS)
    if not rows:
        return []
    first, names = rows[0]
    header = _header([column_name(name) if column_name(name) in COLUMNS else name for name in names], first)
    records = [
        (number, cells) for number, cells in rows[1:] if cells != names
    ]  # again of a second file that was joined to the first
    if uneven := [_uneven(number, len(cells), len(header)) for number, cells in records if len(cells) != len(header)]:
        raise together(uneven, CORRECT_IT)
    return [(number, {name: as_meant(name, cell) for name, cell in zip(header, cells, strict=True)}) for number, cells in records]


def _uneven(row: int, count: int, wanted: int) -> Problem:
    hint = "Quote cells with commas" if count > wanted else "Write a comma for each empty cell too"
    return Problem(row, "", f"{count} cells where the header has {wanted}", hint)


def _header(names: list[str], row: int) -> list[str]:
    if extras := [name for name in names if name in EXTRAS]:
        raise SettingsError("a CSV file cannot contain this column", "Write a YAML file", row=row, column=", ".join(extras))
    if unknown := [name for name in names if name not in COLUMNS]:
        raise unknown_names("column", unknown, COLUMNS, row=row)
    if doubled := _twice(names):
        raise SettingsError("the column occurs twice", "Remove one", row=row, column=", ".join(doubled))
    if missing := [name for name in REQUIRED if name not in names]:
        raise SettingsError("the column is missing", "Add it to every row", row=row, column=", ".join(missing))
    return names


def _twice(names: Iterable[str]) -> list[str]:
    """Return the names that occur more than once, sorted."""
    return sorted(name for name, count in Counter(names).items() if count > 1)


class _StrictLoader(yaml.BaseLoader):
    """Reads every scalar as the text it is, and refuses a key that occurs twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [str(self.construct_object(key, deep=True)) for key, _ in node.value]
        if doubled := _twice(keys):
            known = [key for key in doubled if key in (*COLUMNS, *EXTRAS)]
            raise SettingsError("the key occurs twice", "Remove one", row=_line(node), column=", ".join(known) or "(not a name)")
        return super().construct_mapping(node, deep)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _yaml_rows(text: str) -> list[tuple[int, dict[str, Any]]]:
    try:
        loader = _StrictLoader(text)
        document = loader.get_single_node()
        _refuse_growth(document)
        entries = _entries(document)
        return [(_line(entry), _entry(loader.construct_document(entry), _line(entry))) for entry in entries]
    except yaml.YAMLError as broken:
        line = broken.problem_mark.line + 1 if isinstance(broken, yaml.MarkedYAMLError) and broken.problem_mark else None
        raise SettingsError("the YAML cannot be read", _yaml_repair(str(broken)), row=line) from None
    except RecursionError:
        raise SettingsError("the YAML is nested too deeply", "Write a plain list of tenants") from None


_YAML_REPAIRS = {  # PyYAML's words, and what they mean to the author of the file
    "'\\t'": "Replace the tabs by spaces: YAML takes no tab for indentation",
    "expected a single document": "Write one list: remove the lines --- between the tenants",
    "that cannot start any token": "Put the value into quotes: it begins with a letter that means something else in YAML",
    "undefined alias": "Put the value into quotes: * at its beginning means something else in YAML",
    "mapping values are not allowed": "Put a value with a colon into quotes, and check the indentation",
}


def _yaml_repair(broken: str) -> str:
    return next((repair for words, repair in _YAML_REPAIRS.items() if words in broken), "Check indentation, colons and quotes")


def _refuse_growth(document: yaml.Node | None) -> None:
    """Raise `SettingsError` for a document that would become large by its aliases, before anything is built of it."""
    weights: dict[int, int] = {}

    def weight(node: yaml.Node) -> int:
        if id(node) not in weights:
            weights[id(node)] = GROWTH_LIMIT  # of an alias within what it stands for
            if isinstance(node, yaml.ScalarNode):
                weights[id(node)] = len(node.value) + 1
            else:
                parts = node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]
                weights[id(node)] = min(1 + sum(map(weight, parts)), GROWTH_LIMIT)
        return weights[id(node)]

    if document is not None and weight(document) >= GROWTH_LIMIT:
        raise SettingsError(
            "the YAML's aliases make it too large or refer to each other in a circle", "Replace the aliases by their values"
        )


def _entries(document: yaml.Node | None) -> list[yaml.Node]:
    """Return the nodes of the tenants: of a list, or of the list under the only key `tenants`."""
    if document is None:
        return []
    if isinstance(document, yaml.MappingNode):
        keys = [key.value for key, _ in document.value]
        document = document.value[0][1] if keys == ["tenants"] else document
    if isinstance(document, yaml.ScalarNode) and document.value in ("", "~", "null"):
        return []
    if isinstance(document, yaml.ScalarNode):
        raise SettingsError("the YAML is not a list of tenants", "Name the file .csv if it is a table")
    if not isinstance(document, yaml.SequenceNode) or not all(isinstance(entry, yaml.MappingNode) for entry in document.value):
        raise SettingsError(
            "the YAML is not a list of tenants",
            f"Write a list, alone or under the one key tenants, of mappings with {', '.join((*COLUMNS, *EXTRAS))}",
        )
    return list(document.value)


def _entry(entry: dict[str, Any], row: int) -> dict[str, Any]:
    """Return the entry, unless it holds an empty list: it could mean none or all."""
    if empty := [name for name in EXTRAS if name in entry and not entry[name]]:
        raise SettingsError("the list is empty", "Fill it or leave it out", row=row, column=", ".join(empty))
    return entry


def _duplicates(tenants: list[tuple[int, TenantSettings]]) -> list[Problem]:
    names: dict[str, int] = {}
    connections: dict[tuple[str, str], int] = {}
    applications: dict[tuple[str, str], int] = {}
    found: list[Problem] = []
    for number, tenant in tenants:
        first = names.setdefault(tenant.name.casefold(), number)
        if first != number:
            found.append(Problem(number, "name", f"the same name as row {first}", "Give each tenant a name of its own"))
        first = connections.setdefault((tenant.auth0_domain, tenant.auth0_connection), number)
        if first != number:
            found.append(Problem(number, "auth0_connection", f"the same connection as row {first}", "Keep one"))
        application = (tenant.entra_tenant.lower(), unicodedata.normalize("NFC", tenant.scim_app_name).casefold())
        first = applications.setdefault(application, number) if tenant.handed_over != "entra" else number
        if first != number and not any(problem.row == number for problem in found):  # a row that is there twice is said once
            came_back = f"the same enterprise application as row {first}, in the same Entra tenant"
            found.append(Problem(number, "scim_app_name", came_back, "Give each connection an application of its own"))
    return found


def _unresolved(tenants: list[tuple[int, TenantSettings]]) -> list[Problem]:
    answers: dict[tuple[str, str], SettingsError | None] = {}
    found = []
    for number, tenant in tenants:
        for column in SECRET_COLUMNS:
            reference = getattr(tenant, column)
            if reference and (reference, column) not in answers:
                answers[reference, column] = missing(reference, column)
            if wrong := answers.get((reference, column)):
                found.append(Problem(number, column, wrong.came_back, wrong.do_now))
    return found


def missing(reference: str, column: str = "") -> SettingsError | None:
    """Say what is wrong with a reference. What it stands for is not kept, and so need not be looked for in later texts."""
    with scrubber.noting() as noted:
        try:
            resolve(reference, column=column)
        except SettingsError as wrong:
            return wrong
        finally:
            scrubber.forget(noted)
    return None
