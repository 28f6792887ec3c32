from __future__ import annotations

import base64
import contextlib
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ConfigDict, Field, Secret, SecretStr, StringConstraints, ValidationError
from typing_extensions import TypedDict

from tijolo.core import (
    BadRequestException,
    BaseDTO,
    BaseIntEnum,
    BasePaginationFilterSchema,
    BasePaginationSchema,
    BaseResponseSchema,
    BaseSchema,
    BaseStrEnum,
    CursorPaginationFilterSchema,
    CursorPaginationSchema,
    UTCDatetime,
    decode_cursor,
    encode_cursor,
    modify_dict,
    require_dto,
)


class Colour(BaseStrEnum):
    RED = "red"
    BLUE = "blue"


class Level(BaseIntEnum):
    LOW = 1


class Login(BaseSchema):
    email: str
    password: SecretStr
    old: SecretStr | None = None
    many: list[SecretStr] = Field(default_factory=list)


def test_strings_are_stripped_and_secrets_are_not():
    login = Login(email=" ana ", password=" p w ", old="\tx\n", many=[" y "])

    assert login.email == "ana"
    assert login.password.get_secret_value() == " p w "
    assert login.old is not None
    assert login.old.get_secret_value() == "\tx\n"
    assert login.many[0].get_secret_value() == " y "


def test_secrets_of_nested_schemas_from_json_are_not_stripped():
    class Outer(BaseSchema):
        logins: dict[str, Login]

    outer = Outer.model_validate_json('{"logins": {"a": {"email": " e ", "password": " p "}}}')

    assert outer.logins["a"].email == "e"
    assert outer.logins["a"].password.get_secret_value() == " p "


class LoginDict(TypedDict):
    name: str
    password: SecretStr


@dataclass
class LoginData:
    name: str
    password: SecretStr


class Wrapped(Secret[str]):
    pass


def test_secrets_behind_a_reference_are_not_stripped():
    class Odd(BaseSchema):
        typed: LoginDict
        data: LoginData
        wrapped: Wrapped
        generic: Secret[str]
        union: SecretStr | int

    sent = {"name": " n ", "password": " p "}
    odd = Odd(typed=sent, data=sent, wrapped=" p ", generic=" p ", union=" p ")

    assert (odd.typed["name"], odd.data.name) == ("n", "n")
    secrets = (odd.typed["password"], odd.data.password, odd.wrapped, odd.generic, odd.union)
    assert [secret.get_secret_value() for secret in secrets] == [" p "] * 5


def test_stripping_can_be_turned_off_and_is_off_for_a_field_that_says_so():
    class Verbatim(BaseSchema):
        model_config = ConfigDict(str_strip_whitespace=False)
        text: str

    class Mixed(BaseSchema):
        text: Annotated[str, StringConstraints(strip_whitespace=False)]
        other: str

    assert Verbatim(text=" x ").text == " x "
    assert (Mixed(text=" x ", other=" y ").text, Mixed(text=" x ", other=" y ").other) == (
        " x ",
        "y",
    )


def test_a_schema_that_contains_itself_is_stripped_and_keeps_its_secrets():
    class Node(BaseSchema):
        name: str
        key: SecretStr
        child: Node | None = None

    globals()["Node"] = Node
    Node.model_rebuild()
    node = Node(name=" a ", key=" k ", child={"name": " b ", "key": " k "})

    assert node.child is not None
    assert (node.name, node.child.name) == ("a", "b")
    assert node.child.key.get_secret_value() == " k "


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+03:00", "9999-12-31T23:59:59-03:00"])
def test_a_moment_beyond_the_calendar_is_refused(moment):
    class Event(BaseSchema):
        at: UTCDatetime

    with pytest.raises(ValidationError, match="no date in UTC"):
        Event(at=moment)


@given(st.text())
def test_a_password_is_exactly_what_was_sent(password):
    assert Login(email="e", password=password).password.get_secret_value() == password


def test_a_secret_is_in_no_repr_and_no_validation_error():
    with pytest.raises(ValidationError) as caught:
        Login(email=3, password=["hunter2"])

    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(Login(email="e", password="hunter2"))


def test_assignment_is_validated_and_unknown_fields_ignored():
    login = Login(email="a", password="b", unknown=1)

    with pytest.raises(ValidationError):
        login.email = 3
    assert not hasattr(login, "unknown")


def test_a_dto_refuses_fields_it_does_not_know_and_keeps_secrets():
    class CreateUser(BaseDTO):
        password: SecretStr

    with pytest.raises(ValidationError, match="Extra inputs"):
        CreateUser(password="x", is_admin=True)
    assert CreateUser(password=" x ").password.get_secret_value() == " x "


def test_enum_fields_hold_plain_values():
    class Car(BaseSchema):
        colour: Colour

    assert Car(colour="red").colour == "red"
    assert type(Car(colour=Colour.BLUE).colour) is str


def test_to_dict_drops_none_and_applies_exclude_and_include():
    login = Login(email="a", password="b")

    assert login.to_dict(exclude=["password", "many"], include={"x": 1}) == {"email": "a", "x": 1}


def test_to_json_masks_secrets():
    assert '"password":"**********"' in Login(email="a", password="b").to_json()


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 1, 2, 3, 4),  # noqa: DTZ001 - what a driver without time zones returns
        datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        datetime(2026, 1, 2, 0, 4, tzinfo=timezone(timedelta(hours=-3))),
    ],
)
def test_response_times_are_utc_whatever_the_driver_returned(moment):
    row = BaseResponseSchema(id=uuid.uuid4(), is_active=True, created_at=moment, updated_at=moment)

    assert row.created_at == datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    assert row.created_at.tzinfo is UTC
    assert '"created_at":"2026-01-02T03:04:00Z"' in row.to_json()


def test_enumerations_list_themselves():
    assert Colour.values() == ["red", "blue"]
    assert Colour.keys() == ["RED", "BLUE"]
    assert Level.to_dict() == {"LOW": 1}
    assert f"{Colour.RED}" == "red"
    assert Level.LOW + 1 == 2


@pytest.mark.parametrize(
    "bad",
    [
        {"page": 0},
        {"page": -1},
        {"page": 10**30},
        {"page_size": 0},
        {"page_size": 101},
        {"page_size": 10**30},
        {"page": "x"},
        {"order_by": "x" * 201},
    ],
)
def test_a_page_out_of_bounds_is_refused_naming_the_field(bad):
    with pytest.raises(ValidationError) as caught:
        BasePaginationFilterSchema(**bad)

    assert caught.value.errors()[0]["loc"] == (next(iter(bad)),)


def test_the_cap_of_a_page_is_the_subclass_choice():
    class Big(BasePaginationFilterSchema):
        page_size: int = Field(default=50, ge=1, le=1000)
        name: str | None = None

    big = Big(page_size=1000, name="x", is_active=False)

    assert big.get_conditions() == {"name": "x", "is_active": False}


def test_the_cap_of_a_page_is_in_the_json_schema():
    properties = BasePaginationFilterSchema.model_json_schema()["properties"]

    assert properties["page_size"]["maximum"] == 100


@pytest.mark.parametrize("limit", [0, 501, -1, 10**30])
def test_a_cursor_limit_out_of_bounds_is_refused(limit):
    with pytest.raises(ValidationError):
        CursorPaginationFilterSchema(limit=limit)


def test_cursor_conditions_leave_paging_out():
    class Filter(CursorPaginationFilterSchema):
        status: str | None = None

    assert Filter(cursor="abc", status="open").get_conditions() == {"status": "open"}


def test_envelopes_are_generic():
    page = BasePaginationSchema[int](items=[1], total=1, page=1, page_size=20, pages=1)
    walk = CursorPaginationSchema[int](items=[1], limit=20)

    assert page.total == 1
    assert walk.next_cursor is None
    with pytest.raises(ValidationError):
        BasePaginationSchema[int](items=["x"], total=1, page=1, page_size=20, pages=1)


def test_a_cursor_comes_back_as_it_went():
    key = uuid.uuid4()
    payload = {"id": key, "at": datetime(2026, 1, 1, tzinfo=UTC), "d": date(2026, 1, 1)}
    payload |= {"n": Decimal("1.10"), "t": None, "i": 3}

    assert decode_cursor(encode_cursor(payload)) == {
        "id": str(key),
        "at": "2026-01-01T00:00:00+00:00",
        "d": "2026-01-01",
        "n": "1.10",
        "t": None,
        "i": 3,
    }


_few = st.text(max_size=12)  # what fits in a cursor: 12 is up to 144 characters of JSON


@given(st.dictionaries(_few, st.none() | st.booleans() | st.integers() | _few, max_size=8))
def test_any_json_payload_survives_a_cursor(payload):
    assert decode_cursor(encode_cursor(payload)) == payload


@given(st.text() | st.text(alphabet="ABCabc123-_=", max_size=40))
def test_what_is_not_a_cursor_is_a_400_and_nothing_else(text):
    with contextlib.suppress(BadRequestException):
        assert isinstance(decode_cursor(text), dict)


def test_huge_and_deep_cursors_are_a_400():
    for text in ("A" * 10**6, encode_cursor({"a": 1}) + "!", "W1tb" * 1000, "é"):
        with pytest.raises(BadRequestException) as caught:
            decode_cursor(text)
        assert caught.value.code == "INVALID_CURSOR"
        assert text not in str(caught.value)


def test_a_cursor_refuses_what_it_could_not_give_back():
    with pytest.raises(TypeError, match="cannot carry a set"):
        encode_cursor({"a": {1}})
    with pytest.raises(ValueError, match="Out of range float"):
        encode_cursor({"a": float("nan")})
    with pytest.raises(ValueError, match="4096 fit"):
        encode_cursor({"a": "x" * 4000})


def test_a_cursor_with_what_json_does_not_have_is_a_400():
    for text in ('{"a": NaN}', '{"a": Infinity}'):
        with pytest.raises(BadRequestException):
            decode_cursor(base64.urlsafe_b64encode(text.encode()).decode())


class CreateUser(BaseDTO):
    name: str


class Service:
    @require_dto(CreateUser)
    async def create(self, data: CreateUser) -> str:
        return data.name

    @require_dto(CreateUser, Login)
    def touch(self, times: int, body: BaseSchema) -> int:
        return times


async def test_require_dto_lets_the_declared_type_through():
    assert await Service().create(CreateUser(name="ana")) == "ana"
    assert await Service().create(data=CreateUser(name="ana")) == "ana"
    assert Service().touch(2, Login(email="a", password="b")) == 2


async def test_require_dto_refuses_another_type_without_showing_the_value():
    with pytest.raises(TypeError) as caught:
        await Service().create({"name": "hunter2"})

    assert "Service.create needs 'data' to be CreateUser, got dict" in str(caught.value)
    with pytest.raises(TypeError, match="CreateUser or Login"):
        Service().touch(1, body=None)


def test_require_dto_needs_types_and_a_parameter():
    with pytest.raises(TypeError, match="at least one class"):
        require_dto()
    with pytest.raises(TypeError, match="no parameter"):
        require_dto(CreateUser)(lambda: None)


def test_modify_dict_leaves_the_original_alone():
    data = {"a": 1, "b": 2}

    assert modify_dict(data, exclude=["a"], include={"c": 3}) == {"b": 2, "c": 3}
    assert modify_dict(data, exclude=["a"], include={"a": 9}) == {"a": 9, "b": 2}
    assert data == {"a": 1, "b": 2}
