"""PostgreSQL's enum types go with the last table that uses them."""

from __future__ import annotations

import pytest

MODELS = """
import enum
import sqlalchemy


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Person(Base):
    mood: Mapped[Mood] = mapped_column(sqlalchemy.Enum(Mood, name="person mood"))
    tone: Mapped[str] = mapped_column(sqlalchemy.Enum("low", "high", name="tone"))
    size: Mapped[str] = mapped_column(sqlalchemy.Enum("s", "m", name="size", native_enum=False))
"""
SECOND = """
class Song(Base):
    tone: Mapped[str] = mapped_column(
        sqlalchemy.dialects.postgresql.ENUM("low", "high", name="tone", create_type=False)
        if POSTGRES
        else sqlalchemy.Enum("low", "high", name="tone")
    )
    pitch: Mapped[str] = mapped_column(sqlalchemy.Enum("a", "b", name="pitch"))
"""


def types(sql, url):
    if url.get_backend_name() != "postgresql":
        return set()
    return {name for (name,) in sql(url, "SELECT typname FROM pg_type WHERE typtype = 'e'")}


def test_a_revision_with_enums_goes_back_and_forth(project, url, sql):
    project.models(MODELS)
    helper = project.helper(url)
    helper.revision("first")

    for _ in range(2):
        helper.upgrade()
        assert helper.check()
        helper.downgrade("base")
        assert types(sql, url) == set()

    (written,) = (project.path / "migrations" / "versions").glob("*_first.py")
    text = written.read_text()
    assert text.count("drop_enum(") == 2
    assert "drop_enum('person mood')" in text
    assert "name='size'" in text
    assert "drop_enum('size')" not in text


@pytest.mark.postgres
def test_a_type_that_another_table_uses_stays(project, make_database, sql):
    url = make_database("postgres")
    project.models(MODELS)
    helper = project.helper(url)
    helper.revision("first")
    helper.upgrade()
    project.models(f"POSTGRES = {url.get_backend_name() == 'postgresql'}\n{MODELS}{SECOND}")
    helper.revision("second")

    for _ in range(2):
        helper.upgrade()
        assert types(sql, url) == {"person mood", "tone", "pitch"}
        helper.downgrade("-1")
        assert types(sql, url) == {"person mood", "tone"}


@pytest.mark.postgres
def test_a_table_that_is_removed_takes_its_types_along(project, make_database, sql):
    url = make_database("postgres")
    project.models(MODELS)
    helper = project.helper(url)
    helper.revision("first")
    helper.upgrade()
    project.models("")
    helper.revision("gone")

    for _ in range(2):
        helper.upgrade()
        assert types(sql, url) == set()
        helper.downgrade("-1")
        assert types(sql, url) == {"person mood", "tone"}


@pytest.mark.postgres
def test_enums_are_dropped_in_offline_sql_too(project, make_database):
    url = make_database("postgres")
    project.models(MODELS)
    helper = project.helper(url)
    helper.revision("first")
    helper.upgrade()

    written = helper.downgrade("head:base", sql=True)

    assert 'DROP TYPE IF EXISTS "person mood"' in written
