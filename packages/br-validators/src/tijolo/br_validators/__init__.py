"""Brazilian documents: CPF, CNPJ (alphanumeric too), phones, boletos, PIX and two dozen more.

For each kind the same verbs: ``is_valid_*`` never raises, ``normalize_*`` returns the one form to
store or raises ``BRValueError``, ``format_*`` writes the mask, ``parse_*`` names the parts,
``generate_*`` invents test data, ``explain_*`` says what is wrong, ``suggest_*`` what was meant.
``KINDS`` has every kind by its name. Importing this package imports nothing else: each name brings
its module when it is first asked for, patterns bring ``re``, types bring Pydantic.
"""

from __future__ import annotations

from sys import modules

from ._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .arrecadacao import (
        explain_arrecadacao,
        format_arrecadacao,
        generate_arrecadacao,
        is_valid_arrecadacao,
        normalize_arrecadacao,
        parse_arrecadacao,
        suggest_arrecadacao,
    )
    from .bank_code import (
        explain_compe,
        explain_ispb,
        format_compe,
        format_ispb,
        generate_compe,
        generate_ispb,
        is_valid_compe,
        is_valid_ispb,
        normalize_compe,
        normalize_ispb,
        suggest_compe,
        suggest_ispb,
    )
    from .batch import (
        Verdict,
        validate_many,
    )
    from .boleto import (
        due_factor,
        explain_boleto,
        format_boleto,
        generate_boleto,
        is_valid_boleto,
        normalize_boleto,
        parse_boleto,
        suggest_boleto,
    )
    from .br_code import (
        build_br_code,
        explain_br_code,
        format_br_code,
        generate_br_code,
        is_valid_br_code,
        normalize_br_code,
        parse_br_code,
        suggest_br_code,
    )
    from .caepf import (
        explain_caepf,
        format_caepf,
        generate_caepf,
        is_valid_caepf,
        normalize_caepf,
        parse_caepf,
        suggest_caepf,
    )
    from .cep import (
        explain_cep,
        format_cep,
        generate_cep,
        is_valid_cep,
        normalize_cep,
        parse_cep,
        suggest_cep,
    )
    from .certidao import (
        explain_certidao,
        format_certidao,
        generate_certidao,
        is_valid_certidao,
        normalize_certidao,
        parse_certidao,
        suggest_certidao,
    )
    from .characters import (
        only_alnum,
        only_digits,
    )
    from .cnh import (
        explain_cnh,
        format_cnh,
        generate_cnh,
        is_valid_cnh,
        normalize_cnh,
        suggest_cnh,
    )
    from .cnj import (
        explain_cnj,
        format_cnj,
        generate_cnj,
        is_valid_cnj,
        normalize_cnj,
        parse_cnj,
        suggest_cnj,
    )
    from .cno import (
        explain_cei,
        explain_cno,
        format_cei,
        format_cno,
        generate_cei,
        generate_cno,
        is_valid_cei,
        is_valid_cno,
        normalize_cei,
        normalize_cno,
        suggest_cei,
        suggest_cno,
    )
    from .cnpj import (
        explain_cnpj,
        format_cnpj,
        generate_cnpj,
        is_valid_cnpj,
        normalize_cnpj,
        parse_cnpj,
        suggest_cnpj,
    )
    from .cns import (
        explain_cns,
        format_cns,
        generate_cns,
        is_valid_cns,
        normalize_cns,
        parse_cns,
        suggest_cns,
    )
    from .cpf import (
        explain_cpf,
        format_cpf,
        generate_cpf,
        is_valid_cpf,
        normalize_cpf,
        parse_cpf,
        suggest_cpf,
    )
    from .cpf_cnpj import (
        explain_cpf_cnpj,
        format_cpf_cnpj,
        generate_cpf_cnpj,
        is_valid_cpf_cnpj,
        normalize_cpf_cnpj,
        parse_cpf_cnpj,
        suggest_cpf_cnpj,
    )
    from .dfe_key import (
        explain_dfe_key,
        format_dfe_key,
        generate_dfe_key,
        is_valid_dfe_key,
        normalize_dfe_key,
        parse_dfe_key,
        suggest_dfe_key,
    )
    from .errors import (
        BRValueError,
    )
    from .ibge_municipio import (
        explain_ibge_municipio,
        format_ibge_municipio,
        generate_ibge_municipio,
        is_valid_ibge_municipio,
        normalize_ibge_municipio,
        parse_ibge_municipio,
        suggest_ibge_municipio,
    )
    from .ie import (
        explain_ie,
        format_ie,
        generate_ie,
        ie_kind,
        is_valid_ie,
        normalize_ie,
        parse_ie,
        suggest_ie,
    )
    from .kind import (
        Kind,
    )
    from .patterns import (
        ARRECADACAO_PATTERN,
        BOLETO_PATTERN,
        BR_CODE_PATTERN,
        CAEPF_PATTERN,
        CEI_PATTERN,
        CEP_PATTERN,
        CERTIDAO_PATTERN,
        CNH_PATTERN,
        CNJ_PATTERN,
        CNO_PATTERN,
        CNPJ_NUMERIC_PATTERN,
        CNPJ_PATTERN,
        CNS_PATTERN,
        COMPE_PATTERN,
        CPF_CNPJ_PATTERN,
        CPF_PATTERN,
        DFE_KEY_PATTERN,
        IBGE_MUNICIPIO_PATTERN,
        IE_PATTERN,
        ISPB_PATTERN,
        PHONE_BR_PATTERN,
        PIS_PATTERN,
        PIX_KEY_PATTERN,
        PLATE_PATTERN,
        RENAVAM_PATTERN,
        SERVICE_PHONE_PATTERN,
        TITULO_ELEITOR_PATTERN,
    )
    from .phone import (
        explain_phone_br,
        format_phone_br,
        generate_phone_br,
        is_valid_phone_br,
        normalize_phone_br,
        parse_phone_br,
        suggest_phone_br,
        to_e164,
    )
    from .pis import (
        explain_pis,
        format_pis,
        generate_pis,
        is_valid_pis,
        normalize_pis,
        suggest_pis,
    )
    from .pix_key import (
        explain_pix_key,
        format_pix_key,
        generate_pix_key,
        is_valid_pix_key,
        normalize_pix_key,
        parse_pix_key,
        suggest_pix_key,
    )
    from .plate import (
        explain_plate,
        format_plate,
        generate_plate,
        is_valid_plate,
        normalize_plate,
        parse_plate,
        suggest_plate,
        to_mercosul,
    )
    from .pydantic import CAEPF as CAEPF
    from .pydantic import CEI as CEI
    from .pydantic import CEP as CEP
    from .pydantic import CNH as CNH
    from .pydantic import CNO as CNO
    from .pydantic import CNPJ as CNPJ
    from .pydantic import CNS as CNS
    from .pydantic import COMPE as COMPE
    from .pydantic import CPF as CPF
    from .pydantic import ISPB as ISPB
    from .pydantic import PIS as PIS
    from .pydantic import RENAVAM as RENAVAM
    from .pydantic import Arrecadacao as Arrecadacao
    from .pydantic import Boleto as Boleto
    from .pydantic import BRCode as BRCode
    from .pydantic import Certidao as Certidao
    from .pydantic import CNPJNumeric as CNPJNumeric
    from .pydantic import CPFOrCNPJ as CPFOrCNPJ
    from .pydantic import DFeKey as DFeKey
    from .pydantic import InscricaoEstadual as InscricaoEstadual
    from .pydantic import MunicipioIBGE as MunicipioIBGE
    from .pydantic import PhoneBR as PhoneBR
    from .pydantic import PixKey as PixKey
    from .pydantic import Plate as Plate
    from .pydantic import ProcessoCNJ as ProcessoCNJ
    from .pydantic import ServicePhoneBR as ServicePhoneBR
    from .pydantic import TituloEleitor as TituloEleitor
    from .registry import (
        KINDS,
    )
    from .renavam import (
        explain_renavam,
        format_renavam,
        generate_renavam,
        is_valid_renavam,
        normalize_renavam,
        suggest_renavam,
    )
    from .service_phone import (
        explain_service_phone,
        format_service_phone,
        generate_service_phone,
        is_valid_service_phone,
        normalize_service_phone,
        parse_service_phone,
        suggest_service_phone,
    )
    from .strictness import (
        Strictness,
    )
    from .titulo_eleitor import (
        explain_titulo_eleitor,
        format_titulo_eleitor,
        generate_titulo_eleitor,
        is_valid_titulo_eleitor,
        normalize_titulo_eleitor,
        parse_titulo_eleitor,
        suggest_titulo_eleitor,
    )

__all__ = [
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

_TYPES = (
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
)
"""Not in ``__all__``: a star import must work without Pydantic."""

_VERBS = ("is_valid", "normalize", "format", "generate", "explain", "suggest", "parse")
_MODULES = {  # of the kinds that have a module of another name
    "cei": "cno",
    "compe": "bank_code",
    "ispb": "bank_code",
    "phone_br": "phone",
}
_OTHERS = {
    "BRValueError": "errors",
    "KINDS": "registry",
    "Kind": "kind",
    "Strictness": "strictness",
    "Verdict": "batch",
    "build_br_code": "br_code",
    "due_factor": "boleto",
    "ie_kind": "ie",
    "only_alnum": "characters",
    "only_digits": "characters",
    "to_e164": "phone",
    "to_mercosul": "plate",
    "validate_many": "batch",
}


def __getattr__(name: str) -> object:
    """Import the module of ``name`` when that is first asked for (PEP 562)."""
    if name in _TYPES:
        value = _pydantic_type(name)
    elif name in __all__:
        home = f"{__name__}.{_module_of(name)}"
        __import__(home)  # importlib itself would take longer than most of these modules
        value = getattr(modules[home], name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def _module_of(name: str) -> str:
    if name in _OTHERS:
        return _OTHERS[name]
    if name.endswith("_PATTERN"):
        return "patterns"
    kind = next(name.removeprefix(f"{verb}_") for verb in _VERBS if name.startswith(f"{verb}_"))
    return _MODULES.get(kind, kind)


def _pydantic_type(name: str) -> object:
    try:
        from . import pydantic
    except ImportError as exc:
        import sys

        # `from … import CPF` drops the message of an AttributeError and makes up its own, so the
        # import system gets the ImportError; hasattr() and all others get an AttributeError
        asking = sys._getframe(2).f_code.co_name  # pyright: ignore[reportPrivateUsage]
        if exc.name != "pydantic" or asking == "_handle_fromlist":
            raise
        raise AttributeError(str(exc)) from exc
    return getattr(pydantic, name)


def __dir__() -> list[str]:
    from importlib.util import find_spec

    try:
        types = _TYPES if find_spec("pydantic_core") else ()
    except ImportError:  # a finder of somebody's forbids it
        types = ()
    return sorted({*globals(), *__all__, *types})
