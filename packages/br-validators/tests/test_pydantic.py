import asyncio
import pickle
import re
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Body, FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

import tijolo.br_validators as br
from tijolo.br_validators import (
    CEP,
    CNPJ,
    CPF,
    KINDS,
    CNPJNumeric,
    CPFOrCNPJ,
    PhoneBR,
    Strictness,
    ie_kind,
)
from tijolo.br_validators.pydantic import Canonical

TYPES: dict[str, tuple[Any, str, str]] = {  # type, what is sent, what is stored
    "cpf": (CPF, "529.982.247-25", "52998224725"),
    "cnpj": (CNPJ, "12.ABC.345/01DE-35", "12ABC34501DE35"),
    "cnpj numeric": (CNPJNumeric, "11.222.333/0001-81", "11222333000181"),
    "cpf or cnpj": (CPFOrCNPJ, "00.000.000/E08G-12", "00000000E08G12"),
    "cep": (CEP, "01310-100", "01310100"),
    "phone": (PhoneBR, "+55 11 98888-7777", "11988887777"),
    "arrecadacao": (
        br.Arrecadacao,
        "84610000000-5 24610029110-2 00546033900-4 69589506108-0",
        "846100000005246100291102005460339004695895061080",
    ),
    "boleto": (
        br.Boleto,
        "00190.00009 01149.718601 68524.522114 6 75860000102656",
        "00190000090114971860168524522114675860000102656",
    ),
    "br code": (br.BRCode, KINDS["br_code"].examples[0], KINDS["br_code"].examples[0]),
    "caepf": (br.CAEPF, "293.118.610/001-84", "29311861000184"),
    "cei": (br.CEI, "27.729.71181/87", "277297118187"),
    "certidao": (
        br.Certidao,
        "104539 01 55 2013 1 00012 021 0000123 21",
        "10453901552013100012021000012321",
    ),
    "cnh": (br.CNH, "65821310502", "65821310502"),
    "cnj": (br.ProcessoCNJ, "0002080-25.2012.5.15.0049", "00020802520125150049"),
    "cno": (br.CNO, "11.583.00249/85", "115830024985"),
    "cns": (br.CNS, "100 0000 0006 0018", "100000000060018"),
    "compe": (br.COMPE, "341", "341"),
    "dfe key": (
        br.DFeKey,
        "3526 0812 ABC3 4501 DE35 5500 1000 0000 0111 5219 1428",
        "35260812ABC34501DE35550010000000011152191428",
    ),
    "municipio": (br.MunicipioIBGE, "3550308", "3550308"),
    "ie": (br.InscricaoEstadual, "110.042.490.114", "110042490114"),
    "ie of a state": (
        Annotated[str, Canonical(ie_kind("SP"))],
        "110.042.490.114",
        "110042490114",
    ),
    "ispb": (br.ISPB, "60701190", "60701190"),
    "pis": (br.PIS, "120.56874.10-7", "12056874107"),
    "pix key": (br.PixKey, "+55 (11) 98888-7777", "+5511988887777"),
    "plate": (br.Plate, "ABC-1234", "ABC1234"),
    "renavam": (br.RENAVAM, "00639884962", "00639884962"),
    "service phone": (br.ServicePhoneBR, "0800 123 4567", "08001234567"),
    "titulo": (br.TituloEleitor, "1627 4907 0141", "162749070141"),
}
each_type = pytest.mark.parametrize("name", TYPES)


def error_type(kind: Any, value: object) -> str:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    (error,) = caught.value.errors()
    assert "ctx" not in error
    return error["type"]


@each_type
def test_the_canonical_form_is_what_is_held(name: str) -> None:
    kind, sent, stored = TYPES[name]
    adapter = TypeAdapter(kind)

    assert adapter.validate_python(sent) == stored
    assert adapter.validate_json(f'"{sent}"') == stored
    assert adapter.validate_python(stored, strict=True) == stored
    assert adapter.dump_json(stored) == f'"{stored}"'.encode()


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (CPF, "52998224724", "cpf_checksum"),
        (CPF, "111.111.111-11", "cpf_reserved"),
        (CPF, "５２９９８２２４７２５", "cpf_characters"),
        (CPF, "5.2.9.98224725", "cpf_separators"),
        (CPF, "", "cpf_length"),
        (CNPJ, "12.ABC.345/01DE-36", "cnpj_checksum"),
        (CNPJ, "12abc34501de35", "cnpj_characters"),
        (CNPJNumeric, "12ABC34501DE35", "cnpj_letters"),
        (CPFOrCNPJ, "52998224724", "cpf_checksum"),
        (CPFOrCNPJ, "12ABC34501DE36", "cnpj_checksum"),
        (CPFOrCNPJ, "123", "cpf_cnpj_length"),
        (CEP, "1310100", "cep_length"),
        (PhoneBR, "23988887777", "phone_br_area_code"),
        (PhoneBR, "+1 212 555 0123", "phone_br_country"),
        (CPF, 52998224725, "string_type"),
        (CPF, None, "string_type"),
    ],
    ids=lambda value: ascii(value) if isinstance(value, str) else None,
)
def test_errors_have_stable_types(kind: Any, value: object, expected: str) -> None:
    assert error_type(kind, value) == expected


def test_the_error_adds_no_copy_of_the_number_to_pydantics_input() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(CPF).validate_python("52998224724")
    (error,) = caught.value.errors(include_input=False, include_url=False)
    assert "52998224724" not in str(error)
    assert error["msg"] == (
        "Not a valid CPF: its check digits do not match; "
        "expected the last two digits to follow from the first nine."
    )

    class Discreet(BaseModel):
        model_config = ConfigDict(hide_input_in_errors=True)
        cpf: CPF

    with pytest.raises(ValidationError) as hidden:
        Discreet(cpf="52998224724")
    assert "52998224724" not in f"{hidden.value} {hidden.value!r}"
    assert hidden.value.errors()[0]["input"] == "52998224724"  # what README warns of
    assert "52998224724" not in str(hidden.value.errors(include_input=False))


@each_type
def test_bytes_are_for_lax_mode_as_with_str(name: str) -> None:
    kind, sent, stored = TYPES[name]
    assert TypeAdapter(kind).validate_python(sent.encode()) == stored
    with pytest.raises(ValidationError, match="string_type"):
        TypeAdapter(kind).validate_python(sent.encode(), strict=True)


@each_type
def test_json_schema_says_what_is_accepted_and_what_is_returned(name: str) -> None:
    kind, sent, stored = TYPES[name]
    accepted = TypeAdapter(kind).json_schema(mode="validation")
    returned = TypeAdapter(kind).json_schema(mode="serialization")
    for schema in (accepted, returned):
        assert schema["type"] == "string"
        assert schema["format"] in {kind.name.replace("_", "-") for kind in KINDS.values()}
        assert schema["pattern"].isascii()
        examples = schema.get("examples", [])
        assert all(re.fullmatch(schema["pattern"], example) for example in examples)
        assert all(TypeAdapter(kind).validate_python(example) for example in examples)
        assert re.fullmatch(schema["pattern"], stored)

    assert re.fullmatch(accepted["pattern"], sent)
    assert sent == stored or not re.fullmatch(returned["pattern"], sent)


@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_json_schema_bounds_what_its_pattern_does_not(mode: Any) -> None:
    schema = TypeAdapter(br.PixKey).json_schema(mode=mode)
    assert schema["maxLength"] == 77
    longest = "a" * 68 + "@bcb.dev."
    assert len(longest + "b") == 78
    assert re.fullmatch(schema["pattern"], longest + "b")
    with pytest.raises(ValidationError):
        TypeAdapter(br.PixKey).validate_python(longest + "b")
    accepted = longest[1:] + "b"
    assert TypeAdapter(br.PixKey).validate_python(accepted) == accepted
    assert "maxLength" not in TypeAdapter(br.CPF).json_schema(mode=mode)


def test_a_field_keeps_its_own_description_and_the_pattern() -> None:
    class Customer(BaseModel):
        document: Annotated[CPFOrCNPJ, Field(description="who pays")]
        phone: PhoneBR | None = None

    schema = Customer.model_json_schema()["properties"]
    assert schema["document"]["description"] == "who pays"
    assert schema["document"]["pattern"].startswith("^(?:")
    assert schema["phone"]["anyOf"][0]["format"] == "phone-br"
    assert Customer(document="529.982.247-25").document == "52998224725"


@each_type
def test_what_a_field_says_of_its_schema_stays(name: str) -> None:
    kind, sent, stored = TYPES[name]
    own = Field(json_schema_extra={"pattern": "^own$", "format": "own", "examples": ["own"]})
    for annotated in (Annotated[kind, own], Annotated[str, own, *kind.__metadata__]):
        for mode in ("validation", "serialization"):
            schema = TypeAdapter(annotated).json_schema(mode=mode)
            published = schema["pattern"], schema["format"], schema.get("examples")
            assert published == ("^own$", "own", ["own"])
        assert TypeAdapter(annotated).validate_python(sent) == stored


@each_type
def test_an_adapter_survives_a_pickle(name: str) -> None:
    kind, sent, stored = TYPES[name]
    adapter = pickle.loads(pickle.dumps(TypeAdapter(kind)))
    assert adapter.validate_python(sent) == stored


def test_a_strictness_of_another_type_is_refused_at_once() -> None:
    for strictness in ("lenient", None):
        with pytest.raises(TypeError, match="strictness must be a Strictness"):
            Canonical("cpf", strictness=strictness)  # type: ignore[arg-type]


def test_an_unknown_kind_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="unknown kind 'rg'; expected one of arrecadacao, "):
        Canonical("rg")


def test_every_kind_has_a_type_and_every_pattern_runs_in_rust() -> None:
    from tijolo.br_validators import pydantic as types

    held = {
        annotation.kind.key
        for name in dir(types)
        for annotation in getattr(getattr(types, name), "__metadata__", ())
    }
    assert held == set(KINDS)
    for kind in KINDS.values():
        for pattern in (kind.pattern, kind.canonical_pattern):
            engine: TypeAdapter[str] = TypeAdapter(Annotated[str, Field(pattern=pattern)])
            canonical = kind.normalize(kind.examples[0])
            assert engine.validate_python(canonical) == canonical


def test_a_standard_dataclass_is_validated_alike() -> None:
    @dataclass
    class Address:
        cep: CEP

    assert TypeAdapter(Address).validate_python({"cep": "01310-100"}) == Address("01310100")


def test_lenient_by_choice() -> None:
    lenient = Annotated[str, Canonical("cpf", strictness=Strictness.LENIENT)]
    assert TypeAdapter(lenient).validate_python(" 529 982 247 25\n") == "52998224725"
    assert error_type(lenient, "529 982 247 24") == "cpf_checksum"
    assert "pattern" not in TypeAdapter(lenient).json_schema()
    assert TypeAdapter(lenient).json_schema(mode="serialization")["pattern"] == "^[0-9]{11}$"
    again = pickle.loads(pickle.dumps(TypeAdapter(lenient)))
    assert again.validate_python(" 529 982 247 25\n") == "52998224725"


def application() -> FastAPI:
    app = FastAPI()

    class Customer(BaseModel):
        document: CPFOrCNPJ
        cep: CEP

    @app.get("/people/{cpf}")
    async def person(cpf: CPF) -> str:
        return cpf

    @app.get("/companies/{cnpj:path}")
    async def company(cnpj: CNPJ) -> str:
        return cnpj

    @app.get("/phones")
    async def phones(phone: Annotated[list[PhoneBR], Query()]) -> list[str]:
        return phone

    @app.post("/customers")
    async def customer(customer: Annotated[Customer, Body()]) -> Customer:
        return customer

    return app


def ask(method: str, path: str, **options: Any) -> httpx.Response:
    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(app=application())
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **options)

    return asyncio.run(call())


def test_fastapi_path_query_and_body_hold_the_canonical_form() -> None:
    assert ask("GET", "/people/529.982.247-25").json() == "52998224725"
    assert ask("GET", "/companies/12.ABC.345/01DE-35").json() == "12ABC34501DE35"
    phones = ask("GET", "/phones", params={"phone": ["(11) 98888-7777", "+551133334444"]})
    assert phones.json() == ["11988887777", "1133334444"]
    body = {"document": "12.ABC.345/01DE-35", "cep": "01310-100"}
    answer = ask("POST", "/customers", json=body)
    assert answer.json() == {"document": "12ABC34501DE35", "cep": "01310100"}


@pytest.mark.parametrize(
    ("method", "path", "options", "where", "code"),
    [
        ("GET", "/people/52998224724", {}, ["path", "cpf"], "cpf_checksum"),
        ("GET", "/people/５２９９８２２４７２５", {}, ["path", "cpf"], "cpf_characters"),
        (
            "GET",
            "/phones",
            {"params": {"phone": ["23988887777"]}},
            ["query", "phone", 0],
            "phone_br_area_code",
        ),
        (
            "POST",
            "/customers",
            {"json": {"document": "12.ABC.345/01DE-36", "cep": "01310100"}},
            ["body", "document"],
            "cnpj_checksum",
        ),
    ],
    ids=["path", "look-alikes", "query", "body"],
)
def test_fastapi_answers_422_that_names_the_field(
    method: str, path: str, options: dict[str, Any], where: list[Any], code: str
) -> None:
    answer = ask(method, path, **options)
    assert answer.status_code == 422
    (error,) = answer.json()["detail"]
    assert (error["loc"], error["type"]) == (where, code)


def test_openapi_documents_requests_and_responses_apart() -> None:
    document = application().openapi()
    parameter = document["paths"]["/people/{cpf}"]["get"]["parameters"][0]["schema"]
    assert parameter["pattern"] == r"^[0-9]{3}\.?[0-9]{3}\.?[0-9]{3}-?[0-9]{2}$"
    assert parameter["format"] == "cpf"
    schemas = document["components"]["schemas"]
    patterns = {
        name: schema["properties"]["cep"]["pattern"]
        for name, schema in schemas.items()
        if name.startswith("Customer")
    }
    assert patterns == {"Customer-Input": "^[0-9]{5}-?[0-9]{3}$", "Customer-Output": "^[0-9]{8}$"}
