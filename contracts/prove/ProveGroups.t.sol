// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ApproverGroups} from "../src/ApproverGroups.sol";
import {Prove} from "./Prove.sol";

/// @dev Seats and the count of them.
contract ProveGroups is Prove, ApproverGroups {
    bytes32 private constant GROUP = keccak256("group");
    uint24 private _number;

    function setUp() public {
        _addApprover(GROUP, address(1));
        _addApprover(GROUP, address(2));
        _addApprover(GROUP, address(3));
        _removeApprover(GROUP, address(2));
        _number = _numberOf(GROUP);
    }

    /// @dev Seats 0 and 2 have members: whatever bits are asked about, those and no others count.
    function check_a_count_is_of_the_members_asked_about(uint64 seats) external view {
        uint256 expected = (seats & 1) + ((seats >> 2) & 1);
        assert(_countMembers(_number, seats) == expected);
    }

    /// @dev The next member gets a seat that nobody has or had, and nobody else's changes.
    function check_a_new_seat_is_nobodys(address account) external {
        vm.assume(account != address(0) && account != address(1) && account != address(3));
        _addApprover(GROUP, account);
        (uint64 first,) = _memberOf(_number, address(1));
        (uint64 third,) = _memberOf(_number, address(3));
        (uint64 seat,) = _memberOf(_number, account);
        assert(first == 1 && third == 4 && seat == 8);
        assert(_countMembers(_number, type(uint64).max) == 3);
        assert(_countMembers(_number, 2) == 0);
    }

    /// @dev Whoever leaves, one seat is empty then, and the others are taken.
    function check_who_leaves_empties_one_seat(bool which) external {
        address account = which ? address(1) : address(3);
        (uint64 seat,) = _memberOf(_number, account);
        _removeApprover(GROUP, account);
        assert(_countMembers(_number, seat) == 0);
        assert(_countMembers(_number, type(uint64).max) == 1);
    }
}
