"""Settings: one frozen object, built at the edge and passed down.

A key ``a.b`` stands in ``<home>/config.toml`` under ``[a]`` as ``b`` and in the environment as
``MLOPS_CHAIN_A_B``; the environment wins. Nobody else reads the environment.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from chain_client.errors import ConfigurationError
from chain_client.shown_uri import refuse_key

HOME_VARIABLE = "MLOPS_CHAIN_HOME"
DEFAULT_HOME = ".mlops-chain"
CONFIG_FILE = "config.toml"
DEFAULT_SPOOL = "spool"
DEFAULT_INBOX = "inbox"

_URI = re.compile(r"[a-z][a-z0-9+.-]*:")

MLFLOW_GROUPS = (
    "traces",
    "assessments",
    "evaluation",
    "scorers",
    "issues",
    "reviews",
    "gateway",
    "mcp",
    "webhooks",
    "prompts",
)
"""Words of `mlflow.record`."""


def _setting(
    key: str, default: Any, help_text: str, choices: tuple[str, ...] = (), *, least: int = 1
) -> Any:
    # A URL may hold a password or an access key: it is no part of the settings' repr.
    return field(
        default=default,
        repr=not key.endswith(("url", "headers", "payloads", "inbox")),
        metadata={
            "key": key,
            "help": help_text,
            "choices": choices,
            "least": least,
            "names_key": isinstance(default, str) and default.startswith("keystore:"),
        },
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be configured. Relative paths are taken from the home.

    Args:
        home: absolute path of the home folder.
    """

    home: Path
    ledger_url: str = _setting(
        "ledger.url",
        "embedded:chain/embedded.db",
        "Where the chain is. `embedded:<file>` is the in-process chain; one or more JSON-RPC "
        "endpoints `https://…` of one chain are separated by commas.",
    )
    ledger_headers: str = _setting(
        "ledger.headers",
        "",
        "HTTP headers for the chain's endpoints, one `Name: value` a line; with them an endpoint "
        "may know us.",
    )
    ledger_timeout_s: float = _setting(
        "ledger.timeout_s",
        10.0,
        "Longest time in seconds for which one request waits for the chain.",
    )
    ledger_finality: str = _setting(
        "ledger.finality",
        "auto",
        "When a block of a JSON-RPC chain is final: `auto` believes the node's tag `finalized`; a "
        "number is how many blocks must be on top of it.",
    )
    ledger_second_look: str = _setting(
        "ledger.second_look",
        "auto",
        "What else must show a receipt or a final block before it is believed: another `endpoint`, "
        "or a `proof` that leads to the block's hash. `auto` takes what there is, `off` neither.",
        ("auto", "endpoint", "proof", "off"),
    )
    log_url: str = _setting(
        "log.url",
        "sqlite:///log.db",
        "SQLAlchemy URL of the log's database.",
    )
    log_writer: str = _setting(
        "log.writer",
        "keystore:keys/log-writer.json",
        "Key that anchors the log's heads.",
    )
    log_payloads: str = _setting(
        "log.payloads",
        "",
        "Payload store in which what events say is kept, encrypted, outside of the log's database: "
        "`file:<folder>`, or another scheme that a plugin brings. Empty: in the database.",
    )
    log_payloads_from_bytes: int = _setting(
        "log.payloads_from_bytes",
        0,
        "Events of fewer bytes stay in the log's database though `log.payloads` names a store; 0 "
        "leaves none there.",
        least=0,
    )
    spool_folder: str = _setting(
        "spool.folder",
        DEFAULT_SPOOL,
        "Folder in which processes keep what they record until a relay has it. Several homes of a "
        "deployment may name one folder that their machines share; one relay reads it.",
    )
    spool_durability: str = _setting(
        "spool.durability",
        "power",
        "`power`: an intent is fsynced before the host's call, so it survives a power cut. "
        "`process`: no fsync; survives the death of the process only.",
        ("power", "process"),
    )
    spool_on_error: str = _setting(
        "spool.on_error",
        "continue",
        "When the journal can't be written (disk full, read-only): `continue` lets training go "
        "on and counts what was not recorded, `refuse` fails the call. Governance events are "
        "always refused.",
        ("continue", "refuse"),
    )
    spool_segment_bytes: int = _setting(
        "spool.segment_bytes",
        16 * 1024 * 1024,
        "Size at which a journal file is finished and the next one begun.",
    )
    relay_inbox: str = _setting(
        "relay.inbox",
        DEFAULT_INBOX,
        "Where spools arrive that machines hand over before they are thrown away, and the relay "
        "takes them in: a folder, or the URI of a store such as `s3://bucket/prefix`, from which "
        "it fetches them.",
    )
    relay_autostart: bool = _setting(
        "relay.autostart",
        True,
        "Whether the first recorder of a home starts a relay process of its own.",
    )
    relay_idle_s: float = _setting(
        "relay.idle_s",
        10.0,
        "Seconds without a live source and without work after which a started relay ends.",
    )
    relay_max_batch: int = _setting(
        "relay.max_batch",
        4000,
        "Most entries that one anchor adds to the head; 1 gives one transaction per event.",
    )
    relay_max_wait_s: float = _setting(
        "relay.max_wait_s",
        0.5,
        "Longest time an entry waits for others before it is anchored.",
    )
    relay_lease_s: float = _setting(
        "relay.lease_s",
        15.0,
        "Seconds after which a relay that stopped responding may be replaced.",
    )
    relay_anchor: str = _setting(
        "relay.anchor",
        "auto",
        "Whether this home's relay may anchor. `auto`: if the home has the log writer's key; it "
        "then anchors, or stands by while another relay of the log does. `never`: it only reads "
        "its spool into the log.",
        ("auto", "never"),
    )
    relay_max_wait_rpc_s: float = _setting(
        "relay.max_wait_rpc_s",
        15.0,
        "`relay.max_wait_s` on a JSON-RPC chain, where each anchor costs a fee.",
    )
    relay_catch_up_batch: int = _setting(
        "relay.catch_up_batch",
        1_000_000,
        "On a JSON-RPC chain: most entries that one anchor adds while more waits than "
        "`relay.max_batch`, as after an outage or where blocks are slow. An anchor costs about "
        "the same gas whatever it adds. Not used with a `relay.max_batch` of 1.",
    )
    relay_http: str = _setting(
        "relay.http",
        "127.0.0.1:9464",
        "Address on which a relay that runs as a service answers `/healthz` and `/metrics`. "
        "Empty: none.",
    )
    relay_alarm_age_s: float = _setting(
        "relay.alarm_age_s",
        600.0,
        "Age of the oldest entry that no head on chain covers from which on the alarm "
        "`oldest_event` stands.",
    )
    relay_alarm_anchors: int = _setting(
        "relay.alarm_anchors",
        100,
        "On a JSON-RPC chain: the alarm `low_balance` stands while the log writer's balance would "
        "not pay for so many anchors.",
    )
    transactions_max_fee_gwei: float = _setting(
        "transactions.max_fee_gwei",
        500.0,
        "Most that is ever offered for a unit of gas, in gwei; at the cap a transaction waits.",
    )
    transactions_bump_after_s: float = _setting(
        "transactions.bump_after_s",
        60.0,
        "Seconds after which a transaction that no block took is replaced by one that offers more.",
    )
    transactions_gas_per_hour: int = _setting(
        "transactions.gas_per_hour",
        20_000_000,
        "Gas that one key may use in an hour; an embedded chain has no such limit.",
    )
    mlflow_plain_uris: bool = _setting(
        "mlflow.plain_uris",
        False,
        "Whether MLflow's plain URIs (`sqlite:///…`, `postgresql://…`, `http://…`) are recorded "
        "too, as if `chain+` stood before them.",
    )
    mlflow_believe_servers: bool = _setting(
        "mlflow.believe_servers",
        True,
        "Whether an MLflow server that says that it records is left to record alone.",
    )
    mlflow_record: str = _setting(
        "mlflow.record",
        "",
        "What else of MLflow is recorded, separated by commas: "
        + ", ".join(f"`{word}`" for word in MLFLOW_GROUPS)
        + ".",
    )
    gate_mode: str = _setting(
        "gate.mode",
        "auto",
        "What happens to a gated change that the chain does not approve of: `enforce` refuses it, "
        "`warn` lets it pass and reports it, `off` does not look. `auto` is `off` until a policy "
        "is on chain, and `enforce` from then on.",
        ("auto", "enforce", "warn", "off"),
    )
    gate_finality: str = _setting(
        "gate.finality",
        "finalized",
        "From which block the gate reads what is approved: the last one that is `finalized`, or "
        "the `latest`, which may still be replaced.",
        ("finalized", "latest"),
    )
    checks_timeout_s: int = _setting(
        "checks.timeout_s",
        60,
        "Seconds that one check of a promotion may take, the loading of its plugin included; one "
        "that takes longer blocks the proposal.",
    )
    registry_sync: bool = _setting(
        "registry.sync",
        True,
        "Whether the relay promotes what is approved, and makes aliases and stages equal to the "
        "chain.",
    )
    registry_submitter: str = _setting(
        "registry.submitter",
        "keystore:keys/submitter.json",
        "Key that sends what others signed, such as approvals; it needs no right of its own.",
    )
    registry_registrar: str = _setting(
        "registry.registrar",
        "keystore:keys/registrar.json",
        "Key that registers versions with their digests.",
    )
    observers_queue: int = _setting(
        "observers.queue",
        256,
        "Most notices that wait for one plugin that wants to know of proposals or alarms; what "
        "comes beyond is skipped and counted.",
    )
    observers_timeout_s: float = _setting(
        "observers.timeout_s",
        30.0,
        "Seconds that such a plugin may take for one notice; one that takes longer is left alone "
        "for a minute.",
    )
    notify_approvers: str = _setting(
        "notify.approvers",
        "",
        "E-mail addresses that are told of new and changed proposals, separated by commas.",
    )
    notify_operators: str = _setting(
        "notify.operators",
        "",
        "E-mail addresses that are told of alarms, separated by commas.",
    )
    notify_approvers_webhook_url: str = _setting(
        "notify.approvers_webhook_url",
        "",
        "Address to which new and changed proposals are posted, `https://…`; `http://` on this "
        "machine only.",
    )
    notify_operators_webhook_url: str = _setting(
        "notify.operators_webhook_url",
        "",
        "Address to which alarms are posted, as `notify.approvers_webhook_url`.",
    )
    notify_webhook_secret_file: str = _setting(
        "notify.webhook_secret_file",
        "keys/webhook-secret",
        "File with the secret under which what is posted is signed, `whsec_…`; `mlops-chain notify "
        "secret` makes one.",
    )
    notify_smtp_url: str = _setting(
        "notify.smtp_url",
        "",
        "Mail server: `smtp://host:587` (TLS by STARTTLS), `smtps://host:465` (TLS at once). "
        "Without TLS on this machine only.",
    )
    notify_smtp_user: str = _setting(
        "notify.smtp_user",
        "",
        "User at the mail server. Empty: no login.",
    )
    notify_smtp_password_file: str = _setting(
        "notify.smtp_password_file",
        "",
        "File with that user's password; its first line counts.",
    )
    notify_email_from: str = _setting(
        "notify.email_from",
        "",
        "Sender's address of every e-mail.",
    )
    cross_ledger_url: str = _setting(
        "cross.ledger_url",
        "",
        "A second chain, on which the log's final heads are anchored too; as `ledger.url`. Empty: "
        "none.",
    )
    cross_ledger_headers: str = _setting(
        "cross.ledger_headers",
        "",
        "HTTP headers for the second chain's endpoints, one `Name: value` a line.",
    )
    cross_ledger_finality: str = _setting(
        "cross.ledger_finality",
        "auto",
        "When a block of the second chain is final; as `ledger.finality`.",
    )
    cross_every_s: float = _setting(
        "cross.every_s",
        3600.0,
        "Seconds between two heads on the second chain.",
    )
    cross_key: str = _setting(
        "cross.key",
        "keystore:keys/cross-writer.json",
        "Key that anchors on the second chain. It must be used on no other chain.",
    )

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str], cwd: Path, *, home: Path | None = None
    ) -> Settings:
        """Settings of the home that applies here.

        Args:
            environ: the environment, such as ``os.environ``.
            cwd: folder in which ``.mlops-chain`` is looked for when nothing names a home.
            home: home folder given on a command line; wins over the environment.

        Raises:
            ConfigurationError: an unknown key, a value of the wrong kind, or a config file that
                is not TOML; the text names the key and where it stands.
        """
        chosen = home or Path(environ.get(HOME_VARIABLE) or cwd / DEFAULT_HOME)
        chosen = (cwd / chosen.expanduser()).resolve()
        values: dict[str, Any] = {}
        for name, (value, origin) in _file_values(chosen / CONFIG_FILE).items():
            values[name] = _convert(_FIELDS[name], value, origin)
        for name, item in _FIELDS.items():
            variable = variable_of(item.metadata["key"])
            if variable in environ:
                values[name] = _convert(item, environ[variable], variable)
        return cls(home=chosen, **values)

    @property
    def names_network(self) -> bool:
        """Whether `ledger.url` names a network, as a plugin's does, and no chain of this home."""
        return not self.ledger_url.startswith("embedded:")

    @property
    def spool_path(self) -> Path:
        """Absolute path of the folder in which this home's processes record."""
        return self.home / Path(self.spool_folder).expanduser()

    @property
    def inbox_path(self) -> Path:
        """Absolute path of the folder in which spools arrive, or into which they are fetched."""
        inbox = DEFAULT_INBOX if self.inbox_uri is not None else self.relay_inbox
        return self.home / Path(inbox).expanduser()

    @property
    def inbox_uri(self) -> str | None:
        """URI of the store from which spools are fetched; None if `relay.inbox` is a folder."""
        return self.relay_inbox if _URI.match(self.relay_inbox) else None

    def resolve_url(self, url: str) -> str:
        """``url`` with a relative file path made absolute, taken from the home."""
        for prefix in ("sqlite:///", "embedded:"):
            if url.startswith(prefix):
                return prefix + str(self.home / url.removeprefix(prefix))
        return url


_FIELDS: dict[str, Field[Any]] = {f.name: f for f in fields(Settings) if f.metadata}


def setting_keys() -> dict[str, tuple[Any, str]]:
    """Every key with its default and help text, in the order of the documentation."""
    return {
        f.metadata["key"]: (None if f.default is MISSING else f.default, f.metadata["help"])
        for f in _FIELDS.values()
    }


def read_setting(key: str, environ: Mapping[str, str], cwd: Callable[[], Path]) -> Any:
    """One setting alone, for a process that may have nothing to do with us.

    Guarantee: its variable decides without any file being read, and a file is looked at only
    where the environment names a home.

    Args:
        key: of the setting.
        environ: the environment, such as ``os.environ``.
        cwd: gives the working folder, which may be gone; asked for only to find a relative home.

    Raises:
        ConfigurationError: as `Settings.from_environment`, or the working folder is gone.
    """
    [(name, item)] = [(n, f) for n, f in _FIELDS.items() if f.metadata["key"] == key]
    variable = variable_of(key)
    if variable in environ:
        return _convert(item, environ[variable], variable)
    named = environ.get(HOME_VARIABLE)
    if not named:
        return item.default
    home = Path(named).expanduser()
    try:
        folder = home if home.is_absolute() else cwd()
    except OSError as exc:
        raise ConfigurationError(
            f"{HOME_VARIABLE} is relative to the working folder, which can't be read "
            f"({exc.strerror}); make it absolute"
        ) from exc
    return getattr(Settings.from_environment(environ, folder), name)


def variable_of(key: str) -> str:
    """Environment variable of a key: ``relay.idle_s`` → ``MLOPS_CHAIN_RELAY_IDLE_S``."""
    return "MLOPS_CHAIN_" + key.replace(".", "_").upper()


def _file_values(path: Path) -> dict[str, tuple[Any, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as exc:
        raise ConfigurationError(f"can't read {path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigurationError(f"{path} is not valid TOML: it is no UTF-8 text") from exc
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigurationError(f"{path} is not valid TOML: {exc}") from exc
    by_key = {f.metadata["key"]: name for name, f in _FIELDS.items()}
    found: dict[str, tuple[Any, str]] = {}
    for section, content in document.items():
        items = content.items() if isinstance(content, dict) else [("", content)]
        for entry, value in items:
            key = f"{section}.{entry}" if entry else section
            if key not in by_key:
                known = ", ".join(sorted(by_key))
                raise ConfigurationError(f"{path}: unknown setting {key!r}; known are {known}")
            found[by_key[key]] = (value, f"{key} in {path}")
    return found


def _convert(item: Field[Any], value: Any, origin: str) -> Any:
    default = item.default
    choices = item.metadata["choices"]
    try:
        if isinstance(default, bool):
            return _to_bool(value)
        if isinstance(default, int | float):
            return _to_number(type(default), value, item.metadata["least"])
        if item.name.endswith("ledger_finality"):
            return _to_finality(value)
        if not isinstance(value, str):
            raise ValueError("a text")
    except ValueError as exc:
        is_shown = item.repr and not item.metadata["names_key"]
        got = repr(value) if is_shown else "something else"
        raise ConfigurationError(f"{origin}: expected {exc}, got {got}") from exc
    if item.metadata["names_key"]:
        try:
            refuse_key(value)
        except ConfigurationError as exc:
            raise ConfigurationError(f"{origin}: {exc}") from None
    if choices and value not in choices:
        raise ConfigurationError(f"{origin}: expected one of {', '.join(choices)}, got {value!r}")
    if item.name == "mlflow_record":
        unknown = sorted(to_words(value) - set(MLFLOW_GROUPS))
        if unknown:
            known = ", ".join(MLFLOW_GROUPS)
            raise ConfigurationError(f"{origin}: expected words out of {known}, got {unknown[0]!r}")
    return value


def to_words(text: str) -> frozenset[str]:
    """Words separated by commas, as `mlflow.record` holds them."""
    return frozenset(part.strip() for part in text.split(",")) - {""}


def _to_finality(value: Any) -> str:
    text = str(value) if isinstance(value, int) else value
    if not isinstance(text, str) or not re.fullmatch("auto|[0-9]{1,6}", text):
        raise ValueError("`auto` or a number of blocks")
    return text


def _to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("1", "true", "yes", "on"):
        return True
    if isinstance(value, str) and value.strip().lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError("true or false")


def _to_number(kind: type[Any], value: Any, least: int) -> Any:
    wanted = "a whole number above 0" if kind is int else "a number above 0"
    if least == 0:
        wanted = "a whole number, 0 or more"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(wanted)
    if kind is int and isinstance(value, float):
        raise ValueError(wanted)
    try:
        number = kind(value)
    except (ValueError, OverflowError):
        raise ValueError(wanted) from None
    if number == least == 0:
        return number
    if number <= 0 or number == float("inf") or number != number:
        raise ValueError(wanted)
    return number
