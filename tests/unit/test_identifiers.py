from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecif.domain.checks import (
    check_business_reg_no,
    check_citizen_digit,
    check_org_code,
    check_uscc_digit,
    check_zhongzheng,
    upgrade_15,
    uscc_check_digit,
)
from ecif.domain.customer_number import is_customer_number, make_customer_number
from ecif.domain.identifier_kinds import KINDS, IdentifierKind, NumberSpace
from ecif.domain.identifiers import Validity, birth_date_of, country_of_fpr, normalize_identifier
from ecif.domain.records import PartyType

K, V = IdentifierKind, Validity


@pytest.mark.parametrize("number", ["11010519491231002X", "440308199901101512", "610122198310134420"])
def test_the_standards_citizen_numbers_are_valid(number: str) -> None:
    found = normalize_identifier(K.CITIZEN_ID, number)
    assert (found.space, found.validity, found.is_strong) == (NumberSpace.CITIZEN, V.VALID, True)


@pytest.mark.parametrize("number", ["810000199408230021", "830000199201300022"])
def test_residence_permits_are_a_space_of_their_own(number: str) -> None:
    assert normalize_identifier(K.HMT_RESIDENCE, number).validity is V.VALID
    assert normalize_identifier(K.CITIZEN_ID, number).space is NumberSpace.HMT_RESIDENCE


def test_a_foreign_residents_number_tells_country_and_birth() -> None:
    found = normalize_identifier(K.CITIZEN_ID, "911124198108030024")
    assert (found.space, found.validity, found.reason) == (NumberSpace.FPR, V.VALID, "KIND_CORRECTED")
    assert (country_of_fpr(found.number), birth_date_of(found.number)) == ("124", date(1981, 8, 3))


@pytest.mark.parametrize(
    "old, new", [("110105491231002", "11010519491231002X"), ("610104620927690", "610104196209276908")]
)
def test_fifteen_digits_are_upgraded(old: str, new: str) -> None:
    assert upgrade_15(old) == (new,)
    assert normalize_identifier(K.CITIZEN_ID, old).number == new


def test_centenarians_sequences_leave_the_century_open() -> None:
    assert len(upgrade_15("110105490101998")) == 2


@pytest.mark.parametrize(
    "number",
    ["91350100M000100Y43", "9144030071526726XG", "91330100799655058B", "91110108717743469K", "914403001922038216"],
)
def test_credit_codes(number: str) -> None:
    assert check_uscc_digit(number)
    assert normalize_identifier(K.BUSINESS_REG_NO, number).space is NumberSpace.USCC


def test_the_standards_wrong_example_expects_3() -> None:
    assert uscc_check_digit("91350100M000100Y4") == "3"
    assert not check_uscc_digit("91350100M000100Y4Z")


@pytest.mark.parametrize(
    "number, digit", [("91350100M0001TGQXM", "1"), ("91350211M0000XUF46", "R"), ("91350203M0001FUE2P", "J")]
)
def test_early_fujian_codes_are_doubtful_not_invalid(number: str, digit: str) -> None:
    assert uscc_check_digit(number[:17]) == digit
    assert normalize_identifier(K.USCC, number).validity is V.DOUBTFUL


@pytest.mark.parametrize("number", ["717743469", "192203821", "71526726X", "799655058", "D2143569X"])
def test_organisation_codes(number: str) -> None:
    assert check_org_code(number)
    assert normalize_identifier(K.ORG_CODE, f"{number[:8]}-{number[8]}").number == number


def test_other_check_digits() -> None:
    assert check_zhongzheng("3308000000011124")
    assert check_business_reg_no("110109244068195") or not check_business_reg_no("110109244068196")
    assert is_customer_number("100000000016")
    assert make_customer_number(PartyType.PERSON, 1) == "100000000016"


@pytest.mark.parametrize(
    "written",
    [
        "４４０３９９１９９００１０１００１Ｘ",
        " 44039919900101001x",
        "身份证:44039919900101001X",
        "44039919900101001Ⅹ",
        "440399199001\u200b01001X",
    ],
)
def test_slips_without_loss_are_put_right(written: str) -> None:
    from people import citizen

    right = citizen(1, "19900101")
    assert normalize_identifier(K.CITIZEN_ID, written.replace("001X", f"001{right[-1]}")).number[:17] == right[:17]


@pytest.mark.parametrize(
    "written, validity, reason",
    [
        ("4.40308E+17", V.INVALID, "SCIENTIFIC_NOTATION"),
        ("111111111111111111", V.PLACEHOLDER, ""),
        ("123456789012345678", V.PLACEHOLDER, ""),
        ("不详", V.PLACEHOLDER, ""),
        ("", V.MISSING, ""),
        ("440399********0012", V.MASKED, ""),
        ("440399199002300018", V.INVALID, "CALENDAR_DATE"),
        ("440399199001010010", V.INVALID, "CHECK_DIGIT"),
        ("990399199001010010", V.INVALID, "CHECK_DIGIT"),
    ],
)
def test_what_cannot_be_used_says_why(written: str, validity: Validity, reason: str) -> None:
    found = normalize_identifier(K.CITIZEN_ID, written)
    assert (found.validity, found.reason) == (validity, reason)
    assert not found.is_strong


def test_permits_keep_what_stays_at_renewal() -> None:
    assert normalize_identifier(K.HM_PERMIT, "H1234567802").number == "H12345678"
    assert normalize_identifier(K.TW_PERMIT, "1234567801(B)").number == "12345678"
    assert normalize_identifier(K.MILITARY_ID, "军字第2001988号").number == "军2001988"


def test_a_citizen_number_under_passport_changes_its_kind() -> None:
    assert normalize_identifier(K.PASSPORT, "11010519491231002X").space is NumberSpace.CITIZEN


def test_every_kind_is_in_the_code_table() -> None:
    assert set(KINDS) == set(IdentifierKind)


@given(st.sampled_from([None, *IdentifierKind]), st.text(max_size=40))
def test_any_text_has_a_verdict_and_a_canonical_form(kind: IdentifierKind | None, text: str) -> None:
    once = normalize_identifier(kind, text)
    again = normalize_identifier(kind, once.number)
    assert (again.validity is V.MISSING) == (once.number == "") or again.validity == once.validity
    assert text not in repr(once) or len(text) < 12


@given(st.integers(0, 10**14 - 1))
def test_upgraded_numbers_have_a_right_check_digit(value: int) -> None:
    assert all(check_citizen_digit(n) for n in upgrade_15(f"1{value:014d}"))


@given(st.sampled_from(PartyType), st.integers(0, 10**10 - 1))
def test_customer_numbers_check(kind: PartyType, sequence: int) -> None:
    assert is_customer_number(make_customer_number(kind, sequence))
