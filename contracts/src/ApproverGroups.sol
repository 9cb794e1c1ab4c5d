// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Groups of approvers
/// @notice A member has a seat, and approvals are bits of seats: whether a quorum stands is counted
/// without a loop over people. A seat is never given twice, so what a removed member approved counts
/// for nobody, not even for the same account when it joins again.
abstract contract ApproverGroups {
    struct Group {
        uint64 taken; // seats that have a member now
        uint8 given; // seats that were ever given
        mapping(address account => Membership) members;
        address[] accounts; // by seat, for ever
    }

    struct Membership {
        uint64 seat; // one bit; zero for who is no member
        uint48 movedAt; // when the account last left, or joined again; zero if it never left
    }

    /// @notice Most members that a group can have over its whole life.
    uint256 public constant MAX_SEATS = 64;

    mapping(bytes32 group => Group) private _groups;

    /// @notice A group has one more member.
    /// @param group The group.
    /// @param account The member.
    /// @param seat The member's seat, from zero.
    event ApproverAdded(bytes32 indexed group, address indexed account, uint8 seat);

    /// @notice A group has one member less; what they approved counts no more.
    /// @param group The group.
    /// @param account The former member.
    /// @param seat The seat that stays empty for ever.
    event ApproverRemoved(bytes32 indexed group, address indexed account, uint8 seat);

    /// @notice The account is a member of the group already.
    /// @param group The group.
    /// @param account The member.
    error AlreadyApprover(bytes32 group, address account);

    /// @notice The group has given all its seats; set up another group.
    /// @param group The group.
    error GroupFull(bytes32 group);

    /// @notice A group's id, or a member, can't be zero.
    /// @param group The group.
    /// @param account The account.
    error InvalidApprover(bytes32 group, address account);

    /// @notice The account is no member of the group.
    /// @param group The group.
    /// @param account The account.
    error NotApprover(bytes32 group, address account);

    /// @notice The signature may be from before the account left the group and joined it again, and
    /// counts no more; the account has to send the transaction itself.
    /// @param group The group.
    /// @param account The member.
    error StaleSignature(bytes32 group, address account);

    /// @notice Whether an account is a member of a group now.
    /// @param group The group.
    /// @param account The account.
    /// @return True if it has a seat.
    function isApprover(bytes32 group, address account) external view returns (bool) {
        return _groups[group].members[account].seat != 0;
    }

    /// @notice Everybody who ever was a member, by seat, and which seats are taken now.
    /// @param group The group.
    /// @return accounts Who has or had the seat of that number.
    /// @return taken A bit for each seat that has a member now.
    function approversOf(bytes32 group)
        external
        view
        returns (address[] memory accounts, uint64 taken)
    {
        return (_groups[group].accounts, _groups[group].taken);
    }

    /// @dev Gives an account the group's next seat.
    function _addApprover(bytes32 group, address account) internal {
        if (group == 0 || account == address(0)) revert InvalidApprover(group, account);
        Group storage g = _groups[group];
        Membership storage m = g.members[account];
        if (m.seat != 0) revert AlreadyApprover(group, account);
        uint8 number = g.given;
        if (number == MAX_SEATS) revert GroupFull(group);
        uint64 seat = uint64(1) << number;
        g.taken |= seat;
        g.given = number + 1;
        g.accounts.push(account);
        m.seat = seat;
        if (m.movedAt != 0) m.movedAt = uint48(block.timestamp);
        emit ApproverAdded(group, account, number);
    }

    /// @dev Empties a member's seat for ever.
    function _removeApprover(bytes32 group, address account) internal {
        uint64 seat = _seatOf(group, account);
        Group storage g = _groups[group];
        g.taken &= ~seat;
        g.members[account] = Membership(0, uint48(block.timestamp));
        emit ApproverRemoved(group, account, uint8(_count(seat - 1)));
    }

    /// @dev The bit of a member's seat.
    function _seatOf(bytes32 group, address account) internal view returns (uint64 seat) {
        seat = _groups[group].members[account].seat;
        if (seat == 0) revert NotApprover(group, account);
    }

    /// @dev Refuses what a member may have signed before it left and joined again: anything about
    /// what was there by then. Who never left is never refused.
    function _checkFresh(bytes32 group, address account, uint48 madeAt) internal view {
        uint48 movedAt = _groups[group].members[account].movedAt;
        if (movedAt != 0 && movedAt >= madeAt) revert StaleSignature(group, account);
    }

    /// @dev How many of the given seats have a member now.
    function _countMembers(bytes32 group, uint64 seats) internal view returns (uint256) {
        return _count(_groups[group].taken & seats);
    }

    /// @dev Number of bits; at most MAX_SEATS rounds.
    function _count(uint64 bits) private pure returns (uint256 count) {
        for (; bits != 0; ++count) {
            bits &= bits - 1;
        }
    }
}
