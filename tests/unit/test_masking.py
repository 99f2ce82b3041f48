"""Masks: what is left of a value for those who may not see it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecif.domain.masking import mask_account, mask_address, mask_email, mask_name, mask_number


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("广东省深圳市南山区人民路9号丰泽新村26栋", "广东省深圳市南山区***"),
        ("上海市浦东新区世纪大道100号", "上海市浦东新区***"),
        ("内蒙古自治区锡林郭勒盟苏尼特左旗解放街1号", "内蒙古自治区锡林郭勒盟苏尼特左旗***"),
        ("新疆维吾尔自治区乌鲁木齐市天山区红山路1号", "新疆维吾尔自治区乌鲁木齐市天山区***"),
        ("浙江省杭州市", "***"),
        ("上海市人民路9号阳光小区", "上海市***"),
        ("上海市人民路九号阳光小区3栋", "上海市***"),
        ("深圳市阳光小区3栋201室", "深圳市***"),
        ("丰泽小区26栋3单元1801室", "***"),
        ("人民路9号开发区大厦18楼", "***"),
        ("南山街道学府社区10栋", "***"),
        ("12 Main Street", "***"),
        ("", "***"),
    ],
)
def test_addresses_are_shown_to_the_district(text: str, shown: str) -> None:
    assert mask_address(text) == shown


@given(st.text("广东省深圳市南山区阳光小路9号栋室1", max_size=25))
def test_no_number_of_a_house_is_ever_shown(text: str) -> None:
    assert not set(mask_address(text)) & set("路号19")


@given(st.text(min_size=8, max_size=30))
def test_numbers_show_seven_characters_at_most_and_accounts_four(text: str) -> None:
    for mask, most in ((mask_number, 7), (mask_account, 4)):
        masked = mask(text)
        assert len(masked) == len(text) and sum(c != "*" for c in masked) <= most


def test_names_and_mail() -> None:
    assert [mask_name(n) for n in ("张三丰", "张三", "欧阳明静", "San Feng", "张")] == [
        "**丰",
        "*三",
        "**明静",
        "S** F***",
        "*",
    ]
    assert mask_email("13912345670@example.com") == "1***@example.com"
