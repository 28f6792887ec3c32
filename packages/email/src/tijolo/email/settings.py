"""Settings of e-mail; compose them: ``class Settings(EmailSettings, BaseAppSettings)``."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tijolo.core import BaseStrEnum, Environment
from tijolo.email.addresses import EmailAddress
from tijolo.email.backend import EmailBackend
from tijolo.email.errors import InvalidAddressError
from tijolo.email.local_backends import ConsoleBackend, FileBackend, MemoryBackend
from tijolo.email.prepared import DEFAULT_MAX_MESSAGE_BYTES, Signer
from tijolo.email.smtp import SMTPBackend
from tijolo.email.smtp_options import PoolLimits, RetryPolicy, SMTPServer, SMTPTimeouts, TLSMode

_NOBODY = "noreply@example.com"


class EmailBackendName(BaseStrEnum):
    """Where e-mails go."""

    AUTO = "auto"
    """``smtp`` where ``SMTP_HOST`` is set; else ``console`` in development, an error elsewhere."""
    SMTP = "smtp"
    CONSOLE = "console"
    FILE = "file"
    MEMORY = "memory"
    """For tests: refused outside development."""


class EmailSettings(BaseSettings):
    """Where e-mails go and how; durations are in seconds, sizes in bytes."""

    # the report of a validator would show every value, the password included
    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    EMAIL_BACKEND: EmailBackendName = EmailBackendName.AUTO
    EMAIL_FILE_DIR: str = "./outbox"
    EMAIL_TEMPLATE_DIR: str = ""
    """Empty for no templates."""
    EMAIL_MAX_MESSAGE_BYTES: int = Field(default=DEFAULT_MAX_MESSAGE_BYTES, ge=1)

    SMTP_HOST: str = ""
    SMTP_PORT: int | None = Field(default=None, ge=1, le=65535)
    """None takes the one that goes with the encryption."""
    SMTP_USERNAME: str | None = None
    SMTP_PASSWORD: SecretStr | None = None
    SMTP_FROM_ADDR: str = _NOBODY
    SMTP_TLS: TLSMode | None = None
    """``starttls``, ``tls`` or ``plain``; None asks ``SMTP_USE_SSL`` and ``SMTP_USE_TLS``."""
    SMTP_USE_TLS: bool = True
    """STARTTLS."""
    SMTP_USE_SSL: bool = False
    """TLS from the first byte; so does port 465."""
    SMTP_ALLOW_INSECURE_AUTH: bool = False
    SMTP_LOCAL_HOSTNAME: str = ""
    SMTP_CA_FILE: str = ""
    SMTP_TIMEOUT_SECONDS: float = Field(default=30.0, gt=0)
    SMTP_CONNECT_TIMEOUT_SECONDS: float = Field(default=10.0, gt=0)
    SMTP_DATA_TIMEOUT_SECONDS: float = Field(default=120.0, gt=0)
    SMTP_POOL_SIZE: int = Field(default=4, ge=1)
    SMTP_POOL_TIMEOUT_SECONDS: float = Field(default=30.0, gt=0)
    SMTP_POOL_IDLE_SECONDS: float = Field(default=30.0, gt=0)
    SMTP_MESSAGES_PER_CONNECTION: int = Field(default=100, ge=1)
    SMTP_ATTEMPTS: int = Field(default=3, ge=1, le=10)
    SMTP_RETRY_BASE_SECONDS: float = Field(default=0.5, gt=0)
    SMTP_RETRY_MAX_SECONDS: float = Field(default=10.0, gt=0)

    DKIM_SELECTOR: str = ""
    """Signs when it is set; needs the extra ``dkim``."""
    DKIM_DOMAIN: str = ""
    """Empty takes the sender's."""
    DKIM_PRIVATE_KEY: SecretStr = SecretStr("")
    """RSA, PEM."""

    @field_validator("SMTP_FROM_ADDR")
    @classmethod
    def _one_address(cls, value: str) -> str:
        try:
            return str(EmailAddress.parse(value))
        except InvalidAddressError as exc:
            raise ValueError(exc.message) from exc

    @model_validator(mode="after")
    def _nothing_contradicts(self) -> Self:
        given = self.model_fields_set
        if {"SMTP_USE_TLS", "SMTP_USE_SSL"} <= given and self.SMTP_USE_TLS and self.SMTP_USE_SSL:
            raise ValueError("SMTP_USE_TLS (STARTTLS) and SMTP_USE_SSL exclude each other")
        if self.DKIM_SELECTOR and not self.DKIM_PRIVATE_KEY.get_secret_value():
            raise ValueError("DKIM_SELECTOR is set and DKIM_PRIVATE_KEY is not")
        return self

    @property
    def email_environment(self) -> Environment:
        """``ENVIRONMENT`` of the settings this is composed with; production without one."""
        return Environment(getattr(self, "ENVIRONMENT", Environment.PRODUCTION))

    def smtp_tls_mode(self) -> TLSMode:
        """How the connection is encrypted: ``SMTP_TLS``, else what the older names and port say."""
        if self.SMTP_TLS is not None:
            return self.SMTP_TLS
        named = {"SMTP_USE_TLS", "SMTP_USE_SSL"} & self.model_fields_set
        if self.SMTP_USE_SSL or (self.SMTP_PORT == 465 and not named):
            return TLSMode.TLS
        return TLSMode.STARTTLS if self.SMTP_USE_TLS else TLSMode.PLAIN

    def email_backend(self) -> EmailBackend:
        """The backend that the settings name.

        Raises:
            ValueError: none is configured outside development, or the parts contradict each other.
        """
        name = self._backend_name()
        if name is EmailBackendName.FILE:
            return FileBackend(self.EMAIL_FILE_DIR)
        if name is EmailBackendName.MEMORY:
            return MemoryBackend()
        return self._smtp() if name is EmailBackendName.SMTP else ConsoleBackend()

    def _backend_name(self) -> EmailBackendName:
        name, forgiving = self.EMAIL_BACKEND, self.email_environment.is_development
        if name is EmailBackendName.MEMORY and not forgiving:
            raise ValueError("EMAIL_BACKEND=memory would lose every e-mail: use it in tests only")
        if name is not EmailBackendName.AUTO:
            return name
        if self.SMTP_HOST:
            return EmailBackendName.SMTP
        if forgiving:
            return EmailBackendName.CONSOLE
        raise ValueError(
            "no e-mail server: set SMTP_HOST, or EMAIL_BACKEND=console to send none on purpose"
        )

    def _smtp(self) -> SMTPBackend:
        if not self.SMTP_HOST:
            raise ValueError("EMAIL_BACKEND=smtp needs SMTP_HOST")
        if self.SMTP_FROM_ADDR == _NOBODY and not self.email_environment.is_development:
            raise ValueError(
                "SMTP_FROM_ADDR is still the example, which no server accepts: set it to the"
                " sender's address, such as 'Shop <shop@your-domain>'"
            )
        password = self.SMTP_PASSWORD.get_secret_value() if self.SMTP_PASSWORD else None
        return SMTPBackend(
            SMTPServer(
                host=self.SMTP_HOST,
                port=self.SMTP_PORT,
                tls=self.smtp_tls_mode(),
                username=self.SMTP_USERNAME or None,
                password=password or None,
                allow_insecure_auth=self.SMTP_ALLOW_INSECURE_AUTH,
                local_hostname=self.SMTP_LOCAL_HOSTNAME or None,
                ca_file=self.SMTP_CA_FILE or None,
            ),
            timeouts=SMTPTimeouts(
                connect_seconds=self.SMTP_CONNECT_TIMEOUT_SECONDS,
                command_seconds=self.SMTP_TIMEOUT_SECONDS,
                data_seconds=self.SMTP_DATA_TIMEOUT_SECONDS,
            ),
            pool=PoolLimits(
                max_connections=self.SMTP_POOL_SIZE,
                wait_seconds=self.SMTP_POOL_TIMEOUT_SECONDS,
                idle_seconds=self.SMTP_POOL_IDLE_SECONDS,
                max_messages=self.SMTP_MESSAGES_PER_CONNECTION,
            ),
            retry=RetryPolicy(
                attempts=self.SMTP_ATTEMPTS,
                base_delay_seconds=self.SMTP_RETRY_BASE_SECONDS,
                max_delay_seconds=self.SMTP_RETRY_MAX_SECONDS,
            ),
        )

    def email_signer(self) -> Signer | None:
        """What signs with DKIM; None when that is not configured.

        Raises:
            MissingExtraError: the extra ``dkim`` is not installed.
            ValueError: the key cannot be read.
        """
        if not self.DKIM_SELECTOR:
            return None
        domain = self.DKIM_DOMAIN or EmailAddress.parse(self.SMTP_FROM_ADDR).domain
        # an extra: imported only by who asks for it
        from tijolo.email.dkim import DKIMSigner

        return DKIMSigner(
            selector=self.DKIM_SELECTOR,
            domain=domain,
            private_key=self.DKIM_PRIVATE_KEY,
        )

    def email_arguments(self) -> tuple[EmailBackend, dict[str, Any]]:
        """The backend and keyword arguments of ``EmailUtils.with_backend``.

        Raises:
            ValueError: nothing is configured outside development, or what is contradicts itself.
            MissingExtraError: DKIM is configured and the extra ``dkim`` is not installed.
        """
        return self.email_backend(), {
            "from_addr": self.SMTP_FROM_ADDR,
            "template_dir": self.EMAIL_TEMPLATE_DIR or None,
            "max_message_bytes": self.EMAIL_MAX_MESSAGE_BYTES,
            "signer": self.email_signer(),
        }
