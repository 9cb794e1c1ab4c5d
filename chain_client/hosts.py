"""What the core asks of an adapter: resolving what is in doubt, comparing entities, governing.

An adapter offers a `Host` by an entry point of group ``mlops_chain.hosts`` named like the
adapter (``mlflow``). Relay and CLI load it when they need it; the core never imports an adapter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, cast, runtime_checkable
from urllib.parse import parse_qsl, urlencode, urlsplit

from chain_client.errors import ConfigurationError
from chain_client.events import Event, Json, OutcomeStatus
from chain_client.shown_uri import to_shown_uri
from chain_client.types import Digest, EventId

ENTRY_POINT_GROUP = "mlops_chain.hosts"

_DEFAULT_PORTS = {"http": 80, "https": 443}
_DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


@dataclass(frozen=True, slots=True)
class StoreBinding:
    """A host's database that records into this home.

    Args:
        store_id: minted when the database was adopted; stands in every subject.
        adapter: name of the adapter, such as ``mlflow``.
        uri: how the adapter reaches it, without ``chain+``. May hold a password: never log it.
        artifacts: where servers keep, or once kept, the files that their clients send them, in the
            order in which they were first seen.
        served: whether a server has the database open, so that others write files beside it.
        waiting: what waits for a read-back, in the adapter's words; see `ReadsBack`.
    """

    store_id: str
    adapter: str
    uri: str
    artifacts: tuple[str, ...] = field(default=(), compare=False)
    served: bool = field(default=False, compare=False)
    waiting: tuple[Mapping[str, str], ...] = field(default=(), compare=False)

    def to_shown_uri(self) -> str:
        """The URI for people, without what may be secret."""
        return to_shown_uri(self.uri)

    def __repr__(self) -> str:
        return f"StoreBinding(store_id={self.store_id!r}, adapter={self.adapter!r})"


def to_database_address(uri: str) -> str:
    """Where a database is, whoever asks by whatever driver; of a file, its URI.

    Example:
        >>> to_database_address("postgresql+psycopg2://me:hunter2@DB/mlflow?sslmode=require")
        'postgresql://db:5432/mlflow?sslmode=require'
    """
    scheme, _, rest = uri.partition("://")
    engine = scheme.lower().partition("+")[0]
    if engine not in _DATABASE_PORTS:
        return uri
    # As SQLAlchemy reads it: what stands before the host may hold any of the separators.
    parts = urlsplit("//" + re.sub(r"^[^/:]*(?::[^@]*)?@", "", rest))
    place, _, port = parts.netloc.lower().rpartition(":")
    if not port.isdigit():
        place, port = parts.netloc.lower(), str(_DATABASE_PORTS[engine])
    options = sorted(
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if not re.search("(?i)user|uid|pass|pwd", name)
    )
    query = f"?{urlencode(options)}" if options else ""
    return f"{engine}://{place}:{port}{parts.path}{query}"


def to_server_uri(uri: str) -> str:
    """One spelling for all addresses of a server; never with user name or password.

    Example:
        >>> to_server_uri("HTTPS://me:secret@Host.example:443/mlflow/")
        'https://host.example/mlflow'
    """
    parts = urlsplit(uri)
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    if parts.port not in (None, _DEFAULT_PORTS.get(scheme)):
        host = f"{host}:{parts.port}"
    return f"{scheme}://{host}{parts.path.rstrip('/')}"


@dataclass(frozen=True, slots=True)
class Resolution:
    """What the host's database shows of a call whose outcome is not known.

    Args:
        event_id: the intent.
        status: RECOVERED, NOT_APPLIED, PARTLY_APPLIED or UNDETERMINED (or FAILED when the call
            raised and nothing of it is there).
        subject_id: id that the call minted, if it is recovered and minted one.
        result: as the live call would have given it, if it is recovered.
        detail: for PARTLY_APPLIED, what is there; for UNDETERMINED, what was seen, if anything.
    """

    event_id: EventId
    status: OutcomeStatus
    subject_id: str | None = None
    result: Mapping[str, Json] | None = None
    detail: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that differs from what was recorded.

    Args:
        kind: stable name, such as ``metric_changed``, ``param_missing``, ``artifact_changed``.
        subject: the entity as people name it, such as ``run 3f…/metric loss``.
        expected: what was recorded (JSON), None if nothing may be there.
        actual: what is there (JSON), None if nothing is.
        detail: one sentence.
        recorded_us: claimed time of the latest recorded write of what differs, where the adapter
            tells; an explanation that is older does not cover the finding.
    """

    kind: str
    subject: str
    expected: Json
    actual: Json
    detail: str
    recorded_us: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Unchecked:
    """A part that could not be compared: the verification then does not say that it holds.

    Args:
        subject: what was left out, as people name it.
        reason: one sentence, with what to do.
    """

    subject: str
    reason: str


@dataclass(frozen=True, slots=True)
class Remark:
    """Something people should know beside the findings; the verification holds all the same.

    Args:
        subject: what it is about, as people name it.
        text: one sentence, for the detail of the adapter's check.
    """

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Scope:
    """What to compare: everything, one run, or one registered model."""

    run_id: str | None = None
    model: str | None = None


Progress = Callable[[str, int, int], None]
"""Called with (what, done, total) by long work."""


class Host(Protocol):
    """An adapter's side of recovery and verification."""

    name: str

    def resolve(self, store: StoreBinding, in_doubt: Sequence[Event]) -> list[Resolution]:
        """Look at the host and say what became of each event, in the order given.

        What nobody can tell yet, such as a request that may still be under way, is left out: it
        stays in doubt without an alarm, and is asked for again.

        Raises:
            HostUnavailable: the database does not answer now; the relay asks again later.
        """

    def compare(
        self, store: StoreBinding, events: Iterable[Event], scope: Scope, progress: Progress
    ) -> Iterator[Finding | Unchecked | Remark]:
        """Compare the host's entities with what ``events`` (of this store, in log order) claim.

        Raises:
            HostUnavailable: the host can't be read.
        """


@dataclass(frozen=True, slots=True)
class Reading:
    """One thing to record of files that were read back.

    Args:
        type: of the event.
        kind: of its subject.
        id: of its subject.
        payload: parts that are known before.
        read: reads the files and gives the event's result, bracketed by intent and outcome; None
            where there is nothing to read: then the event is a note.
        unread: whether it says that something could not be read, so that it is tried again.
    """

    type: str
    kind: str
    id: str
    payload: Mapping[str, Json]
    read: Callable[[], Mapping[str, Json]] | None = None
    unread: bool = False


Recorded = Callable[[str, str, bool], Iterator[Event]]
"""Called with (subject kind, subject id, whether below it too): the events that the log has."""


@runtime_checkable
class NamesEvents(Protocol):
    """An adapter that says in its users' words what an event is about."""

    def name_event(self, event: Event) -> str:
        """Such as ``task_instance.started of dag train/run manual__1/task fit/try 2``."""


@runtime_checkable
class ReadsBack(Protocol):
    """An adapter that reads files back which passed none of its processes."""

    def read_back(
        self, store: StoreBinding, wanted: Mapping[str, str], recorded: Recorded
    ) -> Iterator[Reading]:
        """What is to be recorded of the files that are wanted; what is known is left out.

        Args:
            store: whose files.
            wanted: which, in the words in which the adapter itself asked for it.
            recorded: gives what the log has of a subject.

        Raises:
            HostUnavailable: the host does not answer now; the relay asks again later.
        """


@dataclass(frozen=True, slots=True)
class ModelIncarnation:
    """A registered model from its creation to its end; its id on chain follows from these alone.

    Args:
        store_id: the database that it is in.
        workspace: its workspace; empty where the host has none.
        name: as the host stores it.
        creation_ms: milliseconds since the epoch, as the host stores them. A model that was
            deleted and made again has another time, one that was renamed another name.
    """

    store_id: str
    workspace: str
    name: str
    creation_ms: int


@dataclass(frozen=True, slots=True)
class TargetState:
    """An alias or stage of a model that has a version in the host now.

    Args:
        workspace: of the model; empty where the host has none.
        model: its name.
        target: such as ``alias:champion`` or ``stage:Production``, canonical.
        versions: in ascending order, never empty; several only in a stage.
    """

    workspace: str
    model: str
    target: str
    versions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TargetEvent:
    """A recorded call gave a target to a version, or took it from one.

    Args:
        time_us: claimed wall time of the call, in µs since the epoch.
        source_id: of the process that recorded it.
        who: who asked, authenticated or claimed; empty if nobody said.
        what: the event's type.
        workspace: of the model; empty where the host has none.
        model: its name then.
        creation_ms: of the model that had the name then; None if nobody recorded it.
        target: canonical.
        version: that has it from then on; None if it was only taken away.
        left: version that it was taken from; None if that is not known, or it had none.
    """

    time_us: int
    source_id: bytes
    who: str
    what: str
    workspace: str
    model: str
    creation_ms: int | None
    target: str
    version: int | None
    left: int | None


RESERVED_TAGS = "mlops_chain."
"""Tags of versions that begin so show people what the chain says; nobody else sets them."""


@dataclass(frozen=True, slots=True)
class ReservedTags:
    """What the tags of `RESERVED_TAGS` of one version say now.

    Args:
        workspace: of the model; empty where the host has none.
        model: its name.
        version: its number.
        tags: by whole name.
    """

    workspace: str
    model: str
    version: int
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AttestedFiles:
    """What the files of a version are, read from where they are kept.

    Args:
        location: canonical location of the files.
        digest: SHA-256 of the RFC 8785 bytes of ``manifest``.
        manifest: ``path``, ``size`` and ``sha256`` (hex) of every file, in the order of paths.
        openssf_root: what OpenSSF Model Signing computes for the same files; for its tools only.
        fingerprint: version of the storage, as JSON: while it is equal, the files were not
            changed. None where the storage tells nothing of the kind.
        versions: of each file of ``manifest``, in its order, the version that the storage keeps;
            empty where it keeps none. They are where these bytes can be got for as long as the
            storage keeps them, whatever is current by then.
        tells_changes: whether an equal fingerprint proves that; else only reading again does.
    """

    location: str
    digest: Digest
    manifest: tuple[Mapping[str, Json], ...] = field(repr=False)
    openssf_root: Digest
    fingerprint: Json = field(repr=False)
    versions: tuple[str, ...] = field(default=(), repr=False)
    tells_changes: bool = field(default=False, compare=False)


@runtime_checkable
class Governs(Protocol):
    """An adapter whose host has models with versions, and aliases or stages to be promoted to.

    Every method raises `HostUnavailable` if the host does not answer now.
    """

    def models(self, store: StoreBinding) -> Iterator[ModelIncarnation]:
        """Every registered model, whatever its workspace; nothing that has no files to load."""

    def find_model(
        self, store: StoreBinding, name: str, workspace: str = ""
    ) -> ModelIncarnation | None:
        """The model of that name, if there is one."""

    def targets(
        self, store: StoreBinding, names: Sequence[str] | None = None
    ) -> Iterator[TargetState]:
        """Every alias and stage that has a version now.

        Args:
            store: whose.
            names: of models; default: of all.
        """

    def reserved_tags(
        self, store: StoreBinding, names: Sequence[str] | None = None
    ) -> Iterator[ReservedTags]:
        """The reserved tags of every version that has any; ``names`` as in `targets`."""

    def attest(
        self,
        store: StoreBinding,
        name: str,
        version: int,
        workspace: str = "",
        recorded: Recorded | None = None,
    ) -> AttestedFiles:
        """Read every file of a version; nothing is written.

        Args:
            store: whose version.
            name: of the model.
            version: its number.
            workspace: of the model.
            recorded: gives what the log has of a subject (`attestations.recorded_in`): files that
                are not as they were recorded are refused.

        Raises:
            InvalidInput: there is no such version, or a file is a symlink, missing, changed, or
                can't be read: the text names it.
        """

    def target_events(self, store: StoreBinding, recorded: Recorded) -> Iterator[TargetEvent]:
        """Every change of a target that was recorded, in the order of time.

        Args:
            store: whose.
            recorded: gives what was recorded of a subject, as in `ReadsBack`.
        """

    def set_target(
        self,
        store: StoreBinding,
        name: str,
        workspace: str,
        target: str,
        version: int | None,
        tags: Mapping[str, str],
        *,
        home: Path,
    ) -> None:
        """Make the host equal to the chain, through the recorded and gated store.

        Writes nothing where nothing differs.

        Args:
            store: whose model.
            name: of the model.
            workspace: of the model.
            target: canonical, as in `TargetState`.
            version: that is current on chain; None to leave the target without one.
            tags: reserved tags that this version then has, and no others.
            home: home folder of the deployment in which it is recorded.

        Raises:
            InvalidInput: there is no such model or version.
            PromotionDenied: the chain does not say so (any more).
        """

    def set_reserved_tags(
        self,
        store: StoreBinding,
        name: str,
        workspace: str,
        version: int,
        tags: Mapping[str, str],
        *,
        home: Path,
    ) -> None:
        """Give a version these reserved tags, and no others; see `set_target`."""


@runtime_checkable
class NamesRuns(Protocol):
    """An adapter whose host knows which run made a version."""

    def find_run(
        self, store: StoreBinding, name: str, version: int, workspace: str = ""
    ) -> str | None:
        """Id of the run that made a version; None if the host knows of none, or of no version.

        Raises:
            HostUnavailable: the host does not answer now.
        """


def installed_hosts() -> Iterator[Host]:
    """Every adapter that is installed and can be imported."""
    for name in sorted({entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)}):
        try:
            yield load_host(name)
        except ConfigurationError:
            continue  # without what it adapts; asked for by name it says so


def load_host(name: str) -> Host:
    """The adapter of that name.

    Raises:
        ConfigurationError: no such adapter is installed, or it can't be imported.
    """
    found = [e for e in entry_points(group=ENTRY_POINT_GROUP) if e.name == name]
    if not found:
        raise ConfigurationError(
            f"no adapter named {name!r} is installed; "
            f"install it, for example with: pip install 'mlops-chain[{name}]'"
        )
    try:
        return cast(Host, found[0].load()())
    except ImportError as exc:
        raise ConfigurationError(f"the adapter {name!r} can't be imported: {exc}") from exc
