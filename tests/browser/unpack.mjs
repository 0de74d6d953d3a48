// Unpack the Chromium that lies compressed in its package: the program, the libraries and the font
// that it needs where a machine has none.  What an earlier version left is replaced.
import { spawnSync } from "node:child_process";
import { createReadStream, createWriteStream, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { chmod } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { createBrotliDecompress } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const packed = join(here, "node_modules", "@sparticuz", "chromium", "bin");
const target = join(here, "chromium");

async function unpack(name, to) {
  await pipeline(createReadStream(join(packed, `${name}.br`)), createBrotliDecompress(), createWriteStream(to));
}

if (process.platform !== "linux" || process.arch !== "x64") {
  console.log("There is no packed Chromium for this machine: the page's tests take an installed one.");
  process.exit(0);
}
rmSync(target, { recursive: true, force: true });
mkdirSync(target);
await unpack("chromium", join(target, "chromium"));
await chmod(join(target, "chromium"), 0o755);
for (const name of ["al2023", "fonts"]) {
  const archive = join(target, `${name}.tar`);
  await unpack(`${name}.tar`, archive);
  const { status } = spawnSync("tar", ["-xf", archive, "-C", target, "--no-same-owner"], { stdio: "inherit" });
  if (status !== 0) process.exit(1);
  rmSync(archive);
}
// The package's own names folders of the place it was made for.
const fonts = `<fontconfig><dir>${join(target, "fonts")}</dir><cachedir>${join(target, "cache")}</cachedir></fontconfig>`;
writeFileSync(join(target, "fonts.conf"), `<?xml version="1.0"?>\n<!DOCTYPE fontconfig SYSTEM "fonts.dtd">\n${fonts}\n`);
