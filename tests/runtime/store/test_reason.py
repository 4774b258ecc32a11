"""The reasons of failures: one line, with the server and its answer, and nothing that may be signed."""

import pytest

from whyport.runtime.store.reason import reason_of

ASKED = "Generic S3 error: Error performing GET http://127.0.0.1:9/b?list-type=2&sig=secret in 4ms"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            f"{ASKED} - Server returned non-2xx status code: 404 Not Found: <?xml?>\n<Error><Code>NoSuchBucket</Code>",
            "expected a bucket that exists, got 404 Not Found, NoSuchBucket, from http://127.0.0.1:9",
        ),
        (
            f"The operation lacked privileges: {ASKED} - Server returned non-2xx status code: 403 Forbidden: ",
            "access denied: got 403 Forbidden from http://127.0.0.1:9",
        ),
        (
            f"{ASKED} - Server returned non-2xx status code: 500 Internal Server Error: busy",
            "the request failed: got 500 Internal Server Error from http://127.0.0.1:9",
        ),
        (
            f"{ASKED}, after 2 retries, max_retries: 2 - HTTP error: error sending request\n\nDebug source:\nGeneric",
            "expected an answer, got none from http://127.0.0.1:9",
        ),
        (
            "Error performing PUT http://169.254.169.254/latest/api/token in 1ms - status code: 403 Forbidden: denied",
            "expected credentials in the environment or from the machine, got none from http://169.254.169.254",
        ),
        ("Something of http://host/path?sig=secret, else\nand more", "Something of http://host, else"),
    ],
)
def test_a_reason_is_one_line(text: str, reason: str) -> None:
    assert reason_of(text) == reason
