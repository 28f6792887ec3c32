"""Pages that the links of e-mails lead to, for services without a front end (extra ``pages``).

A link carries its token in the fragment, which no browser sends: it is in no access log, in no
``Referer``, and a scanner that opens the link uses nothing up. The page's script puts it into the
form, and only what a person sends by the button is consumed. Without scripts, the link itself is
pasted into the form.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from tijolo.auth.forms import InvalidFormException, read_form
from tijolo.auth.password_policy import WeakPasswordException
from tijolo.auth.throttle import LoginThrottle
from tijolo.auth.user_settings import LINKS
from tijolo.auth.users.errors import EmailTakenException, OneTimeTokenException
from tijolo.auth.users.locales import localised_names, wanted_locale
from tijolo.auth.users.no_store import NoStoreRoute
from tijolo.auth.users.service import UserAuthService
from tijolo.core import AppException, FileTooLargeException, MissingExtraError
from tijolo.web import csrf_protects

try:
    from tijolo.web.templates import Templates
except MissingExtraError as exc:
    raise MissingExtraError("tijolo-auth", "pages", "jinja2") from exc

_BUNDLED = Path(__file__).parent / "page_templates"
_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none';"
    " img-src 'self'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'"
)
_HEADERS = {"Referrer-Policy": "no-referrer"}
_MOST_TOKEN_CHARACTERS = 4096
_REFUSED = (
    OneTimeTokenException,
    EmailTakenException,
    InvalidFormException,
    FileTooLargeException,
)

Act = Callable[[AsyncSession, str, str], Awaitable[object]]


@dataclass(frozen=True, kw_only=True)
class _Page:
    """One link's page: what it shows before and after, and what its form does."""

    path: str
    name: str
    form: str
    success: str
    error: str
    act: Act
    fields: tuple[str, ...] = ("token",)


def make_auth_pages_router(
    service: UserAuthService,
    *,
    name: str = "",
    template_dir: str | Path | None = None,
    logins: LoginThrottle | None = None,
) -> APIRouter:
    """The pages ``/activate``, ``/reset-password`` and ``/confirm-email``.

    Args:
        service: Does the work, in transactions of its ``db``.
        name: Keeps the names of the routes apart, where a service has several such routers.
        template_dir: Templates that go before ours of the same name; ``activation_form.pt.html``
            goes before ``activation_form.html`` for who reads Portuguese.
        logins: Forgets the failures of an account whose password was reset.

    Raises:
        ValueError: A link of the settings has its token elsewhere than in the fragment.
    """
    _refuse_logged_tokens(service)
    shown = _Shown(service, template_dir)
    router = APIRouter(route_class=NoStoreRoute)
    for page in _pages(service, name.strip("/").replace("/", "-"), logins):
        _add(router, service, shown, page)
    return router


def _pages(service: UserAuthService, name: str, logins: LoginThrottle | None) -> list[_Page]:
    settings = service.auth_settings

    async def activate(session: AsyncSession, token: str, _: str) -> None:
        await service.activate(session, token=token)

    async def reset(session: AsyncSession, token: str, password: str) -> None:
        new = SecretStr(password)
        user = await service.confirm_password_reset(session, token=token, new_password=new)
        if logins is not None:
            await logins.reset(user.email)

    async def confirm(session: AsyncSession, token: str, _: str) -> None:
        await service.confirm_email_change(session, token=token)

    return [
        _Page(
            path="/activate",
            name=f"{name}-activate-page",
            form=settings.AUTH_ACTIVATION_FORM_TEMPLATE,
            success=settings.AUTH_ACTIVATION_SUCCESS_TEMPLATE,
            error=settings.AUTH_ACTIVATION_ERROR_TEMPLATE,
            act=activate,
        ),
        _Page(
            path="/reset-password",
            name=f"{name}-reset-password-page",
            form=settings.AUTH_PASSWORD_RESET_FORM_TEMPLATE,
            success=settings.AUTH_PASSWORD_RESET_SUCCESS_TEMPLATE,
            error=settings.AUTH_PASSWORD_RESET_ERROR_TEMPLATE,
            act=reset,
            fields=("token", "new_password"),
        ),
        _Page(
            path="/confirm-email",
            name=f"{name}-confirm-email-page",
            form=settings.AUTH_EMAIL_CHANGE_FORM_TEMPLATE,
            success=settings.AUTH_EMAIL_CHANGE_SUCCESS_TEMPLATE,
            error=settings.AUTH_EMAIL_CHANGE_ERROR_TEMPLATE,
            act=confirm,
        ),
    ]


def _add(router: APIRouter, service: UserAuthService, shown: _Shown, page: _Page) -> None:
    async def show(request: Request) -> Response:
        return await shown.form(request, page)

    async def submit(request: Request) -> Response:
        token = ""
        try:
            fields = await _fields(request, page)
            token = fields["token"]
            # of its own: what is refused is rolled back, and then shown
            async with service.db.transaction() as session:
                await page.act(session, token, fields.get("new_password", ""))
        except WeakPasswordException as error:
            return await shown.form(request, page, token=token, error=error)
        except _REFUSED as error:
            return await shown.page(request, page.error, status=error.status_code)
        return await shown.page(request, page.success)

    for method, endpoint, extra in (("GET", show, None), ("POST", submit, _form_of(page))):
        router.add_api_route(
            page.path,
            endpoint,
            methods=[method],
            name=page.name if method == "GET" else f"{page.name}-submit",
            response_class=HTMLResponse,
            responses=_answers(method),
            openapi_extra=extra,
        )


class _Shown:
    """The pages as HTML, in the reader's language."""

    def __init__(self, service: UserAuthService, template_dir: str | Path | None) -> None:
        self._service = service
        self._settings = service.auth_settings
        directories = [_BUNDLED] if template_dir is None else [Path(template_dir), _BUNDLED]
        self._templates = Templates(directories, content_security_policy=_POLICY)
        self._names = frozenset(
            file.relative_to(directory).as_posix()
            for directory in directories
            for file in directory.rglob("*.html")
        )

    async def form(
        self, request: Request, page: _Page, *, token: str = "", error: AppException | None = None
    ) -> Response:
        """The form of a page; again, with what was refused about the password."""
        context = {
            "action": _path_of(request, page.name),
            "token": token,
            # where nobody asks for more: a token that was mailed cannot be forged either
            "csrf": csrf_protects(request),
            "min_length": self._service.policy.min_length,
            "reason": str(error.details.get("reason", "")) if error else "",
        }
        status = error.status_code if error else 200
        return await self.page(request, page.form, context, status=status)

    async def page(
        self,
        request: Request,
        name: str,
        context: dict[str, Any] | None = None,
        *,
        status: int = 200,
    ) -> Response:
        """One page, which no cache keeps and whose address no other site is told."""
        header = request.headers.get("accept-language", "")
        settings = self._settings
        locale = wanted_locale(header, settings.AUTH_LOCALES) or settings.AUTH_MAIL_LOCALE
        candidates = localised_names(name, locale)
        found = next((file for file in candidates if file in self._names), name)
        language = _language_of(found, name)
        given = {"lang": language, "login_url": settings.AUTH_LOGIN_URL, **(context or {})}
        headers = {**_HEADERS, "Content-Language": language}
        return await self._templates.response(
            request, found, given, status_code=status, headers=headers
        )


async def _fields(request: Request, page: _Page) -> dict[str, str]:
    """The fields of the form: the token cut out of the link, the password as it was typed.

    Raises:
        InvalidFormException: A field is missing, or there several times.
    """
    form = await read_form(request)
    if any(len(form.get(field, [])) != 1 for field in page.fields):
        raise InvalidFormException
    fields = {field: form[field][0] for field in page.fields}
    fields["token"] = token_in(fields["token"])
    return fields


def token_in(text: str) -> str:
    """The token of a link that somebody pasted, or the token itself."""
    return text[:_MOST_TOKEN_CHARACTERS].strip().rpartition("token=")[2]


def _refuse_logged_tokens(service: UserAuthService) -> None:
    for name in LINKS:
        link = getattr(service.auth_settings, name)
        before, fragment, _ = link.partition("#")
        if not fragment or "{token}" in before:
            raise ValueError(
                f"{name} must have its token in the fragment, such as"
                " https://api.example.com/auth/pages/activate#token={token}: with"
                " AUTH_BACKEND_LINKS any other place is in this service's access log"
            )


def _path_of(request: Request, name: str) -> str:
    """The page's own path, below ``root_path`` and every prefix.

    Not by ``url_for``: a forged ``Host`` with a slash in it is part of that path in Starlette
    before 1.0.
    """
    scope = request.scope
    root: str = scope.get("app_root_path", scope.get("root_path", ""))
    path: str = scope["router"].url_path_for(name)
    # one slash: a browser takes two, of either kind, for the beginning of a host
    return "/" + (root.rstrip("/") + path).lstrip("/\\")


def _language_of(found: str, name: str) -> str:
    return "en" if found == name else found.split(".")[-2]


def _form_of(page: _Page) -> dict[str, Any]:
    properties = {field: {"type": "string"} for field in page.fields}
    schema = {"type": "object", "required": list(page.fields), "properties": properties}
    content = {"application/x-www-form-urlencoded": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


def _answers(method: str) -> dict[int | str, dict[str, Any]]:
    page: dict[str, Any] = {"content": {"text/html": {"schema": {"type": "string"}}}}
    if method == "GET":
        return {}
    return {
        400: {"description": "The link is not valid any more.", **page},
        409: {"description": "Another account took the address meanwhile.", **page},
        422: {"description": "The password is too weak; the form again.", **page},
        413: {"description": "The form is too large.", **page},
        503: {"description": "Too many passwords are waiting; try again."},
    }
