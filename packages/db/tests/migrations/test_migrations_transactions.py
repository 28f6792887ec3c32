from __future__ import annotations

import pytest
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from tijolo.db.migrations import MigrationError

MODELS = """
class Thing(Base):
    name: Mapped[str] = mapped_column(String(80))
"""
FAMILY = """
op.create_table(
    "parent", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(10)))
op.create_table(
    "child", sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("parent_id", sa.Integer, sa.ForeignKey("parent.id", ondelete="CASCADE")))
op.execute("INSERT INTO parent (id) VALUES (1)")
op.execute("INSERT INTO parent (id) VALUES (2)")
op.execute("INSERT INTO child VALUES (1, 1)")
op.execute("INSERT INTO child VALUES (2, 2)")
"""
REBUILD = """
with op.batch_alter_table("parent", recreate="always") as batch:
    batch.alter_column("name", new_column_name="title")
"""


@pytest.fixture
def family(project, sqlite_url):
    project.models(MODELS)
    project.revision("one", FAMILY)
    project.helper(sqlite_url).upgrade()
    return sqlite_url


def tables(sql, url):
    query = "SELECT name FROM sqlite_master WHERE type = 'table'"
    if url.get_backend_name() != "sqlite":
        schema = "public" if url.get_backend_name() == "postgresql" else url.database
        query = f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{schema}'"
    return {name for (name,) in sql(url, query)}


def test_rebuilding_a_table_on_sqlite_keeps_the_rows_that_refer_to_it(project, family, sql):
    project.revision("two", REBUILD, down="one")

    project.helper(family).upgrade()

    assert sql(family, "SELECT id, parent_id FROM child") == [(1, 1), (2, 2)]
    assert sql(family, "SELECT id, title FROM parent") == [(1, None), (2, None)]
    assert sql(family, "PRAGMA foreign_key_check") == []
    ((child,),) = sql(family, "SELECT sql FROM sqlite_master WHERE name = 'child'")
    assert "REFERENCES parent " in child


def test_a_revision_that_makes_orphans_on_sqlite_is_undone(project, family, sql):
    project.revision("two", 'op.execute("DELETE FROM parent WHERE id = 1")', down="one")

    with pytest.raises(MigrationError, match=r"'two' leaves rows .* 'child' -> 'parent': 1"):
        project.helper(family).upgrade()

    assert sql(family, "SELECT count(*) FROM parent") == [(2,)]
    assert project.helper(family).current() == "one"


def test_orphans_that_were_there_before_do_not_stop_a_migration(project, family, sql):
    sql(family, "PRAGMA foreign_keys = OFF", "DELETE FROM parent WHERE id = 1")
    project.revision("two", REBUILD, down="one")

    project.helper(family).upgrade()

    assert project.helper(family).current() == "two"


def test_a_revision_that_fails_leaves_nothing_and_those_before_it_stay(project, url, sql):
    if url.get_backend_name() == "mysql":
        pytest.skip("MariaDB has no transactions around DDL")
    project.models(MODELS)
    project.revision("one", 'op.create_table("first", sa.Column("id", sa.Integer))')
    broken = 'op.create_table("second", sa.Column("id", sa.Integer))\nop.execute("NONSENSE")'
    project.revision("two", broken, down="one")

    with pytest.raises(SQLAlchemyError):
        project.helper(url).upgrade()

    assert project.helper(url).current() == "one"
    assert tables(sql, url) == {"alembic_version", "first"}


def test_an_autocommit_block_on_sqlite_is_outside_of_a_transaction(project, sqlite_url, sql):
    project.models(MODELS)
    project.revision(
        "one",
        'op.create_table("first", sa.Column("id", sa.Integer))\n'
        "with op.get_context().autocommit_block():\n"
        '    op.execute("VACUUM")\n'
        'op.create_table("second", sa.Column("id", sa.Integer))\n'
        'op.execute("INSERT INTO second VALUES (1)")',
    )
    project.revision("two", 'op.create_table("third", sa.Column("id", sa.Integer))', down="one")

    project.helper(sqlite_url).upgrade()

    assert tables(sql, sqlite_url) == {"alembic_version", "first", "second", "third"}
    assert sql(sqlite_url, "SELECT id FROM second") == [(1,)]


def test_after_an_autocommit_block_a_failure_is_still_undone(project, sqlite_url, sql):
    project.models(MODELS)
    project.revision(
        "one",
        "with op.get_context().autocommit_block():\n"
        '    op.execute("VACUUM")\n'
        'op.create_table("second", sa.Column("id", sa.Integer))\n'
        'op.execute("NONSENSE")',
    )

    with pytest.raises(OperationalError):
        project.helper(sqlite_url).upgrade()

    assert tables(sql, sqlite_url) == {"alembic_version"}


def test_looking_does_not_make_a_version_table(project, url, sql):
    project.models(MODELS)
    helper = project.helper(url)

    helper.report()
    helper.current()

    assert tables(sql, url) == set()
