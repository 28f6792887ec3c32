"""What the errors and explanations say, in English and in Portuguese."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    Text = tuple[str, str]
    """English, Portuguese."""

LABELS: dict[str, Text] = {
    "arrecadacao": ("collection slip (arrecadação)", "guia de arrecadação"),
    "boleto": ("boleto", "boleto"),
    "br_code": ("BR Code", "BR Code"),
    "caepf": ("CAEPF", "CAEPF"),
    "cei": ("CEI", "CEI"),
    "cep": ("CEP", "CEP"),
    "certidao": ("civil registry number", "matrícula de certidão"),
    "cnh": ("CNH", "CNH"),
    "cnj": ("court case number", "número de processo"),
    "cno": ("CNO", "CNO"),
    "cnpj": ("CNPJ", "CNPJ"),
    "cns": ("CNS", "CNS"),
    "compe": ("bank code", "código de banco"),
    "cpf": ("CPF", "CPF"),
    "cpf_cnpj": ("CPF or CNPJ", "CPF ou CNPJ"),
    "dfe_key": ("DF-e access key", "chave de acesso de DF-e"),
    "ibge_municipio": ("IBGE municipality code", "código de município do IBGE"),
    "ie": ("state registration", "inscrição estadual"),
    "ispb": ("ISPB", "ISPB"),
    "phone_br": ("Brazilian phone number", "telefone brasileiro"),
    "pis": ("PIS/NIS", "PIS/NIS"),
    "pix_key": ("PIX key", "chave PIX"),
    "plate": ("licence plate", "placa de veículo"),
    "renavam": ("RENAVAM", "RENAVAM"),
    "service_phone": ("service phone number", "telefone de serviço"),
    "titulo_eleitor": ("título de eleitor", "título de eleitor"),
}

BROKEN: dict[str, Text] = {
    "type": ("it is not a string", "não é um texto"),
    "length": ("it has the wrong length", "o tamanho está errado"),
    "characters": (
        "it has characters that do not belong there",
        "há caracteres que não cabem ali",
    ),
    "separators": (
        "its separators are not in their places",
        "os separadores estão fora do lugar",
    ),
    "letters": ("it has letters", "há letras"),
    "reserved": ("it is a number that is never issued", "é um número que nunca é emitido"),
    "checksum": ("its check digits do not match", "os dígitos verificadores não conferem"),
    "country": ("its country code is not 55", "o código do país não é 55"),
    "area_code": ("its area code (DDD) does not exist", "o DDD não existe"),
    "subscriber": (
        "it is neither a mobile nor a landline number",
        "não é celular nem telefone fixo",
    ),
    "state": ("its state code does not exist", "o código da UF não existe"),
    "prefix": ("it begins with digits that are not in use", "o início não está em uso"),
    "court": ("its court does not exist", "o tribunal não existe"),
    "segment": ("its segment does not exist", "o segmento não existe"),
    "product": ("it is another kind of slip", "é outro tipo de documento"),
    "value_kind": ("its kind of value does not exist", "o identificador de valor não existe"),
    "month": ("its month does not exist", "o mês não existe"),
    "model": ("its document model does not exist", "o modelo de documento não existe"),
    "number": ("its document number is zero", "o número do documento é zero"),
    "issuer": ("its issuer is not a CNPJ or CPF", "o emitente não é um CNPJ ou CPF"),
    "service": ("its service code is not 55", "o código do serviço não é 55"),
    "book": ("its type of book does not exist", "o tipo de livro não existe"),
    "structure": ("its fields cannot be read", "os campos não podem ser lidos"),
    "form": ("it has the form of no key", "não tem a forma de nenhuma chave"),
    "account": ("it has no PIX account", "não há uma conta PIX"),
    "key": ("its PIX key is not valid", "a chave PIX não é válida"),
}

TYPE: Text = ("a str", "um texto (str)")
CHECKSUM: Text = (
    "check digits that follow from the other characters",
    "dígitos verificadores que resultem dos outros caracteres",
)
NOT_REPEATED: Text = (
    "digits that are not all the same",
    "dígitos que não sejam todos iguais",
)


def label(kind: str) -> Text:
    """What the kind is called; its own name in capitals where it is not one of ours."""
    return LABELS.get(kind, (kind.upper(), kind.upper()))


def broken(rule: str) -> Text:
    """What is wrong when ``rule`` is broken."""
    return BROKEN.get(rule, (f"it breaks the rule {rule!r}", f"não atende à regra {rule!r}"))
