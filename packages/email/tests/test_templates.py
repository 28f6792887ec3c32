from __future__ import annotations

import threading

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import DictLoader, TemplateError

from tijolo.email import EmailTemplateError, EmailTemplates, EmailUtils, MemoryBackend
from tijolo.email.templates import localised

EVIL = "<script>alert('x')</script>"


@pytest.fixture
def directory(tmp_path):
    folder = tmp_path / "templates"
    (folder / "orders").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("the key")
    files = {
        "welcome.subject.txt": "Welcome,\n{{ name }}!\n",
        "welcome.html.j2": "<p>Hello {{ name }}</p>",
        "welcome.txt.j2": "Hello {{ name }}",
        "welcome.pt.html.j2": "<p>Olá {{ name }}</p>",
        "welcome.pt.subject.txt": "Boas-vindas, {{ name }}!",
        "welcome.pt-BR.txt.j2": "Oi {{ name }}",
        "orders/paid.html": "<b>{{ total }}</b>",
        "broken.html": "{% if %}",
        "includes.html": "{% include 'nowhere.html' %}",
        "sly.html": "{{ ''.__class__.__mro__ }}",
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def email(directory):
    return EmailUtils.with_backend(
        MemoryBackend(), from_addr="shop@example.com", template_dir=directory
    )


@pytest.mark.parametrize(
    "name",
    [
        "a.html",
        "a.html.j2",
        "a.htm.jinja",
        "a.HTML.J2",
        "a.xml",
        "a.j2",
        "a",
        "a.mjml",
        "a.txt.html",
    ],
)
def test_everything_but_text_is_escaped_whatever_its_suffix(name):
    templates = EmailTemplates(DictLoader({name: "{{ x }}"}))
    assert "<script>" not in templates.render(name, {"x": EVIL})


@pytest.mark.parametrize("name", ["a.txt", "a.txt.j2", "a.TXT.jinja2", "a.html.txt", "a.text"])
def test_text_is_not_escaped(name):
    templates = EmailTemplates(DictLoader({name: "{{ x }}"}))
    assert templates.render(name, {"x": EVIL}) == EVIL


def test_render_template_is_that_of_the_contract(email):
    assert email.render_template("welcome.html.j2", {"name": "<b>"}) == "<p>Hello &lt;b&gt;</p>"
    assert email.render_template("orders/paid.html", {"total": 5}) == "<b>5</b>"


@pytest.mark.parametrize(
    "name",
    [
        "../secret.txt",
        "orders/../../secret.txt",
        "/etc/passwd",
        "..\\secret.txt",
        "./../secret.txt",
    ],
)
def test_no_name_leads_out_of_the_directory(email, name):
    with pytest.raises(EmailTemplateError, match="there is no"):
        email.render_template(name, {})


@pytest.mark.parametrize("name", ["welcome.html.j2", "broken.html", "includes.html", "sly.html"])
def test_what_cannot_be_rendered_is_one_error_with_its_cause(email, name):
    with pytest.raises(EmailTemplateError, match="could not be rendered") as error:
        email.render_template(name, {})
    assert isinstance(error.value.__cause__, TemplateError)
    assert error.value.status_code == 500


async def test_a_template_is_a_subject_a_text_and_a_page(email):
    await email.send_template("ana@example.com", "welcome", {"name": "Ana & Leo"})
    (mail,) = email.backend.outbox

    assert mail.subject == "Welcome, Ana & Leo!"
    assert mail.text == "Hello Ana & Leo\n"
    assert mail.html == "<p>Hello Ana &amp; Leo</p>\n"


async def test_each_part_is_in_the_nearest_language_there_is(email):
    subject, text, html = await email.render("welcome", {"name": "Ana"}, locale="pt-BR")
    assert (subject, text, html) == ("Boas-vindas, Ana!", "Oi Ana", "<p>Olá Ana</p>")
    subject, text, html = await email.render("welcome", {"name": "Ana"}, locale="pt_PT")
    assert (subject, text, html) == ("Boas-vindas, Ana!", "Hello Ana", "<p>Olá Ana</p>")
    _, text, _ = await email.render("welcome", {"name": "Ana"}, locale="fr")
    assert text == "Hello Ana"


def test_the_nearest_language_wins_whichever_suffix_it_has():
    sources = {"a.txt.j2": "Hello", "a.pt.txt": "Olá", "a.subject.txt": "S"}
    templates = EmailTemplates(DictLoader(sources))
    assert templates.render_email("a", {}, locale="pt-BR") == ("S", "Olá", None)
    assert templates.render_email("a", {}, locale="fr") == ("S", "Hello", None)


def test_a_template_that_is_no_utf8_is_broken(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"Ol\xe1")
    with pytest.raises(EmailTemplateError, match=r"a\.txt"):
        EmailTemplates(tmp_path).render("a.txt", {})


@given(st.text() | st.from_regex(r"[a-z/._-]{1,12}", fullmatch=True))
@example("../../etc")
@example("pt/..")
def test_no_locale_is_a_path(locale):
    for name in localised("orders/paid.html", locale):
        assert name.startswith("orders/paid.")
        assert name.count("/") == 1


async def test_a_missing_part_is_named(email):
    with pytest.raises(EmailTemplateError, match="nothing"):
        await email.send_template("a@b.com", "nothing", {})
    with pytest.raises(EmailTemplateError, match="subject"):
        await email.send_template("a@b.com", "orders/paid", {"total": 1})
    await email.send_template("a@b.com", "orders/paid", {"total": 1}, subject="Paid")
    assert email.backend.outbox[-1].text == "1\n"


async def test_without_a_directory_there_are_no_templates():
    email = EmailUtils.with_backend(MemoryBackend(), from_addr="a@b.com")
    with pytest.raises(RuntimeError, match="template_dir"):
        await email.render("welcome", {})


async def test_templates_are_compiled_off_the_event_loop():
    threads = []

    class Spy(DictLoader):
        def get_source(self, environment, template):
            threads.append(threading.current_thread())
            return super().get_source(environment, template)

    email = EmailUtils.with_backend(
        MemoryBackend(), from_addr="a@b.com", template_dir=Spy({"a.html": "x"})
    )
    await email.send_template("a@b.com", "a", {}, subject="x")
    assert threads
    assert threading.main_thread() not in threads
