"""The shapes as compiled regular expressions: what may be written, not whether it is valid.

Every pattern is anchored and names its characters (``[0-9]``, never ``\\d``, which matches digits
of all alphabets in Python and Rust), so that its ``.pattern`` means the same in Python, in Rust's
regex (Pydantic) and in ECMA-262 (JSON schema). In Python use ``fullmatch``: there, ``$`` alone
would also match before a final newline. Each is compiled when it is first asked for.
"""

from __future__ import annotations

import re

from .registry import KINDS

ARRECADACAO_PATTERN: re.Pattern[str]
BOLETO_PATTERN: re.Pattern[str]
BR_CODE_PATTERN: re.Pattern[str]
CAEPF_PATTERN: re.Pattern[str]
CEI_PATTERN: re.Pattern[str]
CEP_PATTERN: re.Pattern[str]
CERTIDAO_PATTERN: re.Pattern[str]
CNH_PATTERN: re.Pattern[str]
CNJ_PATTERN: re.Pattern[str]
CNO_PATTERN: re.Pattern[str]
CNPJ_NUMERIC_PATTERN: re.Pattern[str]
CNPJ_PATTERN: re.Pattern[str]
CNS_PATTERN: re.Pattern[str]
COMPE_PATTERN: re.Pattern[str]
CPF_CNPJ_PATTERN: re.Pattern[str]
CPF_PATTERN: re.Pattern[str]
DFE_KEY_PATTERN: re.Pattern[str]
IBGE_MUNICIPIO_PATTERN: re.Pattern[str]
IE_PATTERN: re.Pattern[str]
ISPB_PATTERN: re.Pattern[str]
PHONE_BR_PATTERN: re.Pattern[str]
PIS_PATTERN: re.Pattern[str]
PIX_KEY_PATTERN: re.Pattern[str]
PLATE_PATTERN: re.Pattern[str]
RENAVAM_PATTERN: re.Pattern[str]
SERVICE_PHONE_PATTERN: re.Pattern[str]
TITULO_ELEITOR_PATTERN: re.Pattern[str]


def __getattr__(name: str) -> re.Pattern[str]:
    kind = name.removesuffix("_PATTERN").lower()
    if kind not in KINDS or name != f"{kind.upper()}_PATTERN":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    compiled = globals()[name] = re.compile(KINDS[kind].pattern)
    return compiled


def __dir__() -> list[str]:
    return sorted([*globals(), *[f"{kind.upper()}_PATTERN" for kind in KINDS]])
