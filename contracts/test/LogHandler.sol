// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {EventLog} from "../src/EventLog.sol";
import {Tree} from "./Tree.sol";
import {TestBase} from "./Vm.sol";

/// @dev Acts on a contract as its owner, its writers and its enemies, in whatever order forge likes,
/// and keeps a model of what must be true then. What must be refused and is not becomes the `breach`.
contract LogHandler is TestBase {
    struct Model {
        address writer; // zero once closed
        uint64 size;
        uint64 headBlock;
        bytes32 root;
        bytes32 successor;
        bytes32 predecessor;
        bytes32 reason;
    }

    uint256 private constant MOST_LOGS = 8;
    uint256 private constant MOST_LEAVES = 48;

    EventLog public immutable eventLog = new EventLog(address(this));
    bytes32[] public ids;
    string public breach;
    uint256 public anchored;
    uint256 public refused;

    mapping(bytes32 id => Model) private _models;
    mapping(bytes32 id => uint64) private _sizesSeen;
    uint64 private _block = 1;

    /// @dev Every action takes a block, and no action may shrink a log.
    modifier watched() {
        vm.roll(++_block);
        _;
        for (uint256 i = 0; i < ids.length; ++i) {
            (uint64 size,,) = eventLog.head(ids[i]);
            if (size < _sizesSeen[ids[i]]) breach = "a log shrank";
            _sizesSeen[ids[i]] = size;
        }
    }

    /// @dev There is something to attack from the first action on.
    constructor() {
        _open(_name(0), _writer(0));
        _open(_name(1), _writer(1));
        _anchor(_name(0), 5);
    }

    function model(bytes32 id) external view returns (Model memory) {
        return _models[id];
    }

    function count() external view returns (uint256) {
        return ids.length;
    }

    /// @dev The leaves of a log, as many as its head has.
    function leavesOf(bytes32 id) public view returns (bytes32[] memory) {
        return Tree.leaves(uint256(id), _models[id].size);
    }

    // What is allowed.

    function open(uint256 writer) external watched {
        if (ids.length < MOST_LOGS) _open(_name(ids.length), _writer(writer));
    }

    function anchor(uint256 which, uint256 growth) external watched {
        bytes32 id = _openLog(which);
        uint64 newSize = _grown(id, growth);
        if (newSize > _models[id].size) _anchor(id, newSize);
    }

    function rotate(uint256 which, uint256 writer) external watched {
        bytes32 id = _openLog(which);
        eventLog.rotateWriter(id, _writer(writer));
        _models[id].writer = _writer(writer);
    }

    function succeed(uint256 which, uint256 writer) external watched {
        if (ids.length >= MOST_LOGS) return;
        bytes32 id = _openLog(which);
        bytes32 successor = _name(ids.length);
        bytes32 reason = keccak256(abi.encode("reason", id));
        eventLog.succeedLog(id, successor, _writer(writer), reason);
        _add(successor, _writer(writer));
        _models[successor].predecessor = id;
        _models[id].writer = address(0);
        _models[id].successor = successor;
        _models[id].reason = reason;
    }

    // What is not.

    function anchorAsAnother(uint256 which, uint256 growth, uint256 caller) external watched {
        bytes32 id = _openLog(which);
        address other = _stranger(caller, _models[id].writer);
        uint64 newSize = _models[id].size + 1 + uint64(growth % 8);
        _mustFail(other, _honest(id, newSize), "anchored by another than the writer");
    }

    function anchorForgedProof(uint256 which, uint256 growth, uint256 place, uint8 mask)
        external
        watched
    {
        bytes32 id = _openLog(which);
        uint64 size = _models[id].size;
        if (size == 0) return;
        uint64 newSize = size + 1 + uint64(growth % 8);
        bytes32[] memory all = Tree.leaves(uint256(id), newSize);
        bytes32[] memory proof = Tree.consistency(all, size, newSize);
        place %= 32 * proof.length;
        uint256 change = mask == 0 ? 0xff : mask;
        proof[place / 32] ^= bytes32(change << (8 * (place % 32)));
        _attack(id, newSize, Tree.root(all, newSize), proof, "anchored with a forged proof");
    }

    function anchorCutProof(uint256 which, uint256 growth) external watched {
        bytes32 id = _openLog(which);
        uint64 size = _models[id].size;
        if (size == 0) return;
        uint64 newSize = size + 1 + uint64(growth % 8);
        bytes32[] memory all = Tree.leaves(uint256(id), newSize);
        bytes32[] memory proof = Tree.consistency(all, size, newSize);
        bytes32[] memory cut = new bytes32[](proof.length - 1);
        for (uint256 i = 0; i < cut.length; ++i) {
            cut[i] = proof[i];
        }
        _attack(id, newSize, Tree.root(all, newSize), cut, "anchored with a cut proof");
    }

    function anchorRewrittenHistory(uint256 which, uint256 growth, uint256 place) external watched {
        bytes32 id = _openLog(which);
        uint64 size = _models[id].size;
        if (size == 0) return;
        uint64 newSize = size + 1 + uint64(growth % 8);
        bytes32[] memory all = Tree.leaves(uint256(id), newSize);
        all[place % size] = keccak256("rewritten");
        _attack(
            id,
            newSize,
            Tree.root(all, newSize),
            Tree.consistency(all, size, newSize),
            "anchored a rewritten history"
        );
    }

    function anchorWithoutGrowth(uint256 which, uint256 newSize) external watched {
        bytes32 id = _openLog(which);
        uint64 smaller = uint64(newSize % (_models[id].size + 1));
        bytes32[] memory none = new bytes32[](0);
        bytes32 root = Tree.root(leavesOf(id), smaller);
        _attack(id, smaller, root, none, "anchored without growth");
        _attack(id, smaller, keccak256("other"), none, "anchored without growth");
    }

    function actOnClosedLog(uint256 which, uint256 growth, uint256 caller) external watched {
        bytes32 id = _closedLog(which);
        if (id == 0) return;
        uint64 newSize = _models[id].size + 1 + uint64(growth % 8);
        bytes memory honest = _honest(id, newSize);
        string memory what = "changed a closed log";
        _mustFail(_writer(caller), honest, what);
        _mustFail(address(this), honest, what);
        _mustFail(address(this), abi.encodeCall(EventLog.rotateWriter, (id, _writer(caller))), what);
        _mustFail(
            address(this),
            abi.encodeCall(EventLog.succeedLog, (id, keccak256("new"), _writer(caller), 0)),
            what
        );
    }

    function reuseId(uint256 which, uint256 other) external watched {
        bytes32 used = ids[which % ids.length];
        bytes32 id = _openLog(other);
        string memory what = "used an id again";
        _mustFail(address(this), abi.encodeCall(EventLog.openLog, (used, _writer(0))), what);
        _mustFail(
            address(this), abi.encodeCall(EventLog.succeedLog, (id, used, _writer(0), 0)), what
        );
    }

    function administerAsAnother(uint256 which, uint256 caller) external watched {
        bytes32 id = ids[which % ids.length];
        address other = _stranger(caller, address(this));
        bytes32 fresh = keccak256("fresh");
        string memory what = "administered by another than the owner";
        _mustFail(other, abi.encodeCall(EventLog.openLog, (fresh, other)), what);
        _mustFail(other, abi.encodeCall(EventLog.rotateWriter, (id, other)), what);
        _mustFail(other, abi.encodeCall(EventLog.succeedLog, (id, fresh, other, 0)), what);
        _mustFail(other, abi.encodeWithSignature("transferOwnership(address)", other), what);
        _mustFail(other, abi.encodeWithSignature("acceptOwnership()"), what);
        _mustFail(other, abi.encodeWithSignature("renounceOwnership()"), what);
    }

    function _open(bytes32 id, address writer) private {
        eventLog.openLog(id, writer);
        _add(id, writer);
    }

    function _add(bytes32 id, address writer) private {
        ids.push(id);
        Model storage added = _models[id];
        added.writer = writer;
        added.headBlock = uint64(block.number);
        added.root = Tree.EMPTY;
    }

    function _anchor(bytes32 id, uint64 newSize) private {
        Model storage log = _models[id];
        bytes memory data = _honest(id, newSize);
        bytes32 root = Tree.root(Tree.leaves(uint256(id), newSize), newSize);
        vm.prank(log.writer);
        (bool done,) = address(eventLog).call(data);
        if (!done) breach = "an honest head was refused";
        log.size = newSize;
        log.root = root;
        log.headBlock = uint64(block.number);
        ++anchored;
    }

    /// @dev Call data that anchors the next head of a log's own tree, with its proof.
    function _honest(bytes32 id, uint64 newSize) private view returns (bytes memory) {
        uint64 size = _models[id].size;
        bytes32[] memory all = Tree.leaves(uint256(id), newSize);
        bytes32[] memory proof = size == 0 ? new bytes32[](0) : Tree.consistency(all, size, newSize);
        return abi.encodeCall(EventLog.anchor, (id, newSize, Tree.root(all, newSize), proof));
    }

    /// @dev What the writer must not be able to anchor.
    function _attack(
        bytes32 id,
        uint64 newSize,
        bytes32 root,
        bytes32[] memory proof,
        string memory what
    ) private {
        bytes memory data = abi.encodeCall(EventLog.anchor, (id, newSize, root, proof));
        _mustFail(_models[id].writer, data, what);
    }

    function _mustFail(address caller, bytes memory data, string memory what) private {
        vm.prank(caller);
        (bool done,) = address(eventLog).call(data);
        if (done) breach = what;
        ++refused;
    }

    /// @dev One of the open logs. There always is one: whoever closes a log opens another.
    function _openLog(uint256 which) private view returns (bytes32 id) {
        for (uint256 i = 0; i < ids.length; ++i) {
            id = ids[(which % ids.length + i) % ids.length];
            if (_models[id].writer != address(0)) return id;
        }
    }

    /// @dev One of the closed logs, or zero if there is none.
    function _closedLog(uint256 which) private view returns (bytes32) {
        for (uint256 i = 0; i < ids.length; ++i) {
            bytes32 id = ids[(which % ids.length + i) % ids.length];
            if (_models[id].writer == address(0)) return id;
        }
        return 0;
    }

    function _grown(bytes32 id, uint256 growth) private view returns (uint64) {
        uint256 size = _models[id].size + growth % 8;
        return uint64(size > MOST_LEAVES ? MOST_LEAVES : size);
    }

    function _name(uint256 number) private pure returns (bytes32) {
        return keccak256(abi.encode("log", number));
    }

    function _writer(uint256 number) private pure returns (address) {
        return address(uint160(1001 + number % 3));
    }

    /// @dev A writer or somebody unknown, but not `rightful`.
    function _stranger(uint256 number, address rightful) private pure returns (address other) {
        other = address(uint160(1001 + number % 6));
        return other == rightful ? address(2001) : other;
    }
}
