// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";

import {Rfc9162} from "./Rfc9162.sol";

/// @title Heads of append-only logs
/// @notice Holds one head (size and RFC 6962 root) per log and replaces it only by one that is
/// proved to extend it. So nobody, whatever keys they hold, can rewrite or fork what was anchored.
/// @dev Logs are never removed and ids never reused. The owner decides who writes, and can't touch
/// a head.
contract EventLog is Ownable2Step {
    /// @dev The first two slots are all that anchoring reads and writes. 48 bits hold more than
    /// 2 * 10^14 leaves or blocks.
    struct Log {
        address writer; // zero once the log is closed
        uint48 size;
        uint48 headBlock; // never zero in a log that exists
        bytes32 root;
        uint64 openedBlock;
        uint64 closedBlock;
        bytes32 predecessor;
        bytes32 successor;
        bytes32 reason;
    }

    uint64 private constant MAX_SIZE = type(uint48).max;

    mapping(bytes32 logId => Log) private _logs;
    bytes32[] private _ids;

    /// @notice A log was opened.
    /// @param logId The log.
    /// @param writer The account that anchors its heads.
    event LogOpened(bytes32 indexed logId, address indexed writer);

    /// @notice A log has a new head.
    /// @param logId The log.
    /// @param size Number of leaves.
    /// @param root RFC 6962 root of those leaves.
    event HeadAnchored(bytes32 indexed logId, uint64 size, bytes32 root);

    /// @notice A log has another writer.
    /// @param logId The log.
    /// @param oldWriter The account that anchored its heads.
    /// @param newWriter The account that anchors them from now on.
    event WriterRotated(
        bytes32 indexed logId, address indexed oldWriter, address indexed newWriter
    );

    /// @notice A log was closed, and another one follows it.
    /// @param oldLogId The closed log.
    /// @param newLogId Its successor.
    /// @param size Number of leaves of the closed log.
    /// @param root Its last root.
    /// @param reason Hash of the reason.
    event LogSucceeded(
        bytes32 indexed oldLogId,
        bytes32 indexed newLogId,
        uint64 size,
        bytes32 root,
        bytes32 reason
    );

    /// @notice The log has exactly this head already; nothing is left to do.
    /// @param logId The log.
    /// @param size Number of leaves.
    error AlreadyAnchored(bytes32 logId, uint64 size);

    /// @notice The proof doesn't show that the new head extends the one in place.
    /// @param logId The log.
    /// @param size Number of leaves under the head in place.
    /// @param newSize Number of leaves under the refused head.
    error InconsistentHead(bytes32 logId, uint64 size, uint64 newSize);

    /// @notice The log was closed.
    /// @param logId The log.
    /// @param successor The log that follows it.
    error LogClosed(bytes32 logId, bytes32 successor);

    /// @notice The id was used before.
    /// @param logId The log that has it.
    error LogExists(bytes32 logId);

    /// @notice There are not so many logs.
    /// @param index The index that was asked for.
    error NoLogAtIndex(uint256 index);

    /// @notice The new head isn't larger than the one in place.
    /// @param logId The log.
    /// @param size Number of leaves under the head in place.
    /// @param newSize Number of leaves under the refused head.
    error NotGrowing(bytes32 logId, uint64 size, uint64 newSize);

    /// @notice The caller isn't the log's writer.
    /// @param logId The log.
    /// @param caller Who called.
    error NotWriter(bytes32 logId, address caller);

    /// @notice This chain has no SHA-256 precompile, without which no proof can be checked.
    error Sha256Unavailable();

    /// @notice More leaves than a log can have.
    /// @param newSize Number of leaves under the refused head.
    error SizeTooLarge(uint64 newSize);

    /// @notice There is no log with this id.
    /// @param logId The id.
    error UnknownLog(bytes32 logId);

    /// @notice A writer can't be the zero address.
    error ZeroAddress();

    /// @notice The id of a log can't be zero.
    error ZeroLogId();

    /// @notice Deploys an empty registry of logs.
    /// @param initialOwner The account that opens logs, rotates writers and declares successors.
    constructor(address initialOwner) Ownable(initialOwner) {
        if (!Rfc9162.hasSha256()) revert Sha256Unavailable();
    }

    /// @notice Opens an empty log. Only the owner can.
    /// @param logId Identity of the log: 32 random bytes, never used before.
    /// @param writer The account that anchors its heads.
    function openLog(bytes32 logId, address writer) external onlyOwner {
        _open(logId, writer, 0);
    }

    /// @notice Replaces the head of a log by a later one. Only the log's writer can.
    /// @dev The first head of an empty log needs no proof, and must have none.
    /// @param logId The log.
    /// @param newSize Number of leaves under the new head; more than under the head in place.
    /// @param newRoot RFC 6962 root of those leaves.
    /// @param proof RFC 9162 consistency proof from the head in place to the new one.
    function anchor(bytes32 logId, uint64 newSize, bytes32 newRoot, bytes32[] calldata proof)
        external
    {
        Log storage log = _logs[logId];
        address writer = log.writer;
        uint64 size = log.size;
        if (writer == address(0)) _refuse(logId, log);
        if (msg.sender != writer) revert NotWriter(logId, msg.sender);
        bytes32 root = log.root;
        if (newSize <= size) {
            if (newSize == size && newRoot == root) revert AlreadyAnchored(logId, size);
            revert NotGrowing(logId, size, newSize);
        }
        if (newSize > MAX_SIZE) revert SizeTooLarge(newSize);
        bool consistent = size == 0
            ? proof.length == 0
            : Rfc9162.isConsistent(size, root, newSize, newRoot, proof);
        if (!consistent) revert InconsistentHead(logId, size, newSize);

        log.size = uint48(newSize);
        log.headBlock = uint48(block.number);
        log.root = newRoot;
        emit HeadAnchored(logId, newSize, newRoot);
    }

    /// @notice Replaces the writer of an open log. Only the owner can.
    /// @dev A transaction of the old writer that is still on its way fails from here on.
    /// @param logId The log.
    /// @param newWriter The account that anchors its heads from now on.
    function rotateWriter(bytes32 logId, address newWriter) external onlyOwner {
        if (newWriter == address(0)) revert ZeroAddress();
        Log storage log = _openLog(logId);
        emit WriterRotated(logId, log.writer, newWriter);
        log.writer = newWriter;
    }

    /// @notice Closes a log for ever with its last head and opens the log that follows it. Only the
    /// owner can.
    /// @dev The successor is always a new log, so a chain of successors has no cycle and no two
    /// logs share a successor.
    /// @param oldLogId The open log to close.
    /// @param newLogId Identity of its successor: 32 random bytes, never used before.
    /// @param writer The account that anchors the successor's heads.
    /// @param reason Hash of the (salted) reason that is kept off chain.
    function succeedLog(bytes32 oldLogId, bytes32 newLogId, address writer, bytes32 reason)
        external
        onlyOwner
    {
        Log storage old = _openLog(oldLogId);
        _open(newLogId, writer, oldLogId);
        old.writer = address(0);
        old.closedBlock = uint64(block.number);
        old.successor = newLogId;
        old.reason = reason;
        emit LogSucceeded(oldLogId, newLogId, old.size, old.root, reason);
    }

    /// @notice The head of a log: of a closed log its last, of a new log the empty one.
    /// @param logId The log.
    /// @return size Number of leaves.
    /// @return root RFC 6962 root of those leaves; for an empty log SHA-256 of the empty string.
    /// @return blockNumber Block in which the head took its place.
    function head(bytes32 logId)
        external
        view
        returns (uint64 size, bytes32 root, uint64 blockNumber)
    {
        Log storage log = _knownLog(logId);
        return (log.size, log.root, log.headBlock);
    }

    /// @notice Whether a leaf stands at an index of the log, proved against its current head.
    /// @param logId The log.
    /// @param leafHash RFC 6962 leaf hash: SHA-256(0x00 || leaf data).
    /// @param index Zero-based index of the leaf.
    /// @param proof RFC 9162 inclusion proof for the current size.
    /// @return True if, and only if, the proof leads from the leaf to the current root.
    function verifyInclusion(
        bytes32 logId,
        bytes32 leafHash,
        uint64 index,
        bytes32[] calldata proof
    ) external view returns (bool) {
        Log storage log = _knownLog(logId);
        return Rfc9162.isIncluded(leafHash, index, log.size, log.root, proof);
    }

    /// @notice What is known of a log besides its head.
    /// @param logId The log.
    /// @return writer The account that anchors its heads; zero once the log is closed.
    /// @return openedBlock Block in which it was opened.
    /// @return successor The log that follows it; zero while it is open.
    /// @return predecessor The log that it follows; zero if it follows none.
    /// @return closedBlock Block in which it was closed; zero while it is open.
    /// @return reason Hash of the reason for which it was closed; zero while it is open.
    function logInfo(bytes32 logId)
        external
        view
        returns (
            address writer,
            uint64 openedBlock,
            bytes32 successor,
            bytes32 predecessor,
            uint64 closedBlock,
            bytes32 reason
        )
    {
        Log storage log = _knownLog(logId);
        return
            (
                log.writer,
                log.openedBlock,
                log.successor,
                log.predecessor,
                log.closedBlock,
                log.reason
            );
    }

    /// @notice Follows the successors of a log to the one that is open.
    /// @param logId The log to start from.
    /// @return The id of the open log at the end of the line; logId itself if that is open.
    function currentLog(bytes32 logId) external view returns (bytes32) {
        Log storage log = _knownLog(logId);
        while (log.writer == address(0)) {
            logId = log.successor;
            log = _logs[logId];
        }
        return logId;
    }

    /// @notice Number of logs that were ever opened, closed ones included.
    /// @return The number of logs.
    function logCount() external view returns (uint256) {
        return _ids.length;
    }

    /// @notice The id of a log, by the order in which the logs were opened.
    /// @param index Zero-based; less than logCount.
    /// @return The log's id.
    function logAt(uint256 index) external view returns (bytes32) {
        if (index >= _ids.length) revert NoLogAtIndex(index);
        return _ids[index];
    }

    function _open(bytes32 logId, address writer, bytes32 predecessor) private {
        if (logId == 0) revert ZeroLogId();
        if (writer == address(0)) revert ZeroAddress();
        Log storage log = _logs[logId];
        if (log.headBlock != 0) revert LogExists(logId);
        log.writer = writer;
        log.headBlock = uint48(block.number);
        // Stored rather than implied: the first anchor then costs what every later one does.
        log.root = Rfc9162.EMPTY_ROOT;
        log.openedBlock = uint64(block.number);
        log.predecessor = predecessor;
        _ids.push(logId);
        emit LogOpened(logId, writer);
    }

    function _knownLog(bytes32 logId) private view returns (Log storage log) {
        log = _logs[logId];
        if (log.headBlock == 0) revert UnknownLog(logId);
    }

    function _openLog(bytes32 logId) private view returns (Log storage log) {
        log = _logs[logId];
        if (log.writer == address(0)) _refuse(logId, log);
    }

    /// @dev Says why a log without a writer can't be changed.
    function _refuse(bytes32 logId, Log storage log) private view {
        if (log.headBlock == 0) revert UnknownLog(logId);
        revert LogClosed(logId, log.successor);
    }
}
