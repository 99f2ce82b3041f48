"""What keeps customers from being merged: the table that stewards read says what the rules do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ecif.domain.merge_policy import MERGE_RULES, MOST, OVERRIDABLE, Finding, standing_blocks

ROW = re.compile(r"^\| `([A-Z_]+)` \| (BLOCK|WARN) \| (.+) \| (.*?) ?\|$", re.MULTILINE)
TABLE = ROW.findall((Path(__file__).parents[2] / "docs/merging.md").read_text())
LIFTS = {
    "nothing": "",
    "`evidence`": "evidence",
    "a judgement `WITHDRAWN`": "",
    "`override`, with the reason": "override",
}


def test_the_table_names_every_rule() -> None:
    assert [(rule, level, message) for rule, level, message, _ in TABLE] == [
        (rule.id, rule.level.value, rule.message_zh) for rule in MERGE_RULES.values()
    ]


@pytest.mark.parametrize(("rule", "level", "message", "told"), TABLE)
def test_a_block_is_lifted_as_the_table_says_and_a_warning_leaves_what_it_says(
    rule: str, level: str, message: str, told: str
) -> None:
    def stands(evidence: bool, *override: str) -> bool:
        return bool(standing_blocks([Finding(rule)], evidence=evidence, override=frozenset(override)))

    others = {other for other in MERGE_RULES if other != rule}
    if level == "WARN":
        assert not stands(False) and bool(told) == bool(
            MERGE_RULES[rule].follow_up_zh and MERGE_RULES[rule].follow_up_en
        )
    else:
        lifted = LIFTS[told]
        assert stands(False) and stands(False, *others) and stands(True, *others) is (lifted != "evidence")
        assert stands(False, rule) is (lifted != "override") and (rule in OVERRIDABLE) is (lifted == "override")


@pytest.mark.parametrize("rule", MOST)
def test_the_message_names_the_most(rule: str) -> None:
    assert f"超过 {MOST[rule]} " in MERGE_RULES[rule].message_zh
