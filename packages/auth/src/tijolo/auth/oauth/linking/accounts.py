"""Which account here belongs to whom a provider names."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

# house: allow library, the extra users brings it, and the package's __init__ asks for that
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError  # house: allow library, the same
from sqlalchemy.ext.asyncio import AsyncSession  # house: allow library, the same

from tijolo.auth.oauth._exchange import text_or_none
from tijolo.auth.oauth.errors import OAuthError
from tijolo.auth.oauth.linking.errors import (
    LastWayInException,
    OAuthAccountClosedError,
    OAuthIdentityTakenError,
    OAuthLinkRequiredError,
)
from tijolo.auth.oauth.linking.models import (
    EMAIL_CHARACTERS,
    SUBJECT_CHARACTERS,
    BaseOAuthIdentityModel,
)
from tijolo.auth.oauth.models import OAuthUser
from tijolo.auth.users import (
    BaseUserModel,
    EmailTakenException,
    InvalidEmailException,
    MfaChallenge,
    TokenPair,
    UserAuthService,
    UserStatus,
)
from tijolo.auth.users.parts import lock_as_read
from tijolo.core import NotFoundException
from tijolo.db import savepoint

__all__ = ["OAuthAccounts"]

AMR = "fed"
"""``amr`` of a login elsewhere; RFC 8176 has no name for it."""

_NAME_CHARACTERS = 120


class OAuthAccounts:
    """Logs in, links and unlinks. Every method only flushes, as those of ``UserAuthService`` do.

    Whoever comes back from a provider is, in this order: the user whose identity it is; the user
    whose e-mail address it is, if both sides have verified that address; a new user. Else they
    log in another way and link the identity themselves.

    A provider that calls an address verified opens an account that is there only where it hands
    out the addresses of that domain (``OAuthUser.email_domains``). Of others it knows that they
    were this user's once: a former employee keeps an account there that has the address of their
    successor. With such an address a new account may begin, and ``email_verified_at`` stays empty:
    a password reset gives the account to whoever reads the address today, alone.

    Args:
        service: Of the users.
        identity_model: Of ``make_oauth_identity_model``.
        trusted_emails: Providers whose users may begin with any address that these call verified.
        allow_signup: Whether strangers get an account.
    """

    def __init__(
        self,
        service: UserAuthService,
        identity_model: type[BaseOAuthIdentityModel],
        *,
        trusted_emails: Collection[str] = ("google", "github"),
        allow_signup: bool = True,
    ) -> None:
        if isinstance(trusted_emails, str):
            raise TypeError(f"trusted_emails must be a list of names, got {trusted_emails!r}")
        self.service = service
        self.model = identity_model
        self._trusted = frozenset(trusted_emails)
        self._allow_signup = allow_signup
        service.on_reset.append(self._unlink_all)

    async def log_in(self, session: AsyncSession, who: OAuthUser) -> TokenPair | MfaChallenge:
        """Let in whom a provider names: a token pair, or a challenge for the second factor.

        Raises:
            OAuthLinkRequiredError: It is not certain whose account that is.
            OAuthAccountClosedError: The account may not be used.
        """
        user = await self.user_of(session, who)
        return await self.service.begin_login(session, user, amr=(AMR,))

    async def user_of(self, session: AsyncSession, who: OAuthUser) -> BaseUserModel:
        """The user whom a provider names; linked, or made, where that is allowed.

        Raises:
            OAuthLinkRequiredError: It is not certain whose account that is.
            OAuthAccountClosedError: The account may not be used.
        """
        _check(who)
        known = await self._find(session, who)
        user_id = known.user_id if known else (await self._by_address(session, who)).id
        # the account first, as a reset does that takes its identities away: see AuthParts.lock
        owner = await self.service.parts.lock(session, user_id)
        if owner is None or not owner.may_log_in:
            raise OAuthAccountClosedError
        identity = await (
            self._find(session, who, fresh=True) if known else self._insert(session, owner, who)
        )
        if identity is None or identity.user_id != owner.id:
            raise OAuthLinkRequiredError(reason="the identity was taken away at this moment")
        identity.last_used_at = self.service.parts.clock()
        await session.flush()
        return owner

    async def link(
        self, session: AsyncSession, user: BaseUserModel, who: OAuthUser
    ) -> BaseOAuthIdentityModel:
        """Let ``user`` log in as ``who`` from now on. Ask for a recent login before.

        Raises:
            OAuthIdentityTakenError: Somebody else does already.
            OAuthAccountClosedError: The account may not be used.
        """
        _check(who)
        current = await self.service.parts.lock(session, user.id)
        if current is None or not current.may_log_in:
            raise OAuthAccountClosedError
        identity = await self._find(session, who) or await self._insert(session, current, who)
        if identity.user_id != current.id:
            raise OAuthIdentityTakenError
        return identity

    async def unlink(self, session: AsyncSession, user: BaseUserModel, identity_id: UUID) -> None:
        """Take an identity back; logins that were begun with it go on.

        Raises:
            NotFoundException: ``user`` has no such identity.
            InvalidTokenException: What let ``user`` in has ended since they were read.
            LastWayInException: There is no password, and no other identity.
        """
        # two that unlink at once would otherwise each see the other's identity
        current = await lock_as_read(session, user)
        rows = await self._of_user(session, user.id, locked=True)
        identity = next((row for row in rows if row.id == identity_id), None)
        if identity is None:
            raise NotFoundException
        if current.hashed_password is None and len(rows) == 1:
            raise LastWayInException
        await session.delete(identity)
        await session.flush()
        self._tell(session, current, "oauth_unlinked", identity)

    async def identities(
        self, session: AsyncSession, user: BaseUserModel
    ) -> Sequence[BaseOAuthIdentityModel]:
        """Those of ``user``, the oldest first."""
        return await self._of_user(session, user.id)

    async def _by_address(self, session: AsyncSession, who: OAuthUser) -> BaseUserModel:
        """The user whose address both sides have verified, or a new one."""
        address = self._verified_address(who)
        # of the address as it is looked up: another spelling may have another domain
        is_handed_out = address.rpartition("@")[2] in who.email_domains
        if not is_handed_out and who.provider not in self._trusted:
            # before anything is looked up: nobody learns which addresses have accounts
            raise OAuthLinkRequiredError(reason=f"{who.provider} does not hand out the address")
        user = await self.service.parts.find(session, address)
        if user is None and self._allow_signup:
            try:
                # within a savepoint: what it locked to look who was faster is let go again
                async with savepoint(session):
                    return await self._create(session, address, who, proved=is_handed_out)
            except EmailTakenException:  # a moment ago
                user = await self._locked_by_address(session, address)
        if user is None or not is_handed_out or not self._has_proved_address(user):
            raise OAuthLinkRequiredError(reason="no account that has verified the address")
        return user

    async def _create(
        self, session: AsyncSession, address: str, who: OAuthUser, *, proved: bool
    ) -> BaseUserModel:
        user = await self.service.create_user(session, email=address, name=_name(who.name))
        if not proved:
            user.email_verified_at = None
        return user

    def _verified_address(self, who: OAuthUser) -> str:
        if not who.email_verified or not who.email:
            raise OAuthLinkRequiredError(reason="the address is not verified")
        try:
            return self.service.user_model.normalize_email(who.email)
        except InvalidEmailException:
            raise OAuthLinkRequiredError(reason="the address is none for an account") from None

    async def _locked_by_address(self, session: AsyncSession, address: str) -> BaseUserModel | None:
        """As they are now; their row is written next, and a shared lock could not be raised."""
        model = self.service.user_model
        query = select(model).where(model.email == address).with_for_update()
        return await session.scalar(query.execution_options(populate_existing=True))

    @staticmethod
    def _has_proved_address(user: BaseUserModel) -> bool:
        """Whether the address was verified here.

        Otherwise somebody may have signed up with another person's, and waits for them.
        """
        return user.email_verified_at is not None and user.status is not UserStatus.PENDING

    async def _find(
        self, session: AsyncSession, who: OAuthUser, *, fresh: bool = False
    ) -> BaseOAuthIdentityModel | None:
        model = self.model
        query = select(model).where(model.provider == who.provider, model.subject == who.subject)
        if fresh:
            query = query.with_for_update().execution_options(populate_existing=True)
        return await session.scalar(query)

    async def _insert(
        self, session: AsyncSession, user: BaseUserModel, who: OAuthUser
    ) -> BaseOAuthIdentityModel:
        """A new identity of ``user``, or the one that somebody stored a moment before."""
        made = self.model(
            user_id=user.id,
            provider=who.provider,
            subject=who.subject,
            email=text_or_none(who.email, EMAIL_CHARACTERS),
        )
        try:
            async with savepoint(session):
                session.add(made)
                await session.flush()
        except IntegrityError:
            found = await self._find(session, who, fresh=True)
            if found is None:  # it was another constraint of the service's own table
                raise
            return found
        self._tell(session, user, "oauth_linked", made)
        return made

    async def _of_user(
        self, session: AsyncSession, user_id: UUID, *, locked: bool = False
    ) -> Sequence[BaseOAuthIdentityModel]:
        query = select(self.model).where(self.model.user_id == user_id).order_by(self.model.id)
        if locked:
            query = query.with_for_update().execution_options(populate_existing=True)
        return (await session.scalars(query)).all()

    async def _unlink_all(self, session: AsyncSession, user: BaseUserModel) -> list[str]:
        """A reset ends them: an intruder may have linked theirs. The user has a password now."""
        rows = await self._of_user(session, user.id, locked=True)
        for identity in rows:
            await session.delete(identity)
            self._tell_event(session, "oauth_unlinked", identity)
        await session.flush()
        return [identity.provider for identity in rows]

    def _tell(
        self,
        session: AsyncSession,
        user: BaseUserModel,
        kind: str,
        identity: BaseOAuthIdentityModel,
    ) -> None:
        self._tell_event(session, kind, identity)
        self.service.tell_of_change(session, user, kind, provider=identity.provider)

    def _tell_event(
        self, session: AsyncSession, kind: str, identity: BaseOAuthIdentityModel
    ) -> None:
        self.service.events.after_commit(
            session, kind, identity.user_id, provider=identity.provider
        )


def _check(who: OAuthUser) -> None:
    # databases compare some of what is refused here as equal
    subject = who.subject
    if not subject.isprintable() or subject != subject.strip():
        raise OAuthError(reason="sub has characters that are no part of a name")
    if not 0 < len(subject) <= SUBJECT_CHARACTERS:
        raise OAuthError(reason=f"sub has not 1 to {SUBJECT_CHARACTERS} characters")


def _name(given: str | None) -> str | None:
    """What fits into an account; a name is no reason to refuse anybody."""
    if given is None or len(given) > _NAME_CHARACTERS or not given.isprintable():
        return None
    return given
