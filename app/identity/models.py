"""Who somebody is and what that allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Permissions that routes name.
STUDY_LIST = "study.list"
STUDY_VIEW = "study.view"
SHARE_CREATE = "share.create"
KEYIMAGE_WRITE = "keyimage.write"
SURFACE_EXPORT = "surface.export"  # a surface shows a face: never of a share
DICOMWEB_READ = "dicomweb.read"
DICOMWEB_WRITE = "dicomweb.write"
USER_ADMIN = "user.admin"
INSTITUTION_ADMIN = "institution.admin"
SELF = "self"  # own account: who am I, change password, log out

_READER = frozenset({SELF, STUDY_LIST, STUDY_VIEW})
_CLINICAL = frozenset({SHARE_CREATE, KEYIMAGE_WRITE, SURFACE_EXPORT, DICOMWEB_READ})

# Deny by default: a role has what stands here and nothing else.
ROLES: Mapping[str, frozenset[str]] = {
    "super_admin": _READER | _CLINICAL | {DICOMWEB_WRITE, USER_ADMIN, INSTITUTION_ADMIN},
    "hospital_admin": _READER | _CLINICAL | {DICOMWEB_WRITE, USER_ADMIN},
    "doctor": _READER | _CLINICAL,
    "technician": _READER | _CLINICAL | {DICOMWEB_WRITE},
    "viewer": _READER,
    "dicomweb-read": frozenset({DICOMWEB_READ}),
    "dicomweb-write": frozenset({DICOMWEB_READ, DICOMWEB_WRITE}),
}

# What a right share code allows, on the one study of the share.
SHARE_PERMISSIONS = frozenset({STUDY_VIEW})


@dataclass(frozen=True, slots=True)
class Principal:
    """The identified sender of a request. ``study_key`` limits a share to its study."""

    kind: str  # 'anonymous' | 'user' | 'share' | 'token'
    institution_id: int = 0
    subject: str = "anonymous"  # 'user:12', 'share:34', 'token:dicomweb-read': what the audit names
    permissions: frozenset[str] = frozenset()
    roles: tuple[str, ...] = ()
    user_key: int | None = None
    username: str = ""
    must_change_password: bool = False
    share_key: int | None = None
    study_key: int | None = None
    hide_identity: bool = False
    session_sha256: bytes = field(default=b"", repr=False)

    def may_open(self, study_key: int) -> bool:
        """Whether this principal's limit covers the study (the institution's rows are the database's business)."""
        return self.study_key is None or self.study_key == study_key


ANONYMOUS = Principal("anonymous")


def permissions_of(roles: tuple[str, ...] | list[str]) -> frozenset[str]:
    """The union of the roles' permissions; an unknown role has none."""
    return frozenset().union(*(ROLES.get(role, frozenset()) for role in roles))
