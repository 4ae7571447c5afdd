"""What can stand between a person and a shared study."""

from __future__ import annotations

from app.errors import AppError


class ShareNotFoundError(AppError):
    """No such link."""

    code = "share.not_found"
    message = {"zh": "链接无效，请向分享人索取新链接", "en": "This link is not valid; ask the sharer for a new one"}


class ShareExpiredError(AppError):
    """The time is over."""

    code = "share.expired"
    message = {"zh": "链接已失效，请向分享人索取新链接", "en": "This link has expired; ask the sharer for a new one"}


class ShareRevokedError(AppError):
    """The owner ended it."""

    code = "share.revoked"
    message = {"zh": "分享人已停止分享", "en": "The sharer has stopped sharing"}


class WrongCodeError(AppError):
    """``data['attempts_left']``."""

    code = "share.wrong_code"
    message = {"zh": "验证码不正确", "en": "The code is wrong"}


class CodeLockedError(AppError):
    """``data['retry_after_s']``."""

    code = "share.locked"
    message = {"zh": "尝试过多，请稍后再试", "en": "Too many attempts, please wait"}


class ShareTermError(AppError):
    """The wanted days are outside 1 … ``data['most_days']``."""

    code = "share.term"
    message = {"zh": "有效期超出允许范围", "en": "The term is outside the allowed range"}


class BurnedInError(AppError):
    """Pictures that may show names cannot be shared with names hidden."""

    code = "share.burned_in_uncovered"
    message = {
        "zh": "该检查的图像上可能带有姓名，不能隐名分享",
        "en": "These pictures may show a name and cannot be shared with names hidden",
    }
