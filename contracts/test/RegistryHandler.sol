// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IModelRegistry} from "../src/IModelRegistry.sol";
import {ModelRegistry} from "../src/ModelRegistry.sol";
import {Proposal} from "../src/Proposals.sol";
import {RegistryControl} from "../src/RegistryControl.sol";
import {Typed} from "./Typed.sol";
import {TestBase} from "./Vm.sol";

/// @dev Acts on a registry as everybody who has a say and as who has none, in whatever order forge
/// likes, and keeps a model of what must be true then, written without seats, bits or slots. Where
/// registry and model disagree about whether something may be done, that is the `breach`.
contract RegistryHandler is TestBase {
    enum Act {
        Register,
        RegisterAgain,
        Revoke,
        Propose,
        Approve,
        ApproveBySignature,
        Replay,
        Review,
        Reject,
        Withdraw,
        Promote,
        RollBack,
        Remove,
        BreakGlass,
        Join,
        Leave,
        SetPolicy,
        Pause,
        Unpause,
        Overstep
    }

    /// @dev What people decided about a proposal.
    struct Matter {
        Proposal p;
        uint256 madeAt;
        IModelRegistry.Status status;
        uint256 policy; // number of the policy it was made under
        mapping(uint256 member => uint256) approvedAs; // which membership approved, from one
        mapping(uint256 member => uint256) reviewedAs;
        bool wasCurrent;
    }

    struct Rule {
        uint256 number; // of the policy, from one
        uint256 threshold;
        uint256 delay;
    }

    struct Now {
        uint64 version;
        uint64 sequence;
        IModelRegistry.Cause cause;
        uint256 since;
        uint256 matter; // by which it became current
    }

    uint256 public constant PEOPLE = 6; // the last two register versions and ask as well
    uint256 public constant TARGETS = 2;
    uint256 public constant MOST_VERSIONS = 6;
    uint256 private constant MOST_MATTERS = 40;
    bytes32 public constant MODEL = keccak256("model");
    bytes32 private constant GROUP = keccak256("group");
    bytes32 private constant SUMMARY = keccak256("summary");

    ModelRegistry public immutable registry;
    string public breach;
    mapping(Act act => uint256) public done;
    mapping(Act act => uint256) public refused_;
    mapping(uint64 version => bytes32) public digests;
    mapping(uint256 target => Now) public current;
    uint64 public versions;
    uint256 public matters;

    mapping(uint64 version => uint256) private _registrants;
    mapping(uint64 version => bool) private _revoked;
    mapping(uint256 number => Matter) private _matters;
    mapping(uint256 member => bool) private _isMember;
    mapping(uint256 member => uint256) private _memberships;
    mapping(uint256 member => uint256) private _cameBackAt;
    mapping(uint256 target => Rule) private _own;
    mapping(uint256 target => Rule) private _default;
    uint256 private _policies;
    uint256 private _seats;
    bool private _paused;
    uint256 private _now = 1_800_000_000;

    /// @dev There is something to decide from the first action on.
    constructor() {
        vm.warp(_now);
        registry = new ModelRegistry(address(this), keccak256("salt"));
        registry.grantRole(registry.BREAKER_ROLE(), address(this));
        for (uint256 i = PEOPLE - 2; i < PEOPLE; ++i) {
            registry.grantRole(registry.REGISTRAR_ROLE(), person(i));
            registry.grantRole(registry.REQUESTER_ROLE(), person(i));
        }
        for (uint256 i = 0; i < PEOPLE; ++i) {
            join(i);
        }
        for (uint256 target = 0; target < TARGETS; ++target) {
            setPolicy(target, false, 2, 100);
        }
        register(0);
        register(1);
    }

    /// @dev Time goes on with every action.
    modifier timed() {
        _now += 7;
        vm.warp(_now);
        _;
    }

    function wait(uint256 seconds_) external {
        _now += seconds_ % 2000;
        vm.warp(_now);
    }

    // --- versions

    function register(uint256 who) public timed {
        if (versions == MOST_VERSIONS) return;
        uint64 version = ++versions;
        who = PEOPLE - 2 + who % 2;
        digests[version] = keccak256(abi.encode("digest", version));
        _registrants[version] = who;
        bytes memory data = abi.encodeCall(
            ModelRegistry.registerVersion, (MODEL, version, digests[version], uint48(version))
        );
        if (!_try(Act.Register, person(who), data, !_paused)) {
            delete digests[version];
            --versions;
        }
    }

    function registerAgain(uint256 which, uint256 who) external timed {
        uint64 version = _version(which);
        who = PEOPLE - 2 + who % 2;
        bytes32 digest = keccak256(abi.encode("other", version));
        _try(
            Act.RegisterAgain,
            person(who),
            abi.encodeCall(ModelRegistry.registerVersion, (MODEL, version, digest, 0)),
            false
        );
    }

    function revoke(uint256 which, uint256 chance) external timed {
        if (chance % 4 != 0) return; // else soon nothing could be promoted
        uint64 version = _version(which);
        bytes memory data = abi.encodeCall(ModelRegistry.revokeVersion, (MODEL, version, SUMMARY));
        if (_try(Act.Revoke, address(this), data, !_revoked[version])) _revoked[version] = true;
    }

    // --- proposals

    function propose(uint256 which, uint256 target, uint256 who, bool relayed) public timed {
        if (matters == MOST_MATTERS) return;
        uint256 number = matters;
        Matter storage m = _matters[number];
        who = PEOPLE - 2 + who % 2;
        Rule memory rule = _rule(target % TARGETS);
        m.p = _request(which, target, who);
        m.policy = rule.number;
        m.madeAt = _now;
        bytes memory signature = relayed ? _signed(who, Typed.proposal(m.p)) : bytes("");
        bytes memory data = abi.encodeCall(ModelRegistry.propose, (m.p, signature));
        address sender = relayed ? address(0xBEEF) : person(who);
        if (_try(Act.Propose, sender, data, !_paused)) {
            m.status = IModelRegistry.Status.Open;
            ++matters;
        }
    }

    function approve(uint256 number, uint256 who) public timed {
        if (matters == 0) return;
        Matter storage m = _matters[number % matters];
        who %= PEOPLE;
        bytes memory data = abi.encodeCall(ModelRegistry.approve, (m.p));
        if (_try(Act.Approve, person(who), data, _mayApprove(m, who))) _approve(m, who);
    }

    function approveBySignature(uint256 number, uint256 who) public timed {
        if (matters == 0) return;
        Matter storage m = _matters[number % matters];
        who %= PEOPLE;
        bool expected = _mayApprove(m, who) && _isFresh(who, m.madeAt);
        if (_try(Act.ApproveBySignature, address(0xBEEF), _signedApproval(m, who), expected)) {
            _approve(m, who);
        }
    }

    /// @dev Brings again what somebody approved.
    function replay(uint256 number, uint256 who) external timed {
        if (matters == 0) return;
        Matter storage m = _matters[number % matters];
        for (uint256 i = 0; i < PEOPLE; ++i) {
            who = (who % PEOPLE + i) % PEOPLE;
            if (m.approvedAs[who] == 0) continue;
            _try(Act.Replay, address(0xBEEF), _signedApproval(m, who), false);
            return;
        }
    }

    function review(uint256 number, uint256 who) external timed {
        if (matters == 0) return;
        Matter storage m = _matters[number % matters];
        who %= PEOPLE;
        bool expected = _isLive(m) && _isMember[who] && m.reviewedAs[who] != _memberships[who];
        bytes memory data = abi.encodeCall(ModelRegistry.review, (m.p, person(who), ""));
        if (_try(Act.Review, person(who), data, expected)) m.reviewedAs[who] = _memberships[who];
    }

    function reject(uint256 number, uint256 who, uint256 chance) external timed {
        if (matters == 0 || chance % 4 != 0) return;
        Matter storage m = _matters[number % matters];
        who %= PEOPLE;
        bool expected = m.status == IModelRegistry.Status.Open && _isMember[who];
        bytes memory data = abi.encodeCall(ModelRegistry.reject, (m.p, SUMMARY, person(who), ""));
        if (_try(Act.Reject, person(who), data, expected)) {
            m.status = IModelRegistry.Status.Rejected;
        }
    }

    function withdraw(uint256 number, uint256 who, uint256 chance) external timed {
        if (matters == 0 || chance % 4 != 0) return;
        Matter storage m = _matters[number % matters];
        address sender = person(PEOPLE - 2 + who % 2);
        bool expected = m.status == IModelRegistry.Status.Open && sender == m.p.requester;
        bytes memory data = abi.encodeCall(ModelRegistry.withdraw, (m.p, ""));
        if (_try(Act.Withdraw, sender, data, expected)) m.status = IModelRegistry.Status.Withdrawn;
    }

    // --- what is current

    function promote(uint256 number) public timed {
        if (matters == 0) return;
        Matter storage m = _matters[number % matters];
        bool expected = _mayBePromoted(m);
        (bool promotable,) = registry.isPromotable(m.p);
        if (promotable != expected) breach = "isPromotable is wrong";
        bytes memory data = abi.encodeCall(ModelRegistry.promote, (m.p));
        if (!_try(Act.Promote, address(0xBEEF), data, expected)) return;
        m.status = IModelRegistry.Status.Promoted;
        _becomes(number % matters, IModelRegistry.Cause.Promoted);
    }

    /// @dev The straight way: asked for, approved by all who may, waited for, promoted; sometimes for
    /// too long, or while the registry is paused.
    function decide(uint256 which, uint256 target) external {
        uint256 number = matters;
        propose(which, target, which, true);
        if (matters == number) return;
        for (uint256 i = 0; i < PEOPLE; ++i) {
            if (i % 2 == 0) approve(number, i);
            else approveBySignature(number, i);
        }
        _now += which % 5 == 1 ? 4000 : 100;
        if (which % 5 == 2) this.pause(0);
        promote(number);
    }

    function rollBack(uint256 number, uint256 first, uint256 second) external timed {
        if (matters == 0) return;
        number %= matters;
        Matter storage m = _matters[number];
        uint256 target = _targetOf(m.p);
        uint64 sequence = current[target].sequence;
        uint48 deadline = uint48(_now);
        bytes32 h = Typed.rollback(Typed.proposal(m.p), sequence, deadline, SUMMARY);
        (address[] memory who, bytes[] memory signatures) = _two(first, second, h);
        bool expected = !_paused && m.wasCurrent && !_revoked[m.p.version]
            && _mayReturn(target, first % PEOPLE, second % PEOPLE);
        bytes memory data = abi.encodeCall(
            ModelRegistry.rollback, (m.p, sequence, deadline, SUMMARY, who, signatures)
        );
        if (_try(Act.RollBack, address(0xBEEF), data, expected)) {
            _becomes(number, IModelRegistry.Cause.RolledBack);
        }
    }

    function remove(uint256 target, uint256 first, uint256 second) external timed {
        target %= TARGETS;
        uint64 sequence = current[target].sequence;
        uint48 deadline = uint48(_now);
        bytes32 h = Typed.removal(MODEL, targetId(target), sequence, deadline, SUMMARY);
        (address[] memory who, bytes[] memory signatures) = _two(first, second, h);
        bool expected = !_paused && current[target].version != 0
            && _mayReturn(target, first % PEOPLE, second % PEOPLE);
        bytes memory data = abi.encodeCall(
            ModelRegistry.remove,
            (MODEL, targetId(target), sequence, deadline, SUMMARY, who, signatures)
        );
        if (!_try(Act.Remove, address(0xBEEF), data, expected)) return;
        Now storage c = current[target];
        (c.version, c.cause, c.since) = (0, IModelRegistry.Cause.Removed, _now);
        ++c.sequence;
    }

    function breakGlass(uint256 which, uint256 target, uint256 chance) external timed {
        if (matters == MOST_MATTERS || chance % 4 != 0) return;
        uint256 number = matters;
        Matter storage m = _matters[number];
        m.p = _request(which, target, 0);
        m.p.requester = address(this);
        m.madeAt = _now;
        bytes memory data = abi.encodeCall(ModelRegistry.breakGlass, (m.p, SUMMARY));
        if (!_try(Act.BreakGlass, address(this), data, !_paused && !_revoked[m.p.version])) return;
        ++matters;
        m.status = IModelRegistry.Status.Promoted;
        _becomes(number, IModelRegistry.Cause.BrokeGlass);
    }

    // --- administration

    function join(uint256 who) public timed {
        who %= PEOPLE;
        bytes memory data = abi.encodeCall(RegistryControl.addApprover, (GROUP, person(who)));
        if (!_try(Act.Join, address(this), data, !_isMember[who] && _seats < 64)) return;
        _isMember[who] = true;
        ++_seats;
        if (++_memberships[who] > 1) _cameBackAt[who] = _now;
    }

    function quit(uint256 who) external timed {
        who %= PEOPLE;
        bytes memory data = abi.encodeCall(RegistryControl.removeApprover, (GROUP, person(who)));
        if (_try(Act.Leave, address(this), data, _isMember[who])) _isMember[who] = false;
    }

    function setPolicy(uint256 target, bool own, uint256 threshold, uint256 delay) public timed {
        target %= TARGETS;
        threshold = threshold % 4;
        if (!own && threshold == 0) threshold = 2; // else most of the time nothing could be decided
        delay = delay % 200;
        uint256 members = 0;
        for (uint256 i = 0; i < PEOPLE; ++i) {
            if (_isMember[i]) ++members;
        }
        IModelRegistry.Policy memory p =
            IModelRegistry.Policy(GROUP, uint8(threshold), uint32(delay), 5000, 0, 0);
        bytes memory data = abi.encodeCall(
            RegistryControl.setPolicy, (own ? MODEL : bytes32(0), targetId(target), p)
        );
        if (!_try(Act.SetPolicy, address(this), data, threshold <= members)) return;
        Rule memory rule = Rule(++_policies, threshold, delay);
        if (own) _own[target] = rule;
        else _default[target] = rule;
    }

    function pause(uint256 chance) external timed {
        if (chance % 8 != 0) return;
        bytes memory data = abi.encodeCall(RegistryControl.pause, ());
        if (_try(Act.Pause, address(this), data, !_paused)) _paused = true;
    }

    function unpause() external timed {
        if (_try(Act.Unpause, address(this), abi.encodeCall(RegistryControl.unpause, ()), _paused))
        {
            _paused = false;
        }
    }

    /// @dev What nobody may do who has no role for it.
    function overstep(uint256 who, uint256 what, uint256 which) external timed {
        address sender = person(who % (PEOPLE - 2));
        uint64 version = _version(which);
        IModelRegistry.Policy memory p = IModelRegistry.Policy(GROUP, 1, 0, 1, 0, 0);
        Proposal memory glass = _request(which, what, 0);
        glass.requester = sender;
        bytes[10] memory attempts = [
            abi.encodeCall(ModelRegistry.registerVersion, (MODEL, 99, SUMMARY, 0)),
            abi.encodeCall(ModelRegistry.revokeVersion, (MODEL, version, SUMMARY)),
            abi.encodeCall(RegistryControl.setPolicy, (MODEL, targetId(0), p)),
            abi.encodeCall(RegistryControl.addApprover, (GROUP, address(0xBAD))),
            abi.encodeCall(RegistryControl.removeApprover, (GROUP, sender)),
            abi.encodeCall(ModelRegistry.breakGlass, (glass, SUMMARY)),
            abi.encodeCall(ModelRegistry.propose, (glass, "")),
            abi.encodeCall(RegistryControl.succeed, (sender, SUMMARY)),
            abi.encodeWithSignature("grantRole(bytes32,address)", bytes32(0), sender),
            abi.encodeCall(RegistryControl.pause, ())
        ];
        _try(Act.Overstep, sender, attempts[what % attempts.length], false);
    }

    // --- what must be true

    function statusOf(uint256 number)
        external
        view
        returns (IModelRegistry.Status expected, IModelRegistry.Status found)
    {
        Matter storage m = _matters[number];
        return (m.status, registry.proposal(Typed.proposal(m.p)).status);
    }

    /// @dev Whether what is current there was approved, broke the glass, or was current before.
    function isAccountedFor(uint256 target) external view returns (bool) {
        Now storage c = current[target];
        if (c.version == 0) {
            return c.cause == IModelRegistry.Cause.None || c.cause == IModelRegistry.Cause.Removed;
        }
        Matter storage m = _matters[c.matter];
        return m.wasCurrent && m.p.version == c.version && _targetOf(m.p) == target;
    }

    function isRevoked(uint64 version) external view returns (bool) {
        return _revoked[version];
    }

    function person(uint256 who) public pure returns (address) {
        return vm.addr(who + 1001);
    }

    function targetId(uint256 target) public pure returns (bytes32) {
        return keccak256(abi.encode("target", target));
    }

    // --- within

    function _mayApprove(Matter storage m, uint256 who) private view returns (bool) {
        return _isLive(m) && _isMember[who] && m.p.requester != person(who)
            && _registrants[m.p.version] != who && !_revoked[m.p.version]
            && m.approvedAs[who] != _memberships[who];
    }

    function _approve(Matter storage m, uint256 who) private {
        m.approvedAs[who] = _memberships[who];
    }

    function _isLive(Matter storage m) private view returns (bool) {
        return m.status == IModelRegistry.Status.Open && _now <= m.p.deadline;
    }

    function _isFresh(uint256 who, uint256 madeAt) private view returns (bool) {
        return _cameBackAt[who] == 0 || _cameBackAt[who] < madeAt;
    }

    function _mayBePromoted(Matter storage m) private view returns (bool) {
        Rule memory rule = _rule(_targetOf(m.p));
        uint256 approvals = 0;
        for (uint256 i = 0; i < PEOPLE; ++i) {
            if (_isMember[i] && m.approvedAs[i] == _memberships[i]) ++approvals;
        }
        return !_paused && _isLive(m) && rule.number == m.policy && !_revoked[m.p.version]
            && approvals >= rule.threshold && _now >= m.madeAt + rule.delay;
    }

    function _mayReturn(uint256 target, uint256 first, uint256 second) private view returns (bool) {
        uint256 since = current[target].since;
        return first != second && _isMember[first] && _isMember[second] && _isFresh(first, since)
            && _isFresh(second, since) && _rule(target).threshold <= 2;
    }

    function _becomes(uint256 number, IModelRegistry.Cause cause) private {
        Matter storage m = _matters[number];
        m.wasCurrent = true;
        Now storage c = current[_targetOf(m.p)];
        (c.version, c.cause, c.since, c.matter) = (m.p.version, cause, _now, number);
        ++c.sequence;
    }

    function _rule(uint256 target) private view returns (Rule memory) {
        return _own[target].threshold == 0 ? _default[target] : _own[target];
    }

    function _request(uint256 which, uint256 target, uint256 who)
        private
        view
        returns (Proposal memory p)
    {
        p.model = MODEL;
        p.target = targetId(target % TARGETS);
        p.version = _version(which);
        p.digest = digests[p.version];
        (, p.policyHash,) = registry.policyOf(MODEL, p.target);
        p.summaryHash = SUMMARY;
        p.deadline = uint48(_now + 3000);
        p.requester = person(who);
        p.nonce = keccak256(abi.encode(_now));
    }

    function _signedApproval(Matter storage m, uint256 who) private view returns (bytes memory) {
        bytes32 h = Typed.approval(Typed.proposal(m.p), "approval", SUMMARY);
        address[] memory approvers = new address[](1);
        bytes[] memory signatures = new bytes[](1);
        (approvers[0], signatures[0]) = (person(who), _signed(who, h));
        return abi.encodeCall(ModelRegistry.approveBySignatures, (m.p, approvers, signatures));
    }

    function _two(uint256 first, uint256 second, bytes32 h)
        private
        view
        returns (address[] memory who, bytes[] memory signatures)
    {
        (who, signatures) = (new address[](2), new bytes[](2));
        (who[0], who[1]) = (person(first % PEOPLE), person(second % PEOPLE));
        (signatures[0], signatures[1]) = (_signed(first % PEOPLE, h), _signed(second % PEOPLE, h));
    }

    function _signed(uint256 who, bytes32 structHash) private view returns (bytes memory) {
        bytes32 digest = Typed.digest(Typed.domain(address(registry), block.chainid), structHash);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(who + 1001, digest);
        return abi.encodePacked(r, s, v);
    }

    function _targetOf(Proposal memory p) private pure returns (uint256) {
        return p.target == targetId(0) ? 0 : 1;
    }

    function _version(uint256 which) private view returns (uint64) {
        return uint64(1 + which % versions);
    }

    /// @dev Does it, and compares with what the model says.
    function _try(Act act, address sender, bytes memory data, bool expected)
        private
        returns (bool passed)
    {
        (uint256 first, uint256 second) = (_sequence(0), _sequence(1));
        vm.prank(sender);
        (passed,) = address(registry).call(data);
        if (_sequence(0) + _sequence(1) - first - second > (passed ? 1 : 0)) breach = "sequence";
        if (_sequence(0) < first || _sequence(1) < second) breach = "sequence";
        if (passed) ++done[act];
        else ++refused_[act];
        if (passed && !expected) breach = string.concat("allowed, act ", _digits(uint256(act)));
        if (!passed && expected) breach = string.concat("refused, act ", _digits(uint256(act)));
    }

    function _sequence(uint256 target) private view returns (uint256 sequence) {
        (,, sequence,,,) = registry.current(MODEL, targetId(target));
    }

    function _digits(uint256 number) private pure returns (string memory) {
        return string(abi.encodePacked(uint8(48 + number / 10), uint8(48 + number % 10)));
    }
}
