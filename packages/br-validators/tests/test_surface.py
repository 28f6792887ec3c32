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
from tijolo.br_validators.parts import Explanation

PUBLIC = [
    "ARRECADACAO_PATTERN",
    "BOLETO_PATTERN",
    "BR_CODE_PATTERN",
    "CAEPF_PATTERN",
    "CEI_PATTERN",
    "CEP_PATTERN",
    "CERTIDAO_PATTERN",
    "CNH_PATTERN",
    "CNJ_PATTERN",
    "CNO_PATTERN",
    "CNPJ_NUMERIC_PATTERN",
    "CNPJ_PATTERN",
    "CNS_PATTERN",
    "COMPE_PATTERN",
    "CPF_CNPJ_PATTERN",
    "CPF_PATTERN",
    "DFE_KEY_PATTERN",
    "IBGE_MUNICIPIO_PATTERN",
    "IE_PATTERN",
    "ISPB_PATTERN",
    "KINDS",
    "PHONE_BR_PATTERN",
    "PIS_PATTERN",
    "PIX_KEY_PATTERN",
    "PLATE_PATTERN",
    "RENAVAM_PATTERN",
    "SERVICE_PHONE_PATTERN",
    "TITULO_ELEITOR_PATTERN",
    "BRValueError",
    "Kind",
    "Strictness",
    "Verdict",
    "__version__",
    "build_br_code",
    "due_factor",
    "explain_arrecadacao",
    "explain_boleto",
    "explain_br_code",
    "explain_caepf",
    "explain_cei",
    "explain_cep",
    "explain_certidao",
    "explain_cnh",
    "explain_cnj",
    "explain_cno",
    "explain_cnpj",
    "explain_cns",
    "explain_compe",
    "explain_cpf",
    "explain_cpf_cnpj",
    "explain_dfe_key",
    "explain_ibge_municipio",
    "explain_ie",
    "explain_ispb",
    "explain_phone_br",
    "explain_pis",
    "explain_pix_key",
    "explain_plate",
    "explain_renavam",
    "explain_service_phone",
    "explain_titulo_eleitor",
    "format_arrecadacao",
    "format_boleto",
    "format_br_code",
    "format_caepf",
    "format_cei",
    "format_cep",
    "format_certidao",
    "format_cnh",
    "format_cnj",
    "format_cno",
    "format_cnpj",
    "format_cns",
    "format_compe",
    "format_cpf",
    "format_cpf_cnpj",
    "format_dfe_key",
    "format_ibge_municipio",
    "format_ie",
    "format_ispb",
    "format_phone_br",
    "format_pis",
    "format_pix_key",
    "format_plate",
    "format_renavam",
    "format_service_phone",
    "format_titulo_eleitor",
    "generate_arrecadacao",
    "generate_boleto",
    "generate_br_code",
    "generate_caepf",
    "generate_cei",
    "generate_cep",
    "generate_certidao",
    "generate_cnh",
    "generate_cnj",
    "generate_cno",
    "generate_cnpj",
    "generate_cns",
    "generate_compe",
    "generate_cpf",
    "generate_cpf_cnpj",
    "generate_dfe_key",
    "generate_ibge_municipio",
    "generate_ie",
    "generate_ispb",
    "generate_phone_br",
    "generate_pis",
    "generate_pix_key",
    "generate_plate",
    "generate_renavam",
    "generate_service_phone",
    "generate_titulo_eleitor",
    "ie_kind",
    "is_valid_arrecadacao",
    "is_valid_boleto",
    "is_valid_br_code",
    "is_valid_caepf",
    "is_valid_cei",
    "is_valid_cep",
    "is_valid_certidao",
    "is_valid_cnh",
    "is_valid_cnj",
    "is_valid_cno",
    "is_valid_cnpj",
    "is_valid_cns",
    "is_valid_compe",
    "is_valid_cpf",
    "is_valid_cpf_cnpj",
    "is_valid_dfe_key",
    "is_valid_ibge_municipio",
    "is_valid_ie",
    "is_valid_ispb",
    "is_valid_phone_br",
    "is_valid_pis",
    "is_valid_pix_key",
    "is_valid_plate",
    "is_valid_renavam",
    "is_valid_service_phone",
    "is_valid_titulo_eleitor",
    "normalize_arrecadacao",
    "normalize_boleto",
    "normalize_br_code",
    "normalize_caepf",
    "normalize_cei",
    "normalize_cep",
    "normalize_certidao",
    "normalize_cnh",
    "normalize_cnj",
    "normalize_cno",
    "normalize_cnpj",
    "normalize_cns",
    "normalize_compe",
    "normalize_cpf",
    "normalize_cpf_cnpj",
    "normalize_dfe_key",
    "normalize_ibge_municipio",
    "normalize_ie",
    "normalize_ispb",
    "normalize_phone_br",
    "normalize_pis",
    "normalize_pix_key",
    "normalize_plate",
    "normalize_renavam",
    "normalize_service_phone",
    "normalize_titulo_eleitor",
    "only_alnum",
    "only_digits",
    "parse_arrecadacao",
    "parse_boleto",
    "parse_br_code",
    "parse_caepf",
    "parse_cep",
    "parse_certidao",
    "parse_cnj",
    "parse_cnpj",
    "parse_cns",
    "parse_cpf",
    "parse_cpf_cnpj",
    "parse_dfe_key",
    "parse_ibge_municipio",
    "parse_ie",
    "parse_phone_br",
    "parse_pix_key",
    "parse_plate",
    "parse_service_phone",
    "parse_titulo_eleitor",
    "suggest_arrecadacao",
    "suggest_boleto",
    "suggest_br_code",
    "suggest_caepf",
    "suggest_cei",
    "suggest_cep",
    "suggest_certidao",
    "suggest_cnh",
    "suggest_cnj",
    "suggest_cno",
    "suggest_cnpj",
    "suggest_cns",
    "suggest_compe",
    "suggest_cpf",
    "suggest_cpf_cnpj",
    "suggest_dfe_key",
    "suggest_ibge_municipio",
    "suggest_ie",
    "suggest_ispb",
    "suggest_phone_br",
    "suggest_pis",
    "suggest_pix_key",
    "suggest_plate",
    "suggest_renavam",
    "suggest_service_phone",
    "suggest_titulo_eleitor",
    "to_e164",
    "to_mercosul",
    "validate_many",
]

TYPES = [
    "CAEPF",
    "CEI",
    "CEP",
    "CNH",
    "CNO",
    "CNPJ",
    "CNS",
    "COMPE",
    "CPF",
    "ISPB",
    "PIS",
    "RENAVAM",
    "Arrecadacao",
    "BRCode",
    "Boleto",
    "CNPJNumeric",
    "CPFOrCNPJ",
    "Certidao",
    "DFeKey",
    "InscricaoEstadual",
    "MunicipioIBGE",
    "PhoneBR",
    "PixKey",
    "Plate",
    "ProcessoCNJ",
    "ServicePhoneBR",
    "TituloEleitor",
]
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
        assert all(kind.is_valid(kind.examples[0]) for kind in br.KINDS.values() if
            kind.name not in ("br_code", "pix_key"))  # these two need re
        print(sorted(({heavy!r} and set({heavy!r})) & (set(sys.modules) - before)))
        """
    )
    assert printed == "[]"


def test_import_imports_no_kind() -> None:
    printed = fresh(
        """
        import tijolo.br_validators as br
        print(sorted(n for n in sys.modules if n.startswith("tijolo.")))
        br.is_valid_cep("01310-100")
        print("tijolo.br_validators.cep" in sys.modules, "tijolo.br_validators.cpf" in sys.modules)
        """
    )
    assert printed.splitlines() == [
        "['tijolo.br_validators', 'tijolo.br_validators._version']",
        "True False",
    ]


def test_import_builds_no_table() -> None:
    printed = fresh(
        """
        from tijolo.br_validators import cnpj, cpf, is_valid_cpf
        print(any(cpf._bare_tables), any(cnpj._tables))
        is_valid_cpf("52998224725")
        print(any(cpf._bare_tables), any(cnpj._tables))
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
    if name.startswith("parse_"):
        assert "Parts" in str(hints["return"])
    elif name.startswith("explain_"):
        assert hints["return"] == Explanation | None
    elif name.startswith("suggest_"):
        assert hints["return"] == list[str]
    elif name.startswith(("is_valid_", "normalize_", "format_", "generate_", "build_", "to_")):
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


@pytest.mark.parametrize("verb", ["is_valid", "normalize", "format", "explain"])
@pytest.mark.parametrize("kind", [name for name in br.KINDS if name != "cnpj_numeric"])
def test_strictness_of_another_type_is_refused(verb: str, kind: str) -> None:
    for value in ("52998224725", "191", "", None):
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
