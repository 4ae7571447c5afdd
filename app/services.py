"""Everything a handler may use, made once by the lifespan; typed and frozen."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.archive_api.header_process import HeaderProcess
from app.archive_api.instance_finder import InstanceFinder
from app.audit.service import Audit
from app.bus import Bus
from app.identity.service import Identity
from app.institutions.service import Institutions
from app.limits import RateLimit
from app.rendering.client import RenderClient
from app.settings import Settings
from dicomnet.archive.ingest import Ingest
from dicomnet.archive.objects import Objects
from dicomnet.database import Database
from dicomnet.keyring import Keyring
from dicomnet.queue import JobQueue


@dataclass(frozen=True, slots=True)
class Services:
    """The app's resources. ``headers`` parses DICOM headers outside the loop; ``secure`` = served over TLS."""

    settings: Settings
    database: Database
    objects: Objects
    keyring: Keyring
    ingest: Ingest
    identity: Identity
    audit: Audit
    institutions: Institutions
    render: RenderClient
    queue: JobQueue
    bus: Bus
    headers: HeaderProcess
    instances: InstanceFinder
    secure: bool
    login_limit: RateLimit = field(default_factory=lambda: RateLimit(burst=20, per_s=0.5))
    code_limit: RateLimit = field(default_factory=lambda: RateLimit(burst=30, per_s=0.5))
