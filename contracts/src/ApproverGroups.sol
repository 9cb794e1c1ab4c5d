// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Groups of approvers
/// @notice A member has a seat, and approvals are bits of seats: whether a quorum stands is counted
/// without a loop over people. A seat is never given twice, so what a removed member signed counts
/// for nobody, not even for the same account when it joins again.
abstract contract ApproverGroups {
    struct Group {
        uint64 taken; // seats that have a member now
        uint8 given; // seats that were ever given
        mapping(address account => uint64) seats; // one bit; zero for who is no member
        address[] accounts; // by seat, for ever
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
    error AlreadyApprover(bytes32 group, address account);
    /// @notice The group has given all its seats; set up another group.
    error GroupFull(bytes32 group);
    /// @notice A group's id, or a member, can't be zero.
    error InvalidApprover(bytes32 group, address account);
    /// @notice The account is no member of the group.
    error NotApprover(bytes32 group, address account);

    /// @notice Whether an account is a member of a group now.
    function isApprover(bytes32 group, address account) external view returns (bool) {
        return _groups[group].seats[account] != 0;
    }

    /// @notice Everybody who ever was a member, by seat, and which seats are taken now.
    /// @return accounts Who has or had the seat of that number.
    /// @return taken A bit for each seat that has a member now.
    function approversOf(bytes32 group)
        external
        view
        returns (address[] memory accounts, uint64 taken)
    {
        return (_groups[group].accounts, _groups[group].taken);
    }

    function _addApprover(bytes32 group, address account) internal {
        if (group == 0 || account == address(0)) revert InvalidApprover(group, account);
        Group storage g = _groups[group];
        if (g.seats[account] != 0) revert AlreadyApprover(group, account);
        uint8 number = g.given;
        if (number == MAX_SEATS) revert GroupFull(group);
        uint64 seat = uint64(1) << number;
        g.taken |= seat;
        g.given = number + 1;
        g.seats[account] = seat;
        g.accounts.push(account);
        emit ApproverAdded(group, account, number);
    }

    function _removeApprover(bytes32 group, address account) internal {
        Group storage g = _groups[group];
        uint64 seat = _seatOf(group, account);
        g.taken &= ~seat;
        delete g.seats[account];
        emit ApproverRemoved(group, account, uint8(_count(seat - 1)));
    }

    /// @dev The bit of a member's seat.
    function _seatOf(bytes32 group, address account) internal view returns (uint64 seat) {
        seat = _groups[group].seats[account];
        if (seat == 0) revert NotApprover(group, account);
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
