"""Why a store did not do what it was asked for, in words: what obstore says runs over pages, and repeats addresses."""

import re

from whyport.runtime.errors import message_line

STATUS = re.compile(r"status code: (\d{3}[A-Za-z -]*)")
CODE = re.compile(r"<Code>(\w+)</Code>")
ADDRESS = re.compile(r"(https?://[^/\s?]+)[^\s,;]*")
"""An address; what follows its server may be signed."""
MACHINE = "://169.254."
"""Where machines in clouds are asked for their credentials."""


def reason_of(text: str) -> str:
    """The reason in a line, with no more of an address than the server."""
    server, status, code = ADDRESS.search(text), STATUS.search(text), CODE.search(text)
    place = f" from {server[1]}" if server else ""
    if server and MACHINE in server[1]:
        return f"expected credentials in the environment or from the machine, got none{place}"
    if status:
        answer = f"got {status[1].strip()}{f', {code[1]},' if code else ''}{place}"
        if code and code[1] == "NoSuchBucket":
            return f"expected a bucket that exists, {answer}"
        if status[1][:3] in ("401", "403"):
            return f"access denied: {answer}"
        return f"the request failed: {answer}"
    if "HTTP error" in text:
        return f"expected an answer, got none{place}"
    return ADDRESS.sub(r"\1", message_line(Exception(text)))
