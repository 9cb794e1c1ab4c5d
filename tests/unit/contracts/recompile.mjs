// Compiles a standard JSON input (first argument: a file) and prints what the compiler says.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [file, project] = process.argv.slice(2);
const solc = createRequire(`${project}/`)("solc");
process.stdout.write(solc.compile(readFileSync(file, "utf8")));
