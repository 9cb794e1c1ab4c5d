// A bare chain whose options come from the test that starts it (`tests/running_nodes.py`).
module.exports = {
  solidity: "0.8.30", // hardhat asks for one, and compiles nothing here
  networks: { hardhat: JSON.parse(process.env.TEST_CHAIN || "{}") },
};
