"""Mail as one of the scheduler's notification blocks, for any mail server and not only a hosted service.

The server of the scheduler finds this module by the entry point `prefect.collections`, so it must be installed there.
"""

from prefect.blocks.notifications import AppriseNotificationBlock
from pydantic import Field, SecretStr


class SmtpMail(AppriseNotificationBlock):
    """Sends alerts by SMTP."""

    _block_type_name = "hashpivot mail"
    _block_type_slug = "hashpivot-mail"

    url: SecretStr = Field(
        default=...,
        title="Mail server and addressee",
        description="Apprise address of kind mailto (plain) or mailtos (TLS), with from and to",
        examples=["mailtos://user:password@smtp.example.org?from=me@example.org&to=you@example.org"],
    )
