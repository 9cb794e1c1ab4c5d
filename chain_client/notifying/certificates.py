"""What is said of a receiver whose certificate is not accepted."""

from __future__ import annotations

import ssl


def refuse_certificate(shown: str, error: ssl.SSLCertVerificationError) -> str:
    """What is wrong, and where to say whom to trust; nothing was sent yet.

    Args:
        shown: the receiver as it may be shown.
        error: names no more of it than its host.
    """
    return (
        f"the certificate of {shown} is not accepted ({error.verify_message}); nothing is sent "
        "there. An authority of your own is named by SSL_CERT_FILE in this process's environment"
    )
