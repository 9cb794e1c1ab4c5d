// Compiles the contracts and writes the artifacts that ship with the Python package.
//
//   node build.mjs [--check] [--artifacts FOLDER]
//
// --check writes nothing and fails if a file there is not, byte for byte, what the sources give.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import sha3 from "js-sha3";
import solc from "solc";

// Contract and the source it is in; what isn't ours ships as its makers wrote it.
const SHIPPED = {
  EventLog: "src/EventLog.sol",
  ModelRegistry: "src/ModelRegistry.sol",
  TimelockController: "@openzeppelin/contracts/governance/TimelockController.sol",
};
const HERE = path.dirname(fileURLToPath(import.meta.url));
const MODULES = path.join(HERE, "node_modules");
const ARTIFACTS = path.join(HERE, "..", "chain_client", "ledger", "artifacts");

const { values: options } = parseArgs({
  options: {
    check: { type: "boolean", default: false },
    artifacts: { type: "string", default: ARTIFACTS },
  },
});

/** SHA-256 of a text, in hex. */
function digest(text) {
  return "0x" + createHash("sha256").update(text, "utf8").digest("hex");
}

/** The same value with the keys of its objects in order, whatever order they came in. */
function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}

/** Compiles all of src/ and what ships, and gives what solc says, with the text of every source it read. */
function compile(settings) {
  const texts = {};
  for (const file of readdirSync(path.join(HERE, "src")).sort()) {
    if (file.endsWith(".sol")) texts[`src/${file}`] = readFileSync(path.join(HERE, "src", file), "utf8");
  }
  for (const source of Object.values(SHIPPED)) texts[source] ??= readFileSync(path.join(MODULES, source), "utf8");
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(Object.entries(texts).map(([name, content]) => [name, { content }])),
    settings: {
      ...settings,
      outputSelection: {
        "*": { "*": ["abi", "metadata", "evm.bytecode", "evm.deployedBytecode"] },
      },
    },
  };
  const read = (name) => {
    try {
      texts[name] = readFileSync(path.join(MODULES, name), "utf8");
      return { contents: texts[name] };
    } catch (error) {
      return { error: error.message };
    }
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: read }));
  const complaints = output.errors ?? [];
  if (complaints.length > 0) {
    for (const complaint of complaints) console.error(complaint.formattedMessage);
    process.exit(1); // warnings count
  }
  return { output, texts };
}

/** What ships of one contract. */
function artifact(name, settings, { output, texts }) {
  const contract = output.contracts[SHIPPED[name]][name];
  const { bytecode, deployedBytecode } = contract.evm;
  const used = Object.keys(JSON.parse(contract.metadata).sources).sort();
  const sources = Object.fromEntries(used.map((source) => [source, digest(texts[source])]));
  return {
    name,
    compiler: solc.version(),
    settings: sorted(settings),
    sources,
    sourceHash: digest(JSON.stringify(sources)),
    codeHash: "0x" + sha3.keccak256(Buffer.from(deployedBytecode.object, "hex")),
    immutableReferences: sorted(deployedBytecode.immutableReferences),
    bytecode: "0x" + bytecode.object,
    deployedBytecode: "0x" + deployedBytecode.object,
    abi: sorted(contract.abi),
  };
}

const settings = JSON.parse(readFileSync(path.join(HERE, "solc-settings.json"), "utf8"));
const compiled = compile(settings);
const artifacts = Object.keys(SHIPPED).map((name) => artifact(name, settings, compiled));
const files = Object.fromEntries(artifacts.map((built) => [`${built.name}.json`, built]));
// The text of every source, so that whoever deployed a contract can show explorers what it is.
const used = new Set(artifacts.flatMap((built) => Object.keys(built.sources)));
files["sources/solidity.json"] = {
  contracts: SHIPPED,
  sources: Object.fromEntries([...used].sort().map((source) => [source, compiled.texts[source]])),
};
let stale = false;
for (const [name, content] of Object.entries(files)) {
  const file = path.join(options.artifacts, name);
  const built = JSON.stringify(content, null, 1) + "\n";
  if (!options.check) {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, built);
    console.log(`${name}: written`);
    continue;
  }
  let committed = "";
  try {
    committed = readFileSync(file, "utf8");
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
  if (committed === built) {
    console.log(`${name}: it is what the sources give`);
  } else {
    stale = true;
    console.error(`${name}: it is not what the sources give; run \`make contracts-artifacts\``);
  }
}
process.exitCode = stale ? 1 : 0;
