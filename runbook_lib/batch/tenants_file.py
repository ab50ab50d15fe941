"""Read a tenants file whole, and refuse it whole: nothing is sent before every row is known to be good."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from runbook_lib.errors import SettingsError
from runbook_lib.secret import scrubber
from runbook_lib.settings import COLUMNS, CORRECT_IT, EXTRAS, REQUIRED, SECRET_COLUMNS, TenantSettings, resolve, unknown_names

SIZE_LIMIT = 5_000_000


def read_tenants(path: Path) -> tuple[TenantSettings, ...]:
    """Return the tenants of a CSV or YAML file, in order. Raises `SettingsError` naming every bad row and column.

    All values are texts: `NA`, `007` and `no` stay as written. Relative paths, as in `file:secret.txt`, start at the folder of
    the tenants file, wherever this is called. Every secret reference is resolved once, to find the missing ones now; of the
    values only the scrubber keeps a copy.
    """
    text = _text(path)
    rows = _yaml_rows(text) if path.suffix.lower() in (".yaml", ".yml") else _csv_rows(text)
    if not rows:
        raise SettingsError(f"{path.name} names no tenant", "Add one row for each tenant; an empty list never means all")
    tenants, problems = [], []
    for number, row in rows:
        try:
            tenants.append((number, TenantSettings.from_parameters(anchored(row, path.absolute().parent), row=number)))
        except SettingsError as problem:
            problems.append(problem)
    problems += _duplicates(tenants) + _unresolved(tenants)
    if problems:
        raise _together(sorted(problems, key=lambda problem: problem.row or 0))
    return tuple(tenant for _, tenant in tenants)


def _together(problems: list[SettingsError]) -> SettingsError:
    """Return one error for all: the only one itself, else one line each."""
    if len(problems) == 1:
        return problems[0]
    lines = [f"{one.place}: {one.came_back}{'' if one.do_now == CORRECT_IT else f'. {one.do_now}'}" for one in problems]
    return SettingsError("\n  ".join([f"{len(problems)} problems", *lines]) + "\nThe whole file is refused", CORRECT_IT)


def anchored(row: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the row with relative paths made absolute: kernels start in folders of their own."""
    anchored = dict(row)
    for column, prefix in (("cloud", "sandbox:"), *((column, "file:") for column in SECRET_COLUMNS)):
        value = row.get(column)
        if isinstance(value, str) and value.strip().startswith(prefix):
            place = value.strip().removeprefix(prefix)
            anchored[column] = prefix + (place if not place or place.startswith("~") else str(folder / place))
    return anchored


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise SettingsError(f"{path.name} is larger than {SIZE_LIMIT} bytes", "Split it")
        octets = path.read_bytes()
    except OSError as unreadable:
        raise SettingsError(f"{path} cannot be read ({unreadable.strerror})", "Check the path") from None
    if b"\0" in octets:
        raise SettingsError(f"{path.name} holds a NUL byte", "Save it as UTF-8 text")
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SettingsError(f"{path.name} is not UTF-8", "Save it as UTF-8 text") from None


def _csv_rows(text: str) -> list[tuple[int, dict[str, Any]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, dict[str, Any]]] = []
    header: list[str] = []
    number = 1
    try:
        for record in reader:
            if not any(cell.strip() for cell in record):
                pass
            elif not header:
                header = _header([cell.strip() for cell in record], number)
            elif len(record) != len(header):
                raise SettingsError(
                    f"{len(record)} cells where the header has {len(header)}", "Quote cells with commas", row=number
                )
            else:
                rows.append((number, dict(zip(header, record, strict=True))))
            number = reader.line_num + 1  # a quoted cell may hold line ends: a record is named by its first line
    except csv.Error as broken:
        raise SettingsError(f"the CSV cannot be read: {broken}", "Check the quotes", row=reader.line_num) from None
    return rows


def _header(names: list[str], row: int) -> list[str]:
    if len(names) == 1 and any(mark in names[0] for mark in ";\t|"):
        raise SettingsError("the cells are not separated by commas", "Save it as comma-separated CSV", row=row)
    if extras := [name for name in names if name in EXTRAS]:
        raise SettingsError("a CSV cannot carry this column", "Write a YAML file", row=row, column=", ".join(extras))
    if unknown := [name for name in names if name not in COLUMNS]:
        raise unknown_names("column", unknown, COLUMNS, row=row)
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise SettingsError("the column occurs twice", "Remove one", row=row, column=", ".join(doubled))
    if missing := [name for name in REQUIRED if name not in names]:
        raise SettingsError("the column is missing", "Add it to every row", row=row, column=", ".join(missing))
    return names


class _StrictLoader(yaml.BaseLoader):
    """Reads every scalar as the text it is, and refuses a key that occurs twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [str(self.construct_object(key, deep=True)) for key, _ in node.value]
        if doubled := sorted({key for key in keys if keys.count(key) > 1}):
            known = [key for key in doubled if key in (*COLUMNS, *EXTRAS)]
            raise SettingsError("the key occurs twice", "Remove one", row=_line(node), column=", ".join(known) or "(not a name)")
        return super().construct_mapping(node, deep)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _yaml_rows(text: str) -> list[tuple[int, dict[str, Any]]]:
    try:
        loader = _StrictLoader(text)
        document = loader.get_single_node()
        entries = _entries(document)
        return [(_line(entry), _entry(loader.construct_document(entry), _line(entry))) for entry in entries]
    except yaml.YAMLError as broken:
        line = broken.problem_mark.line + 1 if isinstance(broken, yaml.MarkedYAMLError) and broken.problem_mark else None
        raise SettingsError("the YAML cannot be read", "Check indentation, colons and quotes", row=line) from None
    except RecursionError:
        raise SettingsError("the YAML is nested too deeply", "Write a plain list of tenants") from None


def _entries(document: yaml.Node | None) -> list[yaml.Node]:
    """Return the nodes of the tenants: of a list, or of the list under the only key `tenants`."""
    if document is None:
        return []
    if isinstance(document, yaml.MappingNode):
        keys = [key.value for key, _ in document.value]
        document = document.value[0][1] if keys == ["tenants"] else document
    if not isinstance(document, yaml.SequenceNode) or not all(isinstance(entry, yaml.MappingNode) for entry in document.value):
        raise SettingsError(
            "the YAML is not a list of tenants",
            f"Write a list, alone or under the one key tenants, of mappings with {', '.join((*COLUMNS, *EXTRAS))}",
        )
    return list(document.value)


def _entry(entry: dict[str, Any], row: int) -> dict[str, Any]:
    """Return the entry, unless it holds an empty list: nobody can tell whether that means none or all."""
    if empty := [name for name in EXTRAS if name in entry and not entry[name]]:
        raise SettingsError("the list is empty", "Fill it or leave it out", row=row, column=", ".join(empty))
    return entry


def _duplicates(tenants: list[tuple[int, TenantSettings]]) -> list[SettingsError]:
    names: dict[str, int] = {}
    connections: dict[tuple[str, str], int] = {}
    found: list[SettingsError] = []
    for number, tenant in tenants:
        first = names.setdefault(tenant.name.casefold(), number)
        if first != number:
            found.append(
                SettingsError(f"the same name as row {first}", "Give each tenant a name of its own", row=number, column="name")
            )
        first = connections.setdefault((tenant.auth0_domain, tenant.auth0_connection), number)
        if first != number:
            found.append(SettingsError(f"the same connection as row {first}", "Keep one", row=number, column="auth0_connection"))
    return found


def _unresolved(tenants: list[tuple[int, TenantSettings]]) -> list[SettingsError]:
    answers: dict[str, SettingsError | None] = {}
    found = []
    for number, tenant in tenants:
        for column in SECRET_COLUMNS:
            reference = getattr(tenant, column)
            if reference and reference not in answers:
                answers[reference] = missing(reference)
            if wrong := answers.get(reference):
                found.append(SettingsError(wrong.came_back, wrong.do_now, row=number, column=column))
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
