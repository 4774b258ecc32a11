"""The page of examples/browser, looked at while a script does what a person would."""

import re
from pathlib import Path

from support.screenshots import Shot, shoot

LOADED = ["--wait", "#conformance[data-failed]"]

# What a person does in the page; `updated` resolves when the page has followed.
HELPERS = """
const byId = (id) => document.getElementById(id);
const updated = (act) => new Promise((done) => {
  const observer = new MutationObserver(() => { observer.disconnect(); done(); });
  observer.observe(byId("engine"), { childList: true });
  act();
});
const change = (input, value) => { input.value = value; input.dispatchEvent(new Event("input", { bubbles: true })); };
const start = (i) => updated(() => {
  byId("start").selectedIndex = i;
  byId("start").dispatchEvent(new Event("change"));
});
const labels = () => [...document.querySelectorAll("#editor label")];
const field = (name) => labels().find((label) => label.textContent === name).control;
const shown = () => ({
  prediction: byId("prediction").value,
  heading: byId("reasons-heading").textContent,
  reasons: [...byId("chart").children].map((item) => [item.dataset.feature, Number(item.dataset.value)]),
  sum: ["base", "total", "score"].map((id) => byId(id).textContent),
  check: byId("check").textContent,
  error: Number(byId("check").dataset.error),
  notice: byId("notice").hidden ? "" : byId("notice").textContent,
});
"""


def look(address: str, tmp_path: Path, script: str, *options: str) -> Shot:
    """Run a script in the loaded page, which must be quiet and ask this machine alone."""
    options = ("--no-page", *options, "--eval", f"(async () => {{ {HELPERS} {script} }})()")
    shot = shoot(address, tmp_path / "page.png", *options)
    # A page that gives way to the one for its bundle may drop the icon that it had asked for.
    errors = [error for error in shot.errors if not re.fullmatch(r"request: \S+/icon\.svg: net::ERR_ABORTED", error)]
    assert errors == [], errors
    assert {url.split("/")[2].split(":")[0] for url in shot.requests} == {"127.0.0.1"}
    return shot
