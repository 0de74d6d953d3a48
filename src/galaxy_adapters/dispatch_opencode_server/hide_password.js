// Runs inside opencode before opencode itself (BUN_INSPECT_PRELOAD; measured with 1.18.33).
//
// The server takes its password from the environment only, and gives its environment to the
// agent's shell. So the password comes through standard input instead, which leaves /proc/<pid>/environ
// without it, and is put where opencode looks for it while it starts. Once the server listens, the
// variable is made invisible to copies of the environment, which is what tools are started with;
// opencode's own plugins read it by name and still find it.
require("../_opencode/steady_clock.js");

const name = "OPENCODE_SERVER_PASSWORD";
const value = require("fs").readFileSync(0, "utf8").trim();
const log = console.log;

process.env[name] = value;
console.log = (...words) => {
  if (String(words[0]).includes("listening")) {
    Object.defineProperty(process.env, name, { value, enumerable: false, configurable: true, writable: true });
    console.log = log;
  }
  log(...words);
};
