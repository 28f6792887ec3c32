import pickle
import subprocess
import sys
import textwrap
from copy import deepcopy
from random import Random
from typing import Any, get_type_hints

import pytest

import tijolo.br_validators as br
from tijolo.br_validators import Strictness

PUBLIC = [
    "BRValueError",
    "CEP_PATTERN",
    "CNPJ_PATTERN",
    "CPF_CNPJ_PATTERN",
    "CPF_PATTERN",
    "PHONE_BR_PATTERN",
    "Strictness",
    "__version__",
    "format_cep",
    "format_cnpj",
    "format_cpf",
    "format_cpf_cnpj",
    "format_phone_br",
    "generate_cep",
    "generate_cnpj",
    "generate_cpf",
    "generate_cpf_cnpj",
    "generate_phone_br",
    "is_valid_cep",
    "is_valid_cnpj",
    "is_valid_cpf",
    "is_valid_cpf_cnpj",
    "is_valid_phone_br",
    "normalize_cep",
    "normalize_cnpj",
    "normalize_cpf",
    "normalize_cpf_cnpj",
    "normalize_phone_br",
    "only_alnum",
    "only_digits",
    "to_e164",
]

TYPES = ["CEP", "CNPJ", "CPF", "CNPJNumeric", "CPFOrCNPJ", "PhoneBR"]
"""By name only: a star import must work without Pydantic."""

BLOCK_PYDANTIC = """
    import sys

    class Blocker:
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] in ("pydantic", "pydantic_core"):
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    for name in [n for n in sys.modules if n.split(".")[0] in ("pydantic", "pydantic_core")]:
        del sys.modules[name]
    sys.meta_path.insert(0, Blocker())
"""


def fresh(code: str) -> str:
    """What a new interpreter prints; ``-S`` keeps other packages' start-up hooks out."""
    paths = [path for path in sys.path if path]
    prelude = f"import sys; sys.path[:] = {paths!r}\n"
    command = [sys.executable, "-S", "-c", prelude + textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_public_names_are_those_signed_for() -> None:
    assert sorted(br.__all__) == sorted(PUBLIC)
    assert set(br.__all__) <= set(dir(br))
    assert all(getattr(br, name) is not None for name in [*br.__all__, *TYPES])
    assert set(TYPES) <= set(dir(br))


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'RG'"):
        _ = br.RG  # type: ignore[attr-defined]


def test_import_and_validation_bring_no_re_enum_typing_or_pydantic() -> None:
    heavy = ("re", "enum", "typing", "collections", "dataclasses", "random", "pydantic")
    printed = fresh(
        f"""
        before = set(sys.modules)
        import tijolo.br_validators as br
        assert br.is_valid_cpf("529.982.247-25") and br.is_valid_cnpj("12ABC34501DE35")
        print(sorted(({heavy!r} and set({heavy!r})) & (set(sys.modules) - before)))
        """
    )
    assert printed == "[]"


def test_import_builds_no_table() -> None:
    printed = fresh(
        """
        from tijolo.br_validators import cnpj, cpf, is_valid_cpf
        print(any(cpf._tables), any(cnpj._tables))
        is_valid_cpf("52998224725")
        print(any(cpf._tables), any(cnpj._tables))
        """
    )
    assert printed.split() == ["False", "False", "True", "False"]


def test_patterns_bring_re_but_not_pydantic() -> None:
    printed = fresh(
        """
        from tijolo.br_validators import CPF_PATTERN
        print("re" in sys.modules, "pydantic" in sys.modules)
        """
    )
    assert printed == "True False"


def test_types_without_pydantic_name_the_pip_command() -> None:
    printed = fresh(
        textwrap.dedent(BLOCK_PYDANTIC)
        + textwrap.dedent(
            """
            import tijolo.br_validators as br
            assert br.normalize_cpf("529.982.247-25") == "52998224725"
            for attempt in (
                "import tijolo.br_validators.pydantic",
                "from tijolo.br_validators import CPF",
                "br.CPF",
            ):
                try:
                    exec(attempt)
                except (ImportError, AttributeError) as exc:
                    print(type(exc).__name__, exc, sep=": ")
            """
        )
    )
    message = (
        "tijolo.br_validators.pydantic needs Pydantic; "
        'install it with: pip install "tijolo-br-validators[pydantic]"'
    )
    assert printed.splitlines() == [
        f"ImportError: {message}",
        f"ImportError: {message}",
        f"AttributeError: {message}",
    ]


def test_the_package_can_be_looked_over_without_pydantic() -> None:
    printed = fresh(
        textwrap.dedent(BLOCK_PYDANTIC)
        + textwrap.dedent(
            f"""
            import inspect, pydoc
            import tijolo.br_validators as br
            from tijolo.br_validators import *
            assert normalize_cpf("529.982.247-25") == "52998224725"
            assert not any(hasattr(br, name) for name in {TYPES!r})
            assert not set({TYPES!r}) & set(dir(br))
            assert "CPF_PATTERN" in dict(inspect.getmembers(br))
            assert "is_valid_cpf" in pydoc.plain(pydoc.render_doc(br))
            print("looked over")
            """
        )
    )
    assert printed == "looked over"


def test_dir_finds_the_types_without_importing_pydantic() -> None:
    printed = fresh(
        f"""
        import tijolo.br_validators as br
        print(set({TYPES!r}) <= set(dir(br)), "pydantic_core" in sys.modules)
        """
    )
    assert printed == "True False"


@pytest.mark.parametrize("name", [n for n in PUBLIC if n.islower() and n[0] != "_"])
def test_every_annotation_of_a_function_resolves(name: str) -> None:
    hints = get_type_hints(getattr(br, name))
    assert hints["return"] in (bool, str)
    if name.startswith("generate_"):
        assert hints["random"] == Random | None


def test_strictness_survives_copies_and_pickles() -> None:
    for strictness in (Strictness.STRICT, Strictness.LENIENT):
        assert deepcopy(strictness) is strictness
        assert pickle.loads(pickle.dumps(strictness)) is strictness
    assert repr(Strictness.LENIENT) == "Strictness.LENIENT"


@pytest.mark.parametrize("word", ["lenient", "strict", "other"])
def test_there_is_no_third_strictness(word: str) -> None:
    with pytest.raises(TypeError, match=r"use Strictness\.STRICT or Strictness\.LENIENT"):
        Strictness(word)
    assert (Strictness.STRICT.value, Strictness.LENIENT.value) == ("strict", "lenient")


@pytest.mark.parametrize("value", ["52998224725", "191", "", None])
@pytest.mark.parametrize("verb", ["is_valid", "normalize", "format"])
@pytest.mark.parametrize("kind", ["cpf", "cnpj", "cpf_cnpj", "cep", "phone_br"])
def test_strictness_of_another_type_is_refused(verb: str, kind: str, value: object) -> None:
    with pytest.raises(TypeError, match=r"strictness must be a Strictness, not 'str'"):
        getattr(br, f"{verb}_{kind}")(value, strictness="lenient")


def test_error_is_a_value_error_that_pickles() -> None:
    with pytest.raises(ValueError, match="check digits") as caught:
        br.normalize_cpf("52998224724")
    error = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(error, br.BRValueError)
    assert (error.kind, error.rule, error.code) == ("cpf", "checksum", "cpf_checksum")
    assert error.expected == "the last two digits to follow from the first nine"
    assert str(error) == str(caught.value)


def test_an_error_of_an_unknown_rule_can_be_shown() -> None:
    assert str(br.BRValueError("rg", "whatever", "a known state")) == (
        "Not a valid RG: it breaks the rule 'whatever'; expected a known state."
    )


@pytest.mark.parametrize("value", [b"529", 529, None, ["5", "2"]], ids=repr)
def test_only_digits_and_only_alnum_take_nothing_but_a_str(value: Any) -> None:
    for keep in (br.only_digits, br.only_alnum):
        with pytest.raises(TypeError, match=f"value must be a str, not '{type(value).__name__}'"):
            keep(value)


def test_only_digits_and_only_alnum_keep_ascii_alone() -> None:
    mixed = "a1-B２٣²½④𝟜Ⅳ९é\n\0 9"
    assert br.only_digits(mixed) == "19"
    assert br.only_alnum(mixed) == "a1B9"
    assert br.only_alnum("12.abc.345/01DE-35") == "12abc34501DE35"
