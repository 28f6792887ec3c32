from __future__ import annotations

import logging
import sys

import pytest

from tijolo.db import _cli

MODELS = """
class Thing(Base):
    name: Mapped[str] = mapped_column(String(80))
"""
DOWN = "postgresql://app:s3cr%25t@127.0.0.1:1/shop"


@pytest.fixture
def run(project, monkeypatch, capsys):
    """Run a command in this process, as ``main`` does: (status, stdout, stderr)."""
    logger = logging.getLogger("tijolo.db")
    level = logger.level
    monkeypatch.setenv("ENVIRONMENT", "test")

    def call(url, *arguments, **environ):
        if url is not None:
            environ["DATABASE_URL"] = str(url)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        handlers = list(logger.handlers)
        try:
            status = _cli.main(arguments)
        finally:
            logger.handlers, logger.level = handlers, level
            logger.setLevel(level)
        out, err = capsys.readouterr()
        return status, out, err

    return call


def test_a_schema_goes_its_whole_way_from_the_command_line(project, run, sqlite_url):
    project.models(MODELS)

    assert run(sqlite_url, "check")[0] == 1
    status, out, _ = run(sqlite_url, "revision", "first")
    assert status == 0
    assert out.strip().endswith("_first.py")
    status, out, _ = run(sqlite_url, "check")
    assert (status, "behind: not applied yet" in out) == (1, True)
    status, _, err = run(sqlite_url, "prestart")
    assert (status, "from base to" in err) == (0, True)
    assert run(sqlite_url, "check") == (0, "in sync: the database is what the models say\n", "")
    head = run(sqlite_url, "heads")[1]
    assert run(sqlite_url, "current")[1] == head != "\n"
    assert "already" in run(sqlite_url, "upgrade")[2]
    assert run(sqlite_url, "downgrade")[0] == 0
    assert run(sqlite_url, "current")[1] == ""
    assert run(sqlite_url, "stamp")[0] == 0
    assert "first" in run(sqlite_url, "history")[1]
    assert "CREATE TABLE thing" in run(sqlite_url, "upgrade", "--sql")[1]
    assert "DROP TABLE thing" in run(sqlite_url, "downgrade", "head:base", "--sql")[1]
    assert run(sqlite_url, "revision", "by hand", "--empty")[0] == 0


def test_init_writes_an_environment(run, tmp_path):
    (tmp_path / "shop.py").write_text("from tijolo.db import BaseModel\n")

    status, out, _ = run(None, "init", "migrations", "--module", "shop")

    assert (status, out) == (0, "migrations and alembic.ini [alembic] written\n")
    assert "from shop import BaseModel" in (tmp_path / "migrations" / "env.py").read_text()
    assert run(None, "init", "migrations")[0] == 2


@pytest.mark.parametrize(
    "arguments",
    [("check",), ("upgrade",), ("wait", "--timeout", "0.2"), ("prestart", "--timeout", "0.2")],
)
def test_a_database_that_is_down_is_status_3_in_one_line(project, run, arguments):
    pytest.importorskip("asyncpg")
    project.models(MODELS)
    status, out, err = run(DOWN, *arguments)
    errors = [line for line in err.splitlines() if line.startswith("error: ")]

    assert status == 3
    assert out == ""
    assert len(errors) == 1
    assert "app:***@127.0.0.1:1" in errors[0]
    assert "s3cr" not in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ("from nowhere import Nothing\n", "ModuleNotFoundError: No module named 'nowhere'"),
        ("BaseModel = undefined\n", "NameError: name 'undefined' is not defined"),
    ],
)
def test_models_that_cannot_be_imported_are_status_2_in_one_line(
    project, run, sqlite_url, models, said
):
    project.models("")
    (project.path / f"{project.module}.py").write_text(models)
    del sys.modules[project.module]

    status, out, err = run(sqlite_url, "check")

    assert (status, out) == (2, "")
    assert f"error: {said} (--traceback shows where)" in err
    assert "Traceback (most" not in err


@pytest.mark.postgres
def test_an_argument_the_driver_does_not_know_is_status_2_in_one_line(project, run, postgres_url):
    pytest.importorskip("asyncpg")
    project.models(MODELS)

    status, _, err = run(f"{postgres_url}?sslmood=require", "current")

    assert status == 2
    assert "sslmood" in err
    assert "Traceback (most" not in err


def test_a_schema_ahead_is_status_5(project, run, sqlite_url, sql):
    project.models(MODELS)
    project.revision("one", "pass")
    run(sqlite_url, "upgrade")
    sql(sqlite_url, "UPDATE alembic_version SET version_num = 'future'")

    status, _, err = run(sqlite_url, "upgrade")

    assert (status, "ahead of this code" in err) == (5, True)


def test_a_migration_that_fails_is_status_2_without_its_sql(project, run, sqlite_url):
    project.models(MODELS)
    project.revision("one", "op.execute(\"INSERT INTO nowhere VALUES ('s3cret')\")")

    status, _, err = run(sqlite_url, "upgrade")
    assert (status, "no such table: nowhere" in err) == (2, True)
    assert "s3cret" not in err
    assert "Traceback" not in err
    assert "Traceback" in run(sqlite_url, "--traceback", "upgrade")[2]


def test_settings_may_be_an_object_a_class_or_a_function(project, run, sqlite_url, tmp_path):
    project.models(MODELS)
    project.revision("one", "pass")
    (tmp_path / "conf.py").write_text(
        "from tijolo.core import BaseAppSettings\nfrom tijolo.db.settings import DatabaseSettings\n"
        "class Settings(DatabaseSettings, BaseAppSettings):\n"
        f"    DATABASE_NAME: str = {sqlite_url.database!r}\n    DATABASE_DRIVER: str = 'sqlite'\n"
        "settings = Settings()\ndef get_settings():\n    return settings\n"
    )

    for name in ("Settings", "settings", "get_settings"):
        assert run(None, "--settings", f"conf:{name}", "upgrade")[0] == 0
        assert run(None, "--settings", f"conf:{name}", "current")[1] == "one\n"
    for wrong in ("conf:nothing", "conf", "nowhere:settings", ":"):
        status, _, err = run(None, "--settings", wrong, "upgrade")
        assert (status, "package.module:Name" in err) == (2, True)


def test_wrong_settings_are_named_without_their_values(project, run):
    status, _, err = run(None, "current", DATABASE_POOL_SIZE="s3cret", DATABASE_URL="sqlite://")

    assert status == 2
    assert "DATABASE_POOL_SIZE" in err
    assert "s3cret" not in err


def test_an_url_is_no_argument(run, capsys):
    with pytest.raises(SystemExit) as caught:
        run(None, "current", "sqlite:///app.db")

    assert caught.value.code == 2


def test_the_base_is_guarded_outside_development(project, run, sqlite_url):
    project.models(MODELS)
    project.revision("one", "pass")
    run(sqlite_url, "upgrade")

    assert run(sqlite_url, "downgrade", "base", ENVIRONMENT="production")[0] == 2
    assert run(sqlite_url, "downgrade", "base", "--force", ENVIRONMENT="production")[0] == 0


def test_the_module_is_a_command(project, sqlite_url):
    project.models(MODELS)
    done = project.run(sqlite_url, "prestart")

    assert (done.status, done.out) == (0, "")
    assert project.run(None, "--help").out.count("exit status") == 1


@pytest.mark.parametrize(
    ("module", "text", "said"),
    [
        ("shop_without_base", "VALUE = 1\n", "no declarative base or MetaData called 'BaseModel'"),
        ("shop_of_another_kind", "BaseModel = 1\n", "no declarative base or MetaData"),
        ("shop_that_is_nowhere", None, "'shop_that_is_nowhere' cannot be imported"),
    ],
)
def test_init_refuses_a_module_without_metadata(project, run, module, text, said):
    if text is not None:
        (project.path / f"{module}.py").write_text(text)

    status, _, err = run(None, "init", "migrations", "--module", module)

    assert (status, said in err) == (2, True)
    assert not (project.path / "migrations").exists()
    assert not (project.path / "alembic.ini").exists()
