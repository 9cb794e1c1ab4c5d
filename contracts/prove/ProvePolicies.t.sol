// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IModelRegistry} from "../src/IModelRegistry.sol";
import {Policies, StoredPolicy} from "../src/Policies.sol";
import {Prove} from "./Prove.sol";

/// @dev No policy is read as another than was set, and no two have the same word.
contract ProvePolicies is Prove {
    function check_a_policy_is_read_as_it_was_packed(
        IModelRegistry.Policy calldata p,
        uint24 group,
        uint64 revision
    ) external pure {
        StoredPolicy stored = Policies.pack(p, group, revision);
        IModelRegistry.Policy memory q = stored.unpack(p.group);
        assert(stored.group() == group);
        assert(q.group == p.group);
        assert(q.threshold == p.threshold);
        assert(q.minDelay == p.minDelay);
        assert(q.expiry == p.expiry);
        assert(q.evidenceKinds == p.evidenceKinds);
        assert(q.revision == revision);
        assert(stored.threshold() == p.threshold);
        assert(stored.minDelay() == p.minDelay);
        assert(stored.expiry() == p.expiry);
        assert(stored.evidenceKinds() == p.evidenceKinds);
    }

    function check_another_revision_is_another_word(
        IModelRegistry.Policy calldata p,
        IModelRegistry.Policy calldata q,
        uint24 group,
        uint24 other,
        uint64 revision,
        uint64 later
    ) external pure {
        uint256 first = StoredPolicy.unwrap(Policies.pack(p, group, revision));
        uint256 second = StoredPolicy.unwrap(Policies.pack(q, other, later));
        assert(revision == later || first != second);
    }

    function check_no_policy_keeps_the_revision(uint64 revision) external pure {
        StoredPolicy none = Policies.none(revision);
        assert(none.revision() == revision);
        assert(none.threshold() == 0);
    }
}
