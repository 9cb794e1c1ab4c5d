"""Clients of AWS: the one place that imports boto3, and where its errors become ours.

Credentials, profiles, regions and endpoints are boto3's own affair. What AWS or botocore says in
words is never repeated: it may quote the signed request, with its token, or an endpoint with a
password. Codes and ids of requests are enough to act on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import parse_qsl, urlsplit

from chain_client.errors import ChainError, ConfigurationError, Unavailable
from chain_client.forking import ForkableLock

UNAVAILABLE = frozenset(
    {
        "BandwidthLimitExceeded",
        "DependencyTimeoutException",
        "InternalError",
        "InternalFailure",
        "KMSInternalException",
        "KeyUnavailableException",
        "LimitExceededException",
        "OperationAborted",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
"""Codes after which the same request may succeed later."""

SKEWED = frozenset(
    {"AuthFailure", "InvalidSignatureException", "RequestExpired", "RequestTimeTooSkewed"}
)
"""Codes by which AWS says, among other things, that the clock of the caller is wrong."""

_CLOCK_WRONG_S = 240.0
"""AWS takes what is some minutes off: 5 or 15. A clock within this is not what is wrong."""

_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service is asked, and how, if not as boto3's own settings say.

    Args:
        region: of the service.
        endpoint_url: its address.
        checks_tls: whether its certificate is checked.
        addressing: of S3's buckets: ``auto``, ``path`` or ``virtual``.
        signature: boto3's name of a way to sign requests; ``unsigned`` for none.
    """

    region: str | None = None
    endpoint_url: str | None = None
    checks_tls: bool = True
    addressing: str | None = None
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one request may take, and how often botocore itself asks.

    Args:
        connect_s: until there is a connection.
        read_s: until the next bytes of the answer come.
        attempts: requests of one call, with botocore's waiting between them.
        connections: kept open, at most: one a thread.
        reply_s: of waiting for one answer in all; a large one gets more, see `replies`.
    """

    connect_s: float = 5.0
    read_s: float = 20.0
    attempts: int = 4
    connections: int = 10
    reply_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Query:
    """The part of a URI behind its question mark, read strictly: each name once, none unknown."""

    values: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, scheme: str, text: str, known: frozenset[str]) -> Query:
        """Read it.

        Raises:
            ConfigurationError: a name that is not ``known``, or twice, or without a value.
        """
        try:
            pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text))
        except ValueError:
            raise ConfigurationError(
                f"what follows the ? of the {scheme}: URI is not of the form name=value&…"
            ) from None
        values = dict(pairs)
        odd = sorted(set(values) - known)
        if odd or len(values) != len(pairs) or not all(values.values()):
            what = "an unknown name" if odd else "a name twice, or without a value"
            raise ConfigurationError(
                f"what follows the ? of the {scheme}: URI holds {what}; known are: "
                + ", ".join(sorted(known))
            )
        return cls(values)

    def place(self, scheme: str) -> Place:
        """Its ``region`` and ``endpoint_url``.

        Raises:
            ConfigurationError: the endpoint is no plain address of http or https.
        """
        endpoint = self.values.get("endpoint_url")
        if endpoint is not None:
            check_endpoint(scheme, endpoint)
        return Place(self.values.get("region"), endpoint)


def check_endpoint(scheme: str, url: str) -> None:
    """Refuse what is no plain address; a user's name and password have no place in it.

    Raises:
        ConfigurationError: it is none. The text does not show it.
    """
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError(
            f"the endpoint_url of the {scheme}: URI is no address such as https://host:port; "
            "credentials have no place in it"
        )


class LazyClient:
    """A client of one service, made when it is first used, and again in every forked child.

    Safe for threads. Making it reads boto3's configuration; it asks nobody yet.

    Args:
        service: boto3's name, such as ``kms``.
        place: region and endpoint, where they are not boto3's.
        patience: limits of a request.
    """

    def __init__(self, service: str, place: Place, patience: Patience) -> None:
        self.service = service
        self._place = place
        self._patience = patience
        self._lock = ForkableLock()
        self._made: tuple[int, Any] | None = None

    def get(self) -> Any:
        """The client.

        Raises:
            ConfigurationError: there is no region, or the profile that is asked for is not there.
        """
        with self._lock.held():
            if self._made is None or self._made[0] != os.getpid():
                self._made = os.getpid(), self._make()
            return self._made[1]

    def drop(self) -> None:
        """Make another one when it is next asked for: whoever uses this one hangs.

        It may hang while it makes it, with the lock; so that is left to it.
        """
        self._lock = ForkableLock()
        self._made = None

    def _make(self) -> Any:
        import boto3
        from botocore import UNSIGNED
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        from mlops_chain_aws.replies import keep_pace

        place = self._place
        config = Config(
            connect_timeout=self._patience.connect_s,
            read_timeout=self._patience.read_s,
            max_pool_connections=self._patience.connections,
            retries={"mode": "standard", "total_max_attempts": self._patience.attempts},
            s3=None if place.addressing is None else {"addressing_style": place.addressing},
            signature_version=UNSIGNED if place.signature == "unsigned" else place.signature,
        )
        try:
            client = boto3.session.Session().client(
                self.service,
                region_name=place.region,
                endpoint_url=place.endpoint_url,
                verify=None if place.checks_tls else False,
                config=config,
            )
        except (BotoCoreError, ValueError) as exc:
            raise_ours(exc, self.service)
        keep_pace(client, self._patience.reply_s)
        return client


def aws_errors() -> tuple[type[Exception], ...]:
    """What a call of a client may raise: ``except aws_errors() as exc``.

    ValueError: of an endpoint that boto3 found and urllib3 can't read.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    return BotoCoreError, ClientError, ResponseParserError, ValueError


def code_of(exc: BaseException) -> str:
    """AWS's own code of a refused request, such as ``NoSuchKey``; empty where AWS said nothing."""
    response = getattr(exc, "response", None)
    error = response.get("Error") if isinstance(response, dict) else None
    return str(error.get("Code", "")) if isinstance(error, dict) else ""


def status_of(exc: BaseException) -> int:
    """The HTTP status of a refused request; 0 where there was none."""
    return int(_metadata(exc).get("HTTPStatusCode", 0))


def is_unavailable(exc: BaseException) -> bool:
    """Whether the same request may succeed later: no answer, a busy service, an error within it."""
    from botocore import exceptions
    from botocore.parsers import ResponseParserError

    if isinstance(exc, exceptions.ClientError):
        return code_of(exc) in UNAVAILABLE or status_of(exc) >= 500 or status_of(exc) == 429
    return isinstance(
        exc,
        (
            exceptions.ConnectionError,
            exceptions.HTTPClientError,  # reading, TLS, proxies
            exceptions.IncompleteReadError,
            exceptions.CredentialRetrievalError,
            exceptions.MetadataRetrievalError,
            ResponseParserError,  # a proxy said something instead
        ),
    )


def raise_ours(
    exc: Exception,
    service: str,
    unavailable: Callable[[str], Unavailable] = Unavailable,
    action: str = "",
) -> NoReturn:
    """Raise what an exception of botocore is for our callers.

    Args:
        exc: what came.
        service: boto3's name of who was asked, such as ``s3``.
        unavailable: makes the error for what may succeed later.
        action: the IAM action that was used, such as ``kms:Sign``; named where it is refused.

    Raises:
        Unavailable: by ``unavailable``: ask again later.
        ConfigurationError: credentials, permissions, clock, region: mend them.
    """
    told = to_ours(exc, service, unavailable, action)
    # The words of botocore and AWS would stand in tracebacks; see above.
    raise told from None


def to_ours(
    exc: Exception,
    service: str,
    unavailable: Callable[[str], Unavailable] = Unavailable,
    action: str = "",
) -> ChainError:
    """As `raise_ours`, but given back. Its text holds no words of AWS or botocore."""
    name = service.upper()
    said = _said(exc)
    if is_unavailable(exc):
        return unavailable(f"{name} does not serve now ({said})")
    code = code_of(exc)
    if code in SKEWED:
        away_s = _clock_away_s(exc)
        if away_s is None or abs(away_s) >= _CLOCK_WRONG_S:
            far = "" if away_s is None else f" (by {away_s:+.0f} s against AWS's)"
            return ConfigurationError(
                f"{name} refused the signature of a request ({said}): the clock of this machine is "
                f"wrong{far}, or the credentials are. Set the clock by NTP; then it signs again"
            )
    if code in SKEWED or code in _CREDENTIALS:
        return ConfigurationError(
            f"{name} does not accept the credentials that boto3 found ({said}): renew them, or "
            "look where they come from with `aws sts get-caller-identity`"
        )
    if code in ("AccessDenied", "AccessDeniedException") or status_of(exc) == 403:
        needed = f" the action {action}" if action else " this"
        return ConfigurationError(
            f"{name} does not allow{needed} with the credentials that boto3 found ({said}): its "
            "policy, or that of the key or bucket, has to"
        )
    kind = type(exc).__name__
    if kind in ("NoCredentialsError", "PartialCredentialsError"):
        return ConfigurationError(
            "boto3 finds no credentials for AWS: give this process a role, a profile "
            "(AWS_PROFILE) or the variables of one"
        )
    if kind == "NoRegionError":
        return ConfigurationError(
            f"no region is known for {name}: add ?region=… to the URI, or set AWS_DEFAULT_REGION"
        )
    if kind in ("ProfileNotFound", "ConfigParseError", "ConfigNotFound"):
        return ConfigurationError(
            f"boto3 can't read the profile that it should use ({said}): see AWS_PROFILE, and the "
            "files ~/.aws/config and ~/.aws/credentials (AWS_CONFIG_FILE, "
            "AWS_SHARED_CREDENTIALS_FILE)"
        )
    if isinstance(exc, ValueError) and not code:
        return ConfigurationError(
            f"the address of {name} that boto3 found can't be used ({said}): see AWS_ENDPOINT_URL, "
            f"AWS_ENDPOINT_URL_{name}, endpoint_url in ~/.aws/config, and the proxies"
        )
    return ConfigurationError(f"{name} can't do what was asked ({said})")


def _said(exc: BaseException) -> str:
    """Code, status and id of a request, or the kind of an exception: nothing in words."""
    code = code_of(exc)
    if not code:
        return type(exc).__name__
    status, request = status_of(exc), _metadata(exc).get("RequestId")
    return ", ".join(
        [_plain(code)]
        + ([f"status {status}"] if status else [])
        + ([f"request {_plain(str(request))}"] if request else [])
    )


def _plain(text: str) -> str:
    return "".join(c for c in text[:64] if c.isalnum() or c in "-_.:/")


def _clock_away_s(exc: BaseException) -> float | None:
    """How far our clock is before AWS's, where its answer says the time."""
    import time
    from email.utils import parsedate_to_datetime

    headers = _metadata(exc).get("HTTPHeaders")
    date = headers.get("date") if isinstance(headers, dict) else None
    try:
        return time.time() - parsedate_to_datetime(str(date)).timestamp()
    except ValueError:
        return None


def _metadata(exc: BaseException) -> dict[str, Any]:
    response = getattr(exc, "response", None)
    found = response.get("ResponseMetadata") if isinstance(response, dict) else None
    return found if isinstance(found, dict) else {}
