"""One bucket, as the shipper speaks with it: requests that end when the time is over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from chain_client.errors import NotInTime, ShippingUnavailable
from chain_client.shipping import IsOver
from mlops_chain_aws.clients import (
    LazyClient,
    Patience,
    aws_errors,
    code_of,
    status_of,
    to_ours,
)
from mlops_chain_aws.locations import S3Location
from mlops_chain_aws.waiting import OutOfTimeError, TooManyHangError, Waiting

_PATIENCE: Final = Patience(connect_s=3.0, read_s=10.0, attempts=3, connections=4)
_MOST_HANGING: Final = 32
_MOST_PAGES: Final = 1000


class RefusedError(Exception):
    """S3 refused a request for a reason that whoever asked may have expected.

    Args:
        code: S3's own.
        status: of HTTP.
    """

    def __init__(self, code: str, status: int) -> None:
        super().__init__(code)
        self.code, self.status = code, status


class ShippingBucket:
    """Requests to one bucket. Nothing of botocore leaves it.

    Args:
        location: which bucket.
    """

    def __init__(self, location: S3Location) -> None:
        self._location = location
        self._client = LazyClient("s3", location.place, _PATIENCE)
        self._waiting = Waiting(_MOST_HANGING)

    def ask(
        self,
        action: str,
        operation: str,
        is_over: IsOver,
        *,
        expected: frozenset[str] = frozenset(),
        **arguments: Any,
    ) -> dict[str, Any]:
        """One request.

        Args:
            action: the IAM action that it uses, such as ``s3:PutObject``.
            operation: boto3's name, such as ``put_object``.
            is_over: whether the time is over; the request is left alone then.
            expected: codes of S3 by which it is refused, and not failed.
            arguments: of the operation, without the bucket.

        Raises:
            RefusedError: with one of the ``expected`` codes.
            NotInTime: the time is over.
            ShippingUnavailable: it failed.
        """

        def work() -> dict[str, Any]:
            try:
                method = getattr(self._client.get(), operation)
                answer: dict[str, Any] = method(**self._location.bucket_arguments, **arguments)
            except aws_errors() as exc:
                if code_of(exc) in expected:
                    raise RefusedError(code_of(exc), status_of(exc)) from None
                # What AWS says in words may quote the signed request.
                raise self.to_unavailable(exc, action) from None
            return answer

        try:
            return self._waiting.run(work, is_over)
        except OutOfTimeError:
            raise NotInTime("the time for shipping is over") from None
        except TooManyHangError:
            raise ShippingUnavailable(
                f"{self._location.shown}: too many requests hang, or no thread can start in this "
                "process any more"
            ) from None

    def pages(
        self, action: str, operation: str, names: tuple[str, ...], **arguments: Any
    ) -> Iterator[dict[str, Any]]:
        """The pages of a list.

        Args:
            action: the IAM action that it uses.
            operation: boto3's name.
            names: of what says where the next page begins: in a page ``Next`` stands before them.
            arguments: of the operation, without the bucket.

        Raises:
            ShippingUnavailable: it failed, or there is no end of it.
        """
        asked = dict(arguments)
        for _ in range(_MOST_PAGES):
            page = self.ask(action, operation, _never, **asked)
            yield page
            if not page.get("IsTruncated"):
                return
            asked = {**arguments, **{name: page[f"Next{name}"] for name in names}}
        raise ShippingUnavailable(f"{self._location.shown} holds too many objects to be listed")

    def to_unavailable(self, exc: Exception, action: str) -> ShippingUnavailable:
        """What a shipper's caller is told of any error of S3."""
        shown, code = self._location.shown, code_of(exc)
        if code == "NoSuchBucket":
            return ShippingUnavailable(f"there is no bucket for {shown}")
        told = to_ours(exc, "s3", ShippingUnavailable, action)
        return ShippingUnavailable(f"{shown}: {told}")


def _never() -> bool:
    return False
