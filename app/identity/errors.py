"""What can go wrong at the door."""

from __future__ import annotations

from app.errors import AppError


class WrongCredentialsError(AppError):
    """Name or password is wrong; the answer does not say which."""

    code = "identity.wrong_credentials"
    message = {"zh": "用户名或密码不正确", "en": "The user name or the password is wrong"}


class LockedError(AppError):
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


class UserExistsError(AppError):
    """The login name is taken in this house."""

    code = "identity.user_exists"
    message = {"zh": "用户名已存在", "en": "The user name is taken"}


class UserNotFoundError(AppError):
    """No such login name."""

    code = "identity.user_not_found"
    message = {"zh": "没有这个用户", "en": "There is no such user"}
