"""Read a tenants file whole, and refuse it whole: nothing is sent before every row is known to be good."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import yaml

from runbook_lib.errors import SettingsError
from runbook_lib.settings import COLUMNS, EXTRAS, SECRET_COLUMNS, TenantSettings, resolve

SIZE_LIMIT = 5_000_000


def read_tenants(path: Path) -> tuple[TenantSettings, ...]:
    """Return the tenants of a CSV or YAML file, in order. Raises `SettingsError` naming every bad row and column.

    All values are texts: `NA`, `007` and `no` stay as written. Every secret reference is resolved once, to find the missing
    ones now; the values are not kept.
    """
    text = _text(path)
    rows = _yaml_rows(text) if path.suffix.lower() in (".yaml", ".yml") else _csv_rows(text)
    if not rows:
        raise SettingsError(f"{path.name} names no tenant", "Add one row for each tenant; an empty list never means all")
    tenants, problems = [], []
    for number, row in rows:
        try:
            tenants.append((number, TenantSettings.from_parameters(row, row=number)))
        except SettingsError as problem:
            problems.append(problem)
    problems += _duplicates(tenants) + _unresolved(tenants)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise SettingsError(
            "\n  ".join(["several problems", *map(str, problems)]) + "\n", "Correct them and run again; nothing was sent"
        )
    return tuple(tenant for _, tenant in tenants)


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
    try:
        for record in reader:
            if not any(cell.strip() for cell in record):
                continue
            if not header:
                header = _header([cell.strip() for cell in record])
            elif len(record) != len(header):
                raise SettingsError(
                    f"{len(record)} cells where the header has {len(header)}", "Quote cells with commas", row=reader.line_num
                )
            else:
                rows.append((reader.line_num, dict(zip(header, record, strict=True))))
    except csv.Error as broken:
        raise SettingsError(f"the CSV cannot be read: {broken}", "Check the quotes", row=reader.line_num) from None
    return rows


def _header(names: list[str]) -> list[str]:
    unknown = [name for name in names if name not in COLUMNS]
    if unknown:
        raise SettingsError("there is no such column", f"Known are {', '.join(COLUMNS)}", row=1, column=", ".join(unknown))
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise SettingsError("the column occurs twice", "Remove one", row=1, column=", ".join(doubled))
    return names


class _StrictLoader(yaml.BaseLoader):
    """Reads every scalar as the text it is, and refuses a key that occurs twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key) for key, _ in node.value]
        if doubled := sorted({str(key) for key in keys if keys.count(key) > 1}):
            raise SettingsError("the key occurs twice", "Remove one", row=node.start_mark.line + 1, column=", ".join(doubled))
        return super().construct_mapping(node, deep)


def _yaml_rows(text: str) -> list[tuple[int, dict[str, Any]]]:
    try:
        content = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a BaseLoader: texts only
    except yaml.YAMLError as broken:
        raise SettingsError(f"the YAML cannot be read: {str(broken).splitlines()[0]}", "Check the indentation") from None
    entries = content.get("tenants") if isinstance(content, dict) else content
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise SettingsError(
            "the YAML is not a list of tenants", f"Write a list of mappings with {', '.join((*COLUMNS, *EXTRAS))}"
        )
    return list(enumerate(entries, start=1))


def _duplicates(tenants: list[tuple[int, TenantSettings]]) -> list[SettingsError]:
    found: list[SettingsError] = []
    names: dict[str, int] = {}
    connections: dict[tuple[str, str], int] = {}
    for number, tenant in tenants:
        name, connection = tenant.name.casefold(), (tenant.auth0_domain, tenant.auth0_connection)
        if name in names:
            found.append(
                SettingsError(
                    f"the same name as row {names[name]}", "Give each tenant a name of its own", row=number, column="name"
                )
            )
        if connection in connections:
            found.append(
                SettingsError(
                    f"the same connection as row {connections[connection]}", "Keep one", row=number, column="auth0_connection"
                )
            )
        names.setdefault(name, number)
        connections.setdefault(connection, number)
    return found


def _unresolved(tenants: list[tuple[int, TenantSettings]]) -> list[SettingsError]:
    found = []
    for number, tenant in tenants:
        for column in SECRET_COLUMNS:
            if reference := getattr(tenant, column):
                try:
                    resolve(reference)
                except SettingsError as missing:
                    found.append(SettingsError(missing.came_back, missing.do_now, row=number, column=column))
    return found
