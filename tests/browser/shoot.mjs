// Open a page in Chromium and photograph it: node shoot.mjs URL OUT.png [--width W] [--height H] [--dark] [--no-page]
//   [--wait SELECTOR] [--eval EXPRESSION] [--download FILE] [--axe TAGS] [--print] [--pdf FILE] [--timeout SECONDS]
//   [--profile FOLDER] [--touch]
//
// --wait waits for an element, --eval evaluates an expression in the page (a promise is awaited); --no-page photographs the
// window alone, not the whole page. --download waits for the file that the page saves, and puts it there; --axe looks for what
// axe-core's rules with these tags find, such as wcag2a,wcag2aa; --print shows the page as on paper, and --pdf prints it, on A4.
// --profile keeps what the browser keeps in a folder, for a later visit; --touch is a phone: fingers, and a narrow layout.
//
// Prints one JSON object: `errors`, the messages of level error or warning on the console, uncaught exceptions and failed
// requests; `requests`, every URL that was asked for but the page's own; `result`, of the expression; `violations`, of the rules
// of --axe; `width` and `height`, of the whole page, in CSS pixels. Exits 1 if there is any error.

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
];
const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    width: { type: "string", default: "1280" },
    height: { type: "string", default: "900" },
    dark: { type: "boolean", default: false },
    "no-page": { type: "boolean", default: false },
    wait: { type: "string" },
    eval: { type: "string" },
    download: { type: "string" },
    axe: { type: "string" },
    print: { type: "boolean", default: false },
    pdf: { type: "string" },
    timeout: { type: "string", default: "60" },
    profile: { type: "string" },
    touch: { type: "boolean", default: false },
  },
});
const [url, out] = positionals;
if (!url || !out) {
  console.error("usage: node shoot.mjs URL OUT.png [--width W] [--height H] [--dark] [--wait SELECTOR] [--eval EXPRESSION]");
  process.exit(2);
}

const found = { errors: [], requests: [], result: null, violations: [], width: 0, height: 0 };
// What axe-core finds, a line each: the rule, and the element.
async function violations(page, tags) {
  await page.evaluate(readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8"));
  const result = await page.evaluate((values) => axe.run({ runOnly: { type: "tag", values } }), tags);
  return result.violations.flatMap((each) =>
    each.nodes.map((node) => `${each.id}: ${node.html.slice(0, 200)}: ${node.failureSummary.replaceAll(/\s+/g, " ")}`),
  );
}

const profile = values.profile ?? mkdtempSync(join(tmpdir(), "chromium-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? PLACES.find(existsSync),
  args: FLAGS,
  viewport: { width: Number(values.width), height: Number(values.height) },
  colorScheme: values.dark ? "dark" : "light",
  hasTouch: values.touch,
  isMobile: values.touch,
});
try {
  const page = context.pages()[0] ?? (await context.newPage());
  page.setDefaultTimeout(1000 * Number(values.timeout));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) found.errors.push(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => found.errors.push(`exception: ${error.message}`));
  page.on("requestfailed", (request) => found.errors.push(`request: ${request.url()}: ${request.failure()?.errorText}`));
  page.on("request", (request) => {
    const asked = request.url();
    if (asked !== url && !asked.startsWith("data:")) found.requests.push(asked);
  });
  await page.goto(url, { waitUntil: "load" });
  if (values.wait) await page.waitForSelector(values.wait);
  if (values.print) await page.emulateMedia({ media: "print" });
  const download = values.download && page.waitForEvent("download");
  if (values.eval) found.result = (await page.evaluate(values.eval)) ?? null;
  if (download) await (await download).saveAs(values.download);
  if (values.axe) found.violations = await violations(page, values.axe.split(","));
  [found.width, found.height] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    document.documentElement.scrollHeight,
  ]);
  await page.screenshot({ path: out, fullPage: !values["no-page"] });
  if (values.pdf) await page.pdf({ path: values.pdf, format: "A4", preferCSSPageSize: true, printBackground: true });
} catch (error) {
  found.errors.push(`shoot: ${error.message}`);
} finally {
  await context.close();
  if (!values.profile) rmSync(profile, { recursive: true, force: true });
}
console.log(JSON.stringify(found));
process.exitCode = found.errors.length ? 1 : 0;
