"""What kind of device a request comes from, as far as it says so itself.

Client Hints (``Sec-CH-UA*``) are read first, then ``User-Agent``. Both are the client's claims:
good for a list of one's own sessions, never for a decision about access.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.types import Scope

from tijolo.core import BaseStrEnum
from tijolo.web.client_ip import get_client_ip_from_scope

MAX_HEADER_CHARACTERS = 512
_SCOPE_KEY = "tijolo.device"


class DeviceType(BaseStrEnum):
    """Form factor; ``bot`` for programs that call themselves one."""

    MOBILE = "mobile"
    TABLET = "tablet"
    DESKTOP = "desktop"
    BOT = "bot"


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A request's device; a field is None where the request does not say."""

    user_agent: str | None = None
    ip_address: str | None = None
    device_type: DeviceType | None = None
    os: str | None = None
    browser: str | None = None
    app_version: str | None = None
    """Version of the browser or application, its major number first."""

    def fingerprint(self) -> str:
        """A short name such as ``desktop | macOS | Chrome`` for a list of sessions."""
        return " | ".join(part or "unknown" for part in (self.device_type, self.os, self.browser))


def get_device_info(request: Request) -> DeviceInfo:
    """The device of ``request``, parsed the first time somebody asks."""
    info: DeviceInfo | None = request.scope.get(_SCOPE_KEY)
    if info is None:
        info = request.scope[_SCOPE_KEY] = _parse(request.scope)
    return info


CurrentDevice = Annotated[DeviceInfo, Depends(get_device_info)]
"""``async def sign_in(device: CurrentDevice)``: the device of the current request."""

_BOT = re.compile(r"bot\b|crawler|spider|slurp|^curl/|^python-|^wget/|headless", re.IGNORECASE)
_TABLET = re.compile(r"iPad|Tablet|PlayBook|Silk/|Android(?!.*Mobile)")
_MOBILE = re.compile(r"Mobi|iPhone|iPod|Windows Phone")
_SYSTEMS = (  # order matters: Android says Linux too, iOS says Mac OS X
    (re.compile(r"Windows Phone"), "Windows Phone"),
    (re.compile(r"Windows NT"), "Windows"),
    (re.compile(r"iPhone|iPad|iPod"), "iOS"),
    (re.compile(r"Android"), "Android"),
    (re.compile(r"CrOS"), "ChromeOS"),
    (re.compile(r"Mac OS X|Macintosh"), "macOS"),
    (re.compile(r"Linux|X11"), "Linux"),
)
_BROWSERS = (  # order matters: Edge and Opera say Chrome, Chrome says Safari
    (re.compile(r"Edg(?:e|A|iOS)?/(\d[\d.]*)"), "Edge"),
    (re.compile(r"(?:OPR|Opera)/(\d[\d.]*)"), "Opera"),
    (re.compile(r"SamsungBrowser/(\d[\d.]*)"), "Samsung Internet"),
    (re.compile(r"(?:Firefox|FxiOS)/(\d[\d.]*)"), "Firefox"),
    (re.compile(r"(?:Chrome|CriOS)/(\d[\d.]*)"), "Chrome"),
    (re.compile(r"Version/(\d[\d.]*).*Safari"), "Safari"),
)
_HINTED_BRANDS = {
    "Google Chrome": "Chrome",
    "Microsoft Edge": "Edge",
    "Opera": "Opera",
    "Samsung Internet": "Samsung Internet",
    "Brave": "Brave",
    "Chromium": "Chrome",
}
_HINTED_BRAND = re.compile(r'"([^"\\]{1,64})"\s*;\s*v="(\d[\d.]{0,31})"')


def _parse(scope: Scope) -> DeviceInfo:
    headers = {k: v.decode("latin-1")[:MAX_HEADER_CHARACTERS] for k, v in scope["headers"]}
    agent = headers.get(b"user-agent", "")
    browser, version = _hinted_browser(headers.get(b"sec-ch-ua", "")) or _first(_BROWSERS, agent)
    system = headers.get(b"sec-ch-ua-platform", "").strip('"')
    return DeviceInfo(
        user_agent=agent or None,
        ip_address=get_client_ip_from_scope(scope),
        device_type=_device_type(agent, headers.get(b"sec-ch-ua-mobile")),
        os=system if system in _KNOWN_SYSTEMS else _first(_SYSTEMS, agent)[0],
        browser=browser,
        app_version=version,
    )


_KNOWN_SYSTEMS = {"Android", "ChromeOS", "iOS", "Linux", "macOS", "Windows"}


def _device_type(agent: str, mobile_hint: str | None) -> DeviceType | None:
    if _BOT.search(agent):
        return DeviceType.BOT
    if _TABLET.search(agent):
        return DeviceType.TABLET
    if mobile_hint == "?1" or _MOBILE.search(agent):
        return DeviceType.MOBILE
    if mobile_hint == "?0" or _first(_SYSTEMS, agent)[0]:
        return DeviceType.DESKTOP
    return None


def _hinted_browser(hint: str) -> tuple[str, str] | None:
    """The best-known brand of ``Sec-CH-UA``, which lists several and a decoy."""
    brands = dict(_HINTED_BRAND.findall(hint))
    return next(((name, brands[b]) for b, name in _HINTED_BRANDS.items() if b in brands), None)


def _first(
    table: tuple[tuple[re.Pattern[str], str], ...], agent: str
) -> tuple[str, str | None] | tuple[None, None]:
    for pattern, name in table:
        match = pattern.search(agent)
        if match:
            return name, match[1] if match.re.groups else None
    return None, None
