"""Kinds of identity documents and the number spaces behind them (证件类型, 号码空间): the one published code table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class NumberSpace(StrEnum):
    """号码空间: numbers in one space are comparable, whatever document they stand on."""

    CITIZEN = "CITIZEN"
    HMT_RESIDENCE = "HMT_RESIDENCE"
    FPR = "FPR"
    HM_PERMIT = "HM_PERMIT"
    TW_PERMIT = "TW_PERMIT"
    PASSPORT = "PASSPORT"
    MILITARY = "MILITARY"
    POLICE = "POLICE"
    BIRTH_CERT = "BIRTH_CERT"
    HKID = "HKID"
    MOID = "MOID"
    TWID = "TWID"
    OTHER_P = "OTHER_P"
    USCC = "USCC"
    ORG_CODE = "ORG_CODE"
    BIZ_REG_NO = "BIZ_REG_NO"
    TAX_NO = "TAX_NO"
    INST_CERT = "INST_CERT"
    ZZM = "ZZM"
    LEI = "LEI"
    OTHER_O = "OTHER_O"


class IdentifierKind(StrEnum):
    """证件类型, the one published code table."""

    CITIZEN_ID = "CITIZEN_ID"
    TEMPORARY_CITIZEN_ID = "TEMPORARY_CITIZEN_ID"
    HOUSEHOLD_REGISTER = "HOUSEHOLD_REGISTER"
    MILITARY_ID = "MILITARY_ID"
    POLICE_ID = "POLICE_ID"
    HM_PERMIT = "HM_PERMIT"
    TW_PERMIT = "TW_PERMIT"
    HMT_RESIDENCE = "HMT_RESIDENCE"
    PASSPORT = "PASSPORT"
    FOREIGN_RESIDENT_ID = "FOREIGN_RESIDENT_ID"
    HKID = "HKID"
    MOID = "MOID"
    TWID = "TWID"
    BIRTH_CERTIFICATE = "BIRTH_CERTIFICATE"
    OTHER_PERSON = "OTHER_PERSON"
    USCC = "USCC"
    ORG_CODE = "ORG_CODE"
    BUSINESS_REG_NO = "BUSINESS_REG_NO"
    TAX_NO = "TAX_NO"
    INSTITUTION_CERT = "INSTITUTION_CERT"
    ZHONGZHENG_CODE = "ZHONGZHENG_CODE"
    LEI = "LEI"
    OTHER_ORGANIZATION = "OTHER_ORGANIZATION"


@dataclass(frozen=True, slots=True)
class KindInfo:
    """One row of the code table: the Chinese name, the number space, and whose document it is."""

    name_zh: str
    space: NumberSpace
    person: bool


_K, _S = IdentifierKind, NumberSpace
KINDS: Mapping[IdentifierKind, KindInfo] = {
    _K.CITIZEN_ID: KindInfo("居民身份证", _S.CITIZEN, True),
    _K.TEMPORARY_CITIZEN_ID: KindInfo("临时居民身份证", _S.CITIZEN, True),
    _K.HOUSEHOLD_REGISTER: KindInfo("户口簿", _S.CITIZEN, True),
    _K.MILITARY_ID: KindInfo("军人身份证件", _S.MILITARY, True),
    _K.POLICE_ID: KindInfo("警官证", _S.POLICE, True),
    _K.HM_PERMIT: KindInfo("港澳居民来往内地通行证", _S.HM_PERMIT, True),
    _K.TW_PERMIT: KindInfo("台湾居民来往大陆通行证", _S.TW_PERMIT, True),
    _K.HMT_RESIDENCE: KindInfo("港澳台居民居住证", _S.HMT_RESIDENCE, True),
    _K.PASSPORT: KindInfo("护照", _S.PASSPORT, True),
    _K.FOREIGN_RESIDENT_ID: KindInfo("外国人永久居留身份证", _S.FPR, True),
    _K.HKID: KindInfo("香港身份证", _S.HKID, True),
    _K.MOID: KindInfo("澳门身份证", _S.MOID, True),
    _K.TWID: KindInfo("台湾身份证", _S.TWID, True),
    _K.BIRTH_CERTIFICATE: KindInfo("出生医学证明", _S.BIRTH_CERT, True),
    _K.OTHER_PERSON: KindInfo("其他个人证件", _S.OTHER_P, True),
    _K.USCC: KindInfo("统一社会信用代码", _S.USCC, False),
    _K.ORG_CODE: KindInfo("组织机构代码", _S.ORG_CODE, False),
    _K.BUSINESS_REG_NO: KindInfo("营业执照注册号", _S.BIZ_REG_NO, False),
    _K.TAX_NO: KindInfo("纳税人识别号", _S.TAX_NO, False),
    _K.INSTITUTION_CERT: KindInfo("事业单位等登记证书", _S.INST_CERT, False),
    _K.ZHONGZHENG_CODE: KindInfo("中征码", _S.ZZM, False),
    _K.LEI: KindInfo("全球法人识别编码", _S.LEI, False),
    _K.OTHER_ORGANIZATION: KindInfo("其他机构证件", _S.OTHER_O, False),
}

ONE_PER_PARTY = frozenset({_S.CITIZEN, _S.HMT_RESIDENCE, _S.FPR, _S.USCC, _S.ORG_CODE, _S.BIZ_REG_NO, _S.LEI})
"""Spaces in which a party has at most one valid number, so that two different ones are two parties."""
