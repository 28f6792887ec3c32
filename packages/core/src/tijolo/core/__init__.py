"""What every tijolo package shares: errors, schemas, settings, context, tokens, time."""

from __future__ import annotations

from tijolo.core._version import __version__
from tijolo.core.lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tijolo.core.clock import now_in, to_utc, utcnow
    from tijolo.core.context import (
        HTTP_500_MARKER,
        REQUEST_ID_HEADER,
        clear_request_id,
        clear_user_id,
        get_request_id,
        get_user_id,
        request_id_ctx,
        set_request_id,
        set_user_id,
        user_id_ctx,
    )
    from tijolo.core.dicts import modify_dict
    from tijolo.core.dto import require_dto
    from tijolo.core.enums import BaseIntEnum, BaseStrEnum
    from tijolo.core.exceptions import (
        AppException,
        BadRequestException,
        ConflictException,
        ExpiredTokenException,
        FileTooLargeException,
        ForbiddenException,
        InvalidFileTypeException,
        InvalidTokenException,
        NotFoundException,
        PreconditionFailedException,
        ServiceUnavailableException,
        TooManyRequestsException,
        UnauthorizedException,
        ValidationException,
    )
    from tijolo.core.extras import MissingExtraError
    from tijolo.core.ops_access import OpsAccess
    from tijolo.core.pagination import (
        BasePaginationFilterSchema,
        BasePaginationSchema,
        CursorPaginationFilterSchema,
        CursorPaginationSchema,
        decode_cursor,
        encode_cursor,
    )
    from tijolo.core.resources import Resource
    from tijolo.core.routes import UNMATCHED_ROUTE, route_template
    from tijolo.core.schemas import BaseDTO, BaseResponseSchema, BaseSchema, UTCDatetime
    from tijolo.core.settings import (
        BaseAppSettings,
        Environment,
        SigningKey,
        SigningSecret,
        UnfitSecretError,
    )
    from tijolo.core.tokens import generate_opaque_token, hash_opaque_token, verify_opaque_token

# A name brings its module, and what that imports, when it is first asked for.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "clock": "now_in to_utc utcnow",
        "context": (
            "HTTP_500_MARKER REQUEST_ID_HEADER clear_request_id clear_user_id get_request_id "
            "get_user_id request_id_ctx set_request_id set_user_id user_id_ctx"
        ),
        "dicts": "modify_dict",
        "dto": "require_dto",
        "enums": "BaseIntEnum BaseStrEnum",
        "exceptions": (
            "AppException BadRequestException ConflictException ExpiredTokenException "
            "FileTooLargeException ForbiddenException InvalidFileTypeException "
            "InvalidTokenException NotFoundException PreconditionFailedException "
            "ServiceUnavailableException TooManyRequestsException UnauthorizedException "
            "ValidationException"
        ),
        "extras": "MissingExtraError",
        "ops_access": "OpsAccess",
        "pagination": (
            "BasePaginationFilterSchema BasePaginationSchema CursorPaginationFilterSchema "
            "CursorPaginationSchema decode_cursor encode_cursor"
        ),
        "resources": "Resource",
        "routes": "UNMATCHED_ROUTE route_template",
        "schemas": "BaseDTO BaseResponseSchema BaseSchema UTCDatetime",
        "settings": "BaseAppSettings Environment SigningKey SigningSecret UnfitSecretError",
        "tokens": "generate_opaque_token hash_opaque_token verify_opaque_token",
    },
)

__all__ = [
    "HTTP_500_MARKER",
    "REQUEST_ID_HEADER",
    "UNMATCHED_ROUTE",
    "AppException",
    "BadRequestException",
    "BaseAppSettings",
    "BaseDTO",
    "BaseIntEnum",
    "BasePaginationFilterSchema",
    "BasePaginationSchema",
    "BaseResponseSchema",
    "BaseSchema",
    "BaseStrEnum",
    "ConflictException",
    "CursorPaginationFilterSchema",
    "CursorPaginationSchema",
    "Environment",
    "ExpiredTokenException",
    "FileTooLargeException",
    "ForbiddenException",
    "InvalidFileTypeException",
    "InvalidTokenException",
    "MissingExtraError",
    "NotFoundException",
    "OpsAccess",
    "PreconditionFailedException",
    "Resource",
    "ServiceUnavailableException",
    "SigningKey",
    "SigningSecret",
    "TooManyRequestsException",
    "UTCDatetime",
    "UnauthorizedException",
    "UnfitSecretError",
    "ValidationException",
    "__version__",
    "clear_request_id",
    "clear_user_id",
    "decode_cursor",
    "encode_cursor",
    "generate_opaque_token",
    "get_request_id",
    "get_user_id",
    "hash_opaque_token",
    "modify_dict",
    "now_in",
    "request_id_ctx",
    "require_dto",
    "route_template",
    "set_request_id",
    "set_user_id",
    "to_utc",
    "user_id_ctx",
    "utcnow",
    "verify_opaque_token",
]
