"""Pages that the links of e-mails lead to, for services without a front end (extra ``pages``).

A link carries its token in the fragment, which no browser sends: it is in no access log, in no
``Referer``, and a scanner that opens the link uses nothing up. The page's script puts it into the
form, and only what a person sends by the button is consumed. Without scripts, the link itself is
pasted into the form.
"""

# No `from __future__ import annotations`: the routes name local dependencies.

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from tijolo.auth.forms import InvalidFormException, read_form
from tijolo.auth.password_policy import WeakPasswordException
from tijolo.auth.user_settings import LINKS
from tijolo.auth.users.errors import EmailTakenException, OneTimeTokenException
from tijolo.auth.users.locales import localised_names, wanted_locale
from tijolo.auth.users.service import UserAuthService
from tijolo.core import AppException, MissingExtraError
from tijolo.web import csrf_token

try:
    from tijolo.web.templates import Templates
except MissingExtraError as exc:
    raise MissingExtraError("tijolo-auth", "pages", "jinja2") from exc

_BUNDLED = Path(__file__).parent / "page_templates"
_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none';"
    " img-src 'self'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'"
)
_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_MOST_TOKEN_CHARACTERS = 4096
_KEPT = "tijolo_auth_form"

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
    session_factory: Callable[..., Any],
    name: str = "",
    template_dir: str | Path | None = None,
) -> APIRouter:
    """The pages ``/activate``, ``/reset-password`` and ``/confirm-email``.

    Args:
        service: Does the work.
        session_factory: The unit of work of a request: ``db.session_dependency``.
        name: Keeps the names of the routes apart, where a service has several such routers.
        template_dir: Templates that go before ours of the same name; ``activation_form.pt.html``
            goes before ``activation_form.html`` for who reads Portuguese.

    Raises:
        ValueError: A link of the settings has its token elsewhere than in the fragment.
    """
    _refuse_logged_tokens(service)
    shown = _Shown(service, template_dir)
    router = APIRouter()
    for page in _pages(service, name.strip("/").replace("/", "-")):
        _add(router, shown, page, session_factory)
    return router


def _pages(service: UserAuthService, name: str) -> list[_Page]:
    settings = service.auth_settings

    async def activate(session: AsyncSession, token: str, _: str) -> None:
        await service.activate(session, token=token)

    async def reset(session: AsyncSession, token: str, password: str) -> None:
        new = SecretStr(password)
        await service.confirm_password_reset(session, token=token, new_password=new)

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


def _add(
    router: APIRouter, shown: "_Shown", page: _Page, session_factory: Callable[..., Any]
) -> None:
    async def show(request: Request) -> Response:
        return await shown.form(request, page)

    async def submit(
        request: Request, session: Annotated[AsyncSession, Depends(session_factory)]
    ) -> Response:
        fields = await _fields(request, page)
        await page.act(session, fields["token"], fields.get("new_password", ""))
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
            route_class_override=_route_class(shown, page),
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
            "csrf": _has_csrf(request),
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


def _route_class(shown: _Shown, page: _Page) -> type[APIRoute]:
    class PageRoute(APIRoute):
        """Shows what is refused as a page, after the unit of work was rolled back."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def handle_page(request: Request) -> Response:
                try:
                    return await handle(request)
                except WeakPasswordException as error:
                    fields = await _fields(request, page)
                    return await shown.form(request, page, token=fields["token"], error=error)
                except (OneTimeTokenException, EmailTakenException, InvalidFormException) as error:
                    return await shown.page(request, page.error, status=error.status_code)

            return handle_page

    return PageRoute


async def _fields(request: Request, page: _Page) -> dict[str, str]:
    """The fields of the form: the token cut out of the link, the password as it was typed.

    Raises:
        InvalidFormException: A field is missing, or there several times.
    """
    kept: dict[str, str] | None = getattr(request.state, _KEPT, None)
    if kept is not None:
        return kept
    form = await read_form(request)
    if any(len(form.get(field, [])) != 1 for field in page.fields):
        raise InvalidFormException
    fields = {field: form[field][0] for field in page.fields}
    fields["token"] = token_in(fields["token"])
    setattr(request.state, _KEPT, fields)
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
    """The page's own path, below ``root_path`` and every prefix; no host, which may be forged."""
    return request.url_for(name).path


def _has_csrf(request: Request) -> bool:
    try:
        csrf_token(request)
    except RuntimeError:  # no CSRFMiddleware; a token that was mailed cannot be forged either
        return False
    return True


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
        413: {"description": "The form is too large."},
        503: {"description": "Too many passwords are waiting; try again."},
    }
