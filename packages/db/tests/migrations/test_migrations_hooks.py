from __future__ import annotations

import pytest

from tijolo.db.migrations import (
    BASE_COLUMN_ORDER,
    MigrationError,
    compose_hooks,
    reorder_base_columns_first,
)

PLAIN_BASE = """
from sqlalchemy import Integer, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    metadata = MetaData()

"""
ANY_BASE = """
class Customer(Base):
    __tablename__ = "customer"
    email: Mapped[str] = mapped_column(String(80), unique=True)
    updated_at: Mapped[str] = mapped_column(String(80), index=True)
    name: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[str] = mapped_column(String(80))
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
"""


def column_names(code):
    table = code.split("op.create_table('customer'")[1].split("op.create_index")[0]
    return [line.split("'")[1] for line in table.splitlines() if "sa.Column('" in line]


def source(script):
    return script.module.__loader__.get_source(script.module.__name__)


def test_base_columns_come_first_and_no_constraint_comes_twice(project, url):
    project.models(ANY_BASE, base=PLAIN_BASE)
    helper = project.helper(url)
    code = source(helper.revision("first"))

    assert column_names(code) == ["id", "created_at", "updated_at", "email", "name"]
    assert code.count("UniqueConstraint(") == 1
    assert code.count("PrimaryKeyConstraint(") == 1
    assert code.count("op.create_index(") == 1
    helper.upgrade()
    assert helper.check() is True
    helper.downgrade("base")


def test_hooks_run_in_order_on_the_same_directives():
    seen = []

    def first(context, revision, directives):
        directives.append("first")

    def second(context, revision, directives):
        seen.extend(directives)
        directives.clear()

    directives = []
    compose_hooks(first, second)(None, None, directives)

    assert seen == ["first"]
    assert directives == []
    compose_hooks()(None, None, directives)


def test_reordering_leaves_what_is_not_a_script_alone():
    directives = ["anything"]

    reorder_base_columns_first(None, None, directives)

    assert directives == ["anything"]
    assert BASE_COLUMN_ORDER == ("id", "is_active", "created_at", "updated_at")


def test_a_hook_that_refuses_stops_the_revision(project, sqlite_url):
    project.models(ANY_BASE.replace("Customer", "Other").replace("customer", "other"))
    text = project.env.read_text().replace(
        "\nrun_migrations(",
        '\ndef refuse(context, revision, directives):\n    raise ValueError("not today")\n\n\n'
        "run_migrations(",
    )
    project.env.write_text(text.replace("refuse_empty_revisions)", "refuse)"))

    with pytest.raises(ValueError, match="not today"):
        project.helper(sqlite_url).revision("first")
    assert project.helper(sqlite_url).heads() == []


def test_a_render_item_of_the_project_is_asked_first(project, sqlite_url):
    project.models(ANY_BASE.replace("Mapped[int]", "Mapped[object]"))
    project.option('render_item=lambda kind, item, context: kind == "type" and "sa.Text()"')

    code = source(project.helper(sqlite_url).revision("first"))

    assert "sa.String" not in code
    assert "sa.Text()" in code


def test_an_unknown_section_is_named(project, sqlite_url):
    from tijolo.db.migrations import AlembicHelper

    project.models(ANY_BASE)

    with pytest.raises(MigrationError, match="no section 'orders'"):
        AlembicHelper(section="orders", db_url=sqlite_url).heads()
