"""Our two tables and the statements on them, as MySQL and SQL Server are given them.

No index of Python packages has these servers, so their rules are asked instead.
"""

from __future__ import annotations

import json
import re

import pytest
import sqlalchemy
from sqlalchemy.schema import CreateTable

from mlflow_chain.stores.marker import DEPLOYMENT, MARKERS, METADATA

TABLES = (DEPLOYMENT, MARKERS)
# As their servers' drivers make them, but for what needs a connection.
DIALECTS: dict[str, sqlalchemy.Dialect] = {
    "mysql": sqlalchemy.make_url("mysql+pymysql://").get_dialect()(),
    "mariadb": sqlalchemy.make_url("mariadb+pymysql://").get_dialect()(),
    "mssql": sqlalchemy.make_url("mssql+pyodbc://").get_dialect()(),
    "postgresql": sqlalchemy.make_url("postgresql+psycopg2://").get_dialect()(),
    "sqlite": sqlalchemy.make_url("sqlite://").get_dialect()(),
}
BYTES_A_CHARACTER = {"mysql": 4, "mariadb": 4, "mssql": 1}
LONGEST_KEY = {"mysql": 767, "mariadb": 767, "mssql": 900}
"""In bytes: InnoDB's oldest row formats, and SQL Server's clustered index."""


def ddl(table: sqlalchemy.Table, name: str) -> str:
    return " ".join(str(CreateTable(table).compile(dialect=DIALECTS[name])).split())


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_no_name_is_reserved_or_too_long(table: sqlalchemy.Table, name: str) -> None:
    preparer = DIALECTS[name].identifier_preparer
    for word in (table.name, *table.columns.keys()):
        assert preparer.quote(word) == word
        assert len(word) <= 30


@pytest.mark.parametrize("name", LONGEST_KEY)
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_keys_fit_into_an_index(table: sqlalchemy.Table, name: str) -> None:
    text = ddl(table, name)
    size = 0
    for column in table.primary_key.columns:
        length = re.search(rf"{column.name} VARCHAR\((\d+)\)", text)
        size += int(length.group(1)) * BYTES_A_CHARACTER[name] if length else 8
    assert size <= LONGEST_KEY[name]


def test_a_marker_of_a_thousand_long_tags_fits_everywhere() -> None:
    rows = [["tag", {"key": "k" * 250, "value": "🎉" * 5_000}] for _ in range(1_000)]
    assert len(json.dumps(rows)) > 2**16
    assert "written LONGTEXT NOT NULL" in ddl(MARKERS, "mysql")
    assert "written LONGTEXT NOT NULL" in ddl(MARKERS, "mariadb")
    assert re.search(
        r"written (VARCHAR\(max\)|NVARCHAR\(max\)|TEXT) NOT NULL", ddl(MARKERS, "mssql")
    )
    assert "written TEXT NOT NULL" in ddl(MARKERS, "postgresql")
    assert json.dumps(rows).isascii()  # so no server's character set matters


@pytest.mark.parametrize("name", DIALECTS)
def test_nothing_counts_up_by_itself(name: str) -> None:
    for table in TABLES:
        text = ddl(table, name)
        assert not re.search("AUTO_INCREMENT|IDENTITY|SERIAL", text)
        assert ("WITHOUT ROWID" in text) is (name == "sqlite" and table is MARKERS)


@pytest.mark.parametrize("name", DIALECTS)
def test_statements_name_every_value(name: str) -> None:
    dialect = DIALECTS[name]
    inserted = MARKERS.insert().compile(dialect=dialect)
    assert set(inserted.params) == set(MARKERS.columns.keys())
    if inserted.positional:
        assert inserted.positiontup == MARKERS.columns.keys()
    where = MARKERS.c.event_id.in_(["a" * 32] * 500)
    looked = sqlalchemy.select(MARKERS.c.event_id, MARKERS.c.written).where(where)
    looked = looked.order_by(MARKERS.c.event_id, MARKERS.c.commit_no)
    # 2,100 are the most that SQL Server takes.
    assert (
        len(looked.compile(dialect=dialect, compile_kwargs={"render_postcompile": True}).params)
        == 500
    )
    deleted = MARKERS.delete().where(MARKERS.c.event_id == "a")
    assert str(deleted.compile(dialect=dialect)).startswith("DELETE FROM mlops_chain_markers")


def test_these_are_all_tables() -> None:
    assert set(METADATA.tables.values()) == set(TABLES)
