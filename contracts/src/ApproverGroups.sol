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
        bytes32 id;
    }

    struct Membership {
        uint64 seat; // one bit; zero for who is no member
        uint48 movedAt; // when the account last left, or joined again; zero if it never left
    }

    /// @notice Most members that a group can have over its whole life.
    uint256 public constant MAX_SEATS = 64;

    /// @dev Groups are numbered from one within, so that a whole policy fits in one slot.
    mapping(uint256 number => Group) private _groups;
    mapping(bytes32 group => uint24 number) private _numbers;
    uint24 private _groupCount;

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
        return _groups[_numbers[group]].members[account].seat != 0;
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
        Group storage g = _groups[_numbers[group]];
        return (g.accounts, g.taken);
    }

    /// @dev Gives an account the group's next seat.
    function _addApprover(bytes32 group, address account) internal {
        if (group == 0 || account == address(0)) revert InvalidApprover(group, account);
        uint24 number = _numbers[group];
        if (number == 0) {
            number = ++_groupCount;
            _numbers[group] = number;
            _groups[number].id = group;
        }
        Group storage g = _groups[number];
        Membership storage m = g.members[account];
        if (m.seat != 0) revert AlreadyApprover(group, account);
        uint8 next = g.given;
        if (next == MAX_SEATS) revert GroupFull(group);
        uint64 seat = uint64(1) << next;
        g.taken |= seat;
        g.given = next + 1;
        g.accounts.push(account);
        m.seat = seat;
        if (m.movedAt != 0) m.movedAt = uint48(block.timestamp);
        emit ApproverAdded(group, account, next);
    }

    /// @dev Empties a member's seat for ever.
    function _removeApprover(bytes32 group, address account) internal {
        Group storage g = _groups[_numbers[group]];
        uint64 seat = g.members[account].seat;
        if (seat == 0) revert NotApprover(group, account);
        g.taken &= ~seat;
        g.members[account] = Membership(0, uint48(block.timestamp));
        emit ApproverRemoved(group, account, uint8(_count(seat - 1)));
    }

    /// @dev The number of a group; zero if it never had a member.
    function _numberOf(bytes32 group) internal view returns (uint24) {
        return _numbers[group];
    }

    /// @dev The id of a group, by its number.
    function _idOf(uint24 number) internal view returns (bytes32) {
        return _groups[number].id;
    }

    /// @dev The bit of a member's seat, and when the member joined again, if it ever left.
    function _memberOf(uint24 number, address account)
        internal
        view
        returns (uint64 seat, uint48 movedAt)
    {
        Group storage g = _groups[number];
        Membership storage m = g.members[account];
        (seat, movedAt) = (m.seat, m.movedAt);
        if (seat == 0) revert NotApprover(g.id, account);
    }

    /// @dev How many of the given seats have a member now.
    function _countMembers(uint24 number, uint64 seats) internal view returns (uint256) {
        return _count(_groups[number].taken & seats);
    }

    /// @dev Number of bits; at most MAX_SEATS rounds.
    function _count(uint64 bits) private pure returns (uint256 count) {
        for (; bits != 0; ++count) {
            bits &= bits - 1;
        }
    }
}
