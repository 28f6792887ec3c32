"""The shapes as compiled regular expressions: what may be written, not whether it is valid.

Every pattern is anchored and names its characters (``[0-9]``, never ``\\d``, which matches digits
of all alphabets in Python and Rust), so that its ``.pattern`` means the same in Python, in Rust's
regex (Pydantic) and in ECMA-262 (JSON schema). In Python use ``fullmatch``: there, ``$`` alone
would also match before a final newline.
"""

from __future__ import annotations

import re
from typing import Final

from . import cep, cnpj, cpf, cpf_cnpj, phone

CEP_PATTERN: Final[re.Pattern[str]] = re.compile(cep.PATTERN)
CNPJ_PATTERN: Final[re.Pattern[str]] = re.compile(cnpj.PATTERN)
CPF_CNPJ_PATTERN: Final[re.Pattern[str]] = re.compile(cpf_cnpj.PATTERN)
CPF_PATTERN: Final[re.Pattern[str]] = re.compile(cpf.PATTERN)
PHONE_BR_PATTERN: Final[re.Pattern[str]] = re.compile(phone.PATTERN)
