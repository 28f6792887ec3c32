import pickle
import subprocess
import sys
import textwrap
from copy import deepcopy

import pytest

import tijolo.br_validators as br
from tijolo.br_validators import Strictness

PUBLIC = [
    "BRValueError",
    "CEP",
    "CEP_PATTERN",
    "CNPJ",
    "CNPJNumeric",
    "CNPJ_PATTERN",
    "CPF",
    "CPFOrCNPJ",
    "CPF_CNPJ_PATTERN",
    "CPF_PATTERN",
    "PHONE_BR_PATTERN",
    "PhoneBR",
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
    assert all(getattr(br, name) is not None for name in br.__all__)


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
            for attempt in ("import tijolo.br_validators.pydantic", "br.CPF"):
                try:
                    exec(attempt)
                except ImportError as exc:
                    print(exc)
            """
        )
    )
    message = (
        "tijolo.br_validators.pydantic needs Pydantic; "
        'install it with: pip install "tijolo-br-validators[pydantic]"'
    )
    assert printed.splitlines() == [message, message]


def test_strictness_survives_copies_and_pickles() -> None:
    for strictness in (Strictness.STRICT, Strictness.LENIENT):
        assert deepcopy(strictness) is strictness
        assert pickle.loads(pickle.dumps(strictness)) is strictness
    assert repr(Strictness.LENIENT) == "Strictness.LENIENT"


@pytest.mark.parametrize("verb", ["is_valid", "normalize", "format"])
@pytest.mark.parametrize("kind", ["cpf", "cnpj", "cpf_cnpj", "cep", "phone_br"])
def test_strictness_of_another_type_is_refused(verb: str, kind: str) -> None:
    with pytest.raises(TypeError, match=r"strictness must be a Strictness, not 'str'"):
        getattr(br, f"{verb}_{kind}")("52998224725", strictness="lenient")


def test_error_is_a_value_error_that_pickles() -> None:
    with pytest.raises(ValueError, match="check digits") as caught:
        br.normalize_cpf("52998224724")
    error = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(error, br.BRValueError)
    assert (error.kind, error.rule, error.code) == ("cpf", "checksum", "cpf_checksum")
    assert error.expected == "the last two digits to follow from the first nine"
    assert str(error) == str(caught.value)


def test_only_digits_and_only_alnum_keep_ascii_alone() -> None:
    mixed = "a1-B２٣²½④𝟜Ⅳ९é\n\0 9"
    assert br.only_digits(mixed) == "19"
    assert br.only_alnum(mixed) == "a1B9"
    assert br.only_alnum("12.abc.345/01DE-35") == "12abc34501DE35"
