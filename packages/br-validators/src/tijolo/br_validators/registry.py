"""Every kind by its name, for generic code; a kind is imported when it is first asked for."""

from __future__ import annotations

from sys import modules

from ._states import BY_IBGE
from .kind import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import ItemsView, Iterator, KeysView, ValuesView

_HOMES: dict[str, tuple[str, str]] = {  # module, name in it
    "arrecadacao": ("arrecadacao", "KIND"),
    "boleto": ("boleto", "KIND"),
    "br_code": ("br_code", "KIND"),
    "caepf": ("caepf", "KIND"),
    "cei": ("cno", "CEI"),
    "cep": ("cep", "KIND"),
    "certidao": ("certidao", "KIND"),
    "cnh": ("cnh", "KIND"),
    "cnj": ("cnj", "KIND"),
    "cno": ("cno", "KIND"),
    "cnpj": ("cnpj", "KIND"),
    "cnpj_numeric": ("cnpj", "NUMERIC"),
    "cns": ("cns", "KIND"),
    "compe": ("bank_code", "KIND"),
    "cpf": ("cpf", "KIND"),
    "cpf_cnpj": ("cpf_cnpj", "KIND"),
    "dfe_key": ("dfe_key", "KIND"),
    "ibge_municipio": ("ibge_municipio", "KIND"),
    "ie": ("ie", "KIND"),
    "ispb": ("bank_code", "ISPB"),
    "phone_br": ("phone", "KIND"),
    "pis": ("pis", "KIND"),
    "pix_key": ("pix_key", "KIND"),
    "plate": ("plate", "KIND"),
    "renavam": ("renavam", "KIND"),
    "service_phone": ("service_phone", "KIND"),
    "titulo_eleitor": ("titulo_eleitor", "KIND"),
}
_IE = frozenset([f"ie_{state.lower()}" for state in BY_IBGE.values()])


class Kinds:
    """A read-only mapping of name to ``Kind``: ``KINDS["cpf"].is_valid("529.982.247-25")``.

    The state registrations of one state are there too, as ``ie_sp`` and so on, but not counted.
    """

    # not a Mapping of collections.abc: importing that would take longer than this package
    __slots__ = ()

    def __getitem__(self, name: str) -> Kind:
        if name in _IE:
            from .ie import ie_kind

            return ie_kind(name[3:].upper())
        try:
            module, attribute = _HOMES[name]
        except KeyError:
            known = ", ".join(_HOMES)
            raise KeyError(f"unknown kind {name!r}; expected one of {known}") from None

        home = f"{__package__}.{module}"
        __import__(home)
        kind: Kind = getattr(modules[home], attribute)
        return kind

    def __iter__(self) -> Iterator[str]:
        return iter(_HOMES)

    def __len__(self) -> int:
        return len(_HOMES)

    def __contains__(self, name: object) -> bool:
        return name in _HOMES or name in _IE

    def keys(self) -> KeysView[str]:
        """The names."""
        return _HOMES.keys()

    def values(self) -> ValuesView[Kind]:
        """The kinds, all imported."""
        return {name: self[name] for name in self}.values()

    def items(self) -> ItemsView[str, Kind]:
        """Names and kinds, all imported."""
        return {name: self[name] for name in self}.items()


KINDS = Kinds()
"""Every kind by its name."""
