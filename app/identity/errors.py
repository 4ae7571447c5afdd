"""What can go wrong at the door."""

from __future__ import annotations

from typing import Self

from app.errors import AppError


class DoorError(AppError):
    """Somebody was turned away; ``institution_id`` and ``user_key`` are for the audit, not for the answer."""

    institution_id: int | None = None
    user_key: int | None = None

    def of(self, institution_id: int, user_key: int) -> Self:
        """The same error with whose account it was about."""
        self.institution_id, self.user_key = institution_id, user_key
        return self


class WrongCredentialsError(DoorError):
    """Name or password is wrong; the answer does not say which."""

    code = "identity.wrong_credentials"
    message = {"zh": "用户名或密码不正确", "en": "The user name or the password is wrong"}


class LockedError(DoorError):
    """Too many failures; ``data['retry_after_s']``."""

    code = "identity.locked"
    message = {"zh": "尝试过多，请稍后再试", "en": "Too many attempts, please wait"}
    retryable = True


class WeakPasswordError(AppError):
    """A new password is too short or the old one."""

    code = "identity.weak_password"
    message = {"zh": "新密码至少10位，且不能与旧密码相同", "en": "At least 10 characters, and not the old password"}


class PasswordChangeNeededError(AppError):
    """The password is a one-time one: nothing else is allowed before it is changed."""

    code = "identity.password_change_needed"
    message = {"zh": "请先修改初始密码", "en": "Please change the initial password first"}


class UnknownRoleError(AppError):
    """No such role; ``data['roles']`` lists them."""

    code = "identity.unknown_role"
    message = {"zh": "没有这个角色", "en": "There is no such role"}


class UserNameError(AppError):
    """A login name has up to 64 letters, digits and ``. _ @ -``."""

    code = "identity.user_name"
    message = {"zh": "用户名只能含字母、数字和 . _ @ -", "en": "A user name has letters, digits and . _ @ - only"}


class TokenTermError(AppError):
    """A token's life is more than nothing and at most ``data['hours']``."""

    code = "identity.token_term"
    message = {"zh": "令牌有效期无效", "en": "The token's life is out of range"}


class UserExistsError(AppError):
    """The login name is taken in this house."""

    code = "identity.user_exists"
    message = {"zh": "用户名已存在", "en": "The user name is taken"}


class UserNotFoundError(AppError):
    """No such login name."""

    code = "identity.user_not_found"
    message = {"zh": "没有这个用户", "en": "There is no such user"}
