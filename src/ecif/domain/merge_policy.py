"""What keeps customers from being merged by hand, and what has to be looked at (合并规则): policy as data.

After IBM's and Reltio's collapse rules, and regulation R25 and R26 on accounts of a class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ecif.domain.records import CustomerStatus


class Level(StrEnum):
    """BLOCK keeps a merge from being made; WARN is shown to whoever makes it and whoever approves it."""

    BLOCK = "BLOCK"
    WARN = "WARN"


class Lift(StrEnum):
    """What lifts a block: nothing, named evidence, a steward's override with his reason, or the judgement's withdrawal."""

    NOTHING = "NOTHING"
    EVIDENCE = "EVIDENCE"
    OVERRIDE = "OVERRIDE"
    WITHDRAWAL = "WITHDRAWAL"


@dataclass(frozen=True, slots=True)
class MergeRule:
    """One row of the table. ``follow_up_zh`` and ``follow_up_en`` say what has to be done after such a merge, if anything."""

    id: str
    level: Level
    lift: Lift
    message_zh: str
    message_en: str
    follow_up_zh: str = ""
    follow_up_en: str = ""


MERGE_RULES: Mapping[str, MergeRule] = {
    rule.id: rule
    for rule in (
        MergeRule("PARTY_TYPE", Level.BLOCK, Lift.NOTHING, "客户类型不同", "the customers are of different types"),
        MergeRule("HEAD_AND_BRANCH", Level.BLOCK, Lift.NOTHING, "总机构与分支机构", "head office and branch"),
        MergeRule(
            "TWO_VALID_NUMBERS", Level.BLOCK, Lift.EVIDENCE, "有效证件号码不同, 须有变更证明",
            "two valid numbers differ; evidence of the change of number is needed",
        ),
        MergeRule(
            "JUDGED_NOT_SAME", Level.BLOCK, Lift.WITHDRAWAL, "已裁决为非同一客户, 须先撤回裁决",
            "judged not to be the same; the judgement has to be withdrawn first",
        ),
        MergeRule(
            "STATED_NOT_SAME", Level.BLOCK, Lift.OVERRIDE, "柜员在开户时确认为非同一客户",
            "a clerk said at the opening that they are not the same",
        ),
        MergeRule("CLOSED", Level.BLOCK, Lift.OVERRIDE, "客户已销户", "a customer is closed"),
        MergeRule("RESTRICTED", Level.BLOCK, Lift.OVERRIDE, "客户已限制处理", "a customer is restricted"),
        MergeRule("DECEASED", Level.BLOCK, Lift.OVERRIDE, "客户已死亡", "a customer is deceased"),
        MergeRule("BOTH_HOLD_ACCOUNTS", Level.WARN, Lift.NOTHING, "双方均有未销账户", "both hold open accounts"),
        MergeRule(
            "BOTH_HOLD_CLASS_I", Level.WARN, Lift.NOTHING, "双方在同一法人均有 I 类户 (R25)",
            "both hold a Class I account at one bank (R25)",
            "保留一个 I 类户, 其余降级或销户", "keep one Class I account, downgrade or close the others",
        ),
        MergeRule(
            "CLASS_II_MAX", Level.WARN, Lift.NOTHING, "合并后 II 类户超过 5 个 (R25)",
            "more Class II accounts than one customer may hold (R25)",
            "将超过上限的 II 类户降级或销户", "downgrade or close the Class II accounts beyond the limit",
        ),
        MergeRule(
            "DEBIT_CARDS_MAX", Level.WARN, Lift.NOTHING, "合并后借记卡超过 4 张 (R26)",
            "more debit cards than one customer may hold (R26)",
            "核实超过上限的借记卡, 请客户销卡", "look into the debit cards beyond the limit, have the customer close them",
        ),
        MergeRule(
            "OPEN_REVIEWS", Level.WARN, Lift.NOTHING, "有待审核项: 与其他客户, 或有存疑的源记录",
            "reviews are open: with other customers, or about records in doubt",
        ),
    )
}  # fmt: skip
"""By rule id, in the order in which they are told."""

STATUS_RULES = tuple(status.value for status in CustomerStatus if status.value in MERGE_RULES)
"""Statuses of a customer that are rules of their own names."""

OVERRIDABLE = tuple(rule.id for rule in MERGE_RULES.values() if rule.lift is Lift.OVERRIDE)
"""Rules that a steward may take upon himself to set aside."""

MOST: Mapping[str, int] = {"CLASS_II_MAX": 5, "DEBIT_CARDS_MAX": 4}
"""How many one customer may hold at one bank, by the rule that counts them (银发〔2018〕16号: II 类户原则上不超过 5 个;
同一客户借记卡原则上不超过 4 张, 社保卡等除外)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that holds for some customers. ``data`` names numbers and counts, never a personal value."""

    rule: str
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def blocks(self) -> bool:
        """Whether it keeps a merge from being made, unless it is lifted."""
        return MERGE_RULES[self.rule].level is Level.BLOCK


def standing_blocks(findings: list[Finding], *, evidence: bool, override: frozenset[str]) -> list[Finding]:
    """The blocks that nothing lifts."""

    def lifted(finding: Finding) -> bool:
        lift = MERGE_RULES[finding.rule].lift
        return (lift is Lift.EVIDENCE and evidence) or (lift is Lift.OVERRIDE and finding.rule in override)

    return [finding for finding in findings if finding.blocks and not lifted(finding)]
