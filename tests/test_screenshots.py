from pathlib import Path

from support.screenshots import shoot

PAGE = "<!doctype html><html lang=en><title>t</title><style>body { margin: 0 }</style><p style='width: 700px'>text</p>"


def test_a_quiet_page_has_no_errors(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(PAGE)
    dark = "matchMedia('(prefers-color-scheme: dark)').matches"
    shot = shoot(page.as_uri(), tmp_path / "page.png", "--width", "390", "--dark", "--eval", dark)
    assert (shot.errors, shot.requests, shot.result, shot.width) == ([], [], True, 700)
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")


def test_errors_of_every_kind_are_reported(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(PAGE + "<img src=absent.png><script>console.error('said'); throw new Error('thrown')</script>")
    shot = shoot(page.as_uri(), tmp_path / "page.png")
    kinds = {error.split(":")[0] for error in shot.errors}
    assert {"error", "exception", "request"} <= kinds
    assert shot.requests == [(tmp_path / "absent.png").as_uri()]
